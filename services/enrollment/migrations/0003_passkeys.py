"""Nothing that is known by a mark of its own is enrolled twice in a tenant."""

from alembic import op

revision = "0003"
down_revision = "0002"

# It stays when the authenticator is removed: a passkey that was given up is not made again.
_MARK = """
ALTER TABLE authenticator ADD mark_digest bytea;
CREATE UNIQUE INDEX authenticator_mark ON authenticator (tenant_id, mark_digest);
"""


def upgrade() -> None:
    op.execute(_MARK)
