"""Recovery keys, tries, resets and how far they are."""

from alembic import op

from contracts.callers import application_by_id
from libs.messaging.tables import messaging_tables, tenant_wall
from libs.service.plumbing import INTERNAL_CALL_TABLE

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE recovery_key (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    ticket_id text NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    selector text NOT NULL,
    digest bytea NOT NULL,
    status text NOT NULL CHECK (status IN ('issued', 'acknowledged', 'used', 'replaced')),
    reset_id uuid,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (reset_id IS NULL OR status = 'used'),
    UNIQUE (tenant_id, ticket_id),
    UNIQUE (tenant_id, selector)
);
CREATE INDEX ON recovery_key (tenant_id, subject_ref);

CREATE TABLE tries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    level double precision NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE reset (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('requested', 'completed')),
    removed uuid[],
    requested_at timestamptz NOT NULL,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON reset (tenant_id, subject_ref, requested_at);

CREATE TABLE forgotten (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
"""


def upgrade() -> None:
    service = "recovery"
    op.execute(messaging_tables(service))
    op.execute(INTERNAL_CALL_TABLE)
    op.execute("GRANT SELECT, INSERT, DELETE ON internal_call TO recovery_worker")
    op.execute(application_by_id(service))
    op.execute(_TABLES)
    for table in ("recovery_key", "tries", "reset", "forgotten"):
        op.execute(tenant_wall(table, service))
