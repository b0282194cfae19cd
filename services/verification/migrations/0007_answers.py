"""Answers come and go in minutes: vacuum goes by count instead of by share, and at full speed."""

from alembic import op

revision = "answers"
down_revision = "attributes"

_VACUUM = """
ALTER TABLE answer SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);
"""


def upgrade() -> None:
    op.execute(_VACUUM)
