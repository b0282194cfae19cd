"""Recovery codes have a budget of their own, so that a flood of wrong codes does not lock them."""

from alembic import op

revision = "budgets"
down_revision = "promotion"

_COLUMNS = """
ALTER TABLE subject
    ADD COLUMN recovery_spent double precision NOT NULL DEFAULT 0,
    ADD COLUMN recovery_spent_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN recovery_consecutive integer NOT NULL DEFAULT 0,
    ADD COLUMN failed_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN recovery_failed_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN unlocked_version bigint NOT NULL DEFAULT 0;
"""

_ACCESS = """
GRANT SELECT (cache_version, failed_at, recovery_spent, recovery_spent_at, recovery_consecutive,
        recovery_failed_at),
    UPDATE (failed_at, recovery_spent, recovery_spent_at, recovery_consecutive, recovery_failed_at)
    ON subject TO verification_settle;
"""


def upgrade() -> None:
    op.execute(_COLUMNS)
    op.execute(_ACCESS)
