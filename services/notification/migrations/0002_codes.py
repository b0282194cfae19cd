"""Codes that are sent: by which channel, whose text to claim, and until when it is news."""

from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = """
ALTER TABLE message
    ADD channel text NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'sms', 'voice')),
    ADD code_id uuid,
    -- The default is for a process of the release before, which knows of notices only.
    ADD until timestamptz NOT NULL DEFAULT now() + interval '24 hours';
UPDATE message SET until = happened + interval '24 hours';
"""


def upgrade() -> None:
    op.execute(_COLUMNS)
