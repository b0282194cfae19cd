"""What rules may ask about a person."""

from alembic import op

revision = "attributes"
down_revision = "budgets"

_COLUMNS = """
ALTER TABLE subject
    ADD COLUMN user_type text,
    ADD COLUMN groups text[] NOT NULL DEFAULT '{}';
"""


def upgrade() -> None:
    op.execute(_COLUMNS)
