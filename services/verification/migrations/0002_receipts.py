"""The keys that sign receipts."""

from alembic import op

from libs.messaging.tables import tenant_wall

revision = "receipts"
down_revision = "0001"

_TABLES = """
CREATE TABLE receipt_key (
    tenant_id uuid NOT NULL,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    signs_from timestamptz NOT NULL,
    replace_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(tenant_wall("receipt_key", "verification"))
