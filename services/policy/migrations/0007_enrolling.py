"""Where an application uses passkeys, and what a tenant thinks of shared mailboxes."""

from alembic import op

revision = "enrolling"
down_revision = "readiness"

# A tenant that has not said which names are shared has the standard ones of its release.
_COLUMNS = """
ALTER TABLE application
    ADD COLUMN rp_id text,
    ADD COLUMN origins text[],
    ADD CHECK ((rp_id IS NULL) = (origins IS NULL));
ALTER TABLE tenant
    ADD COLUMN mailboxes_then text NOT NULL DEFAULT 'refuse',
    ADD COLUMN mailboxes_names text[],
    ADD COLUMN mailboxes_version bigint NOT NULL DEFAULT 1,
    ADD CHECK (mailboxes_then IN ('refuse', 'flag', 'allow'));
"""


def upgrade() -> None:
    op.execute(_COLUMNS)
