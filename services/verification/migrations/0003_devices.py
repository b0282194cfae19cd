"""Remembered devices."""

from alembic import op

from libs.messaging.tables import tenant_wall, worker_access

revision = "devices"
down_revision = "receipts"

# A row that is forgotten stays for a while: a repeat must not remember the device again.
_TABLES = """
CREATE TABLE device (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    application_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    key_version integer NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    remembered_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    forgotten_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id)
);
CREATE INDEX ON device (tenant_id, subject_ref);
CREATE INDEX ON device (expires);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(tenant_wall("device", "verification"))
    op.execute(worker_access("device", "verification", "SELECT, DELETE"))
