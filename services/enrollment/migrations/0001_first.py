"""Enrollments, the authenticators that they become, and resets that were applied."""

from alembic import op

from contracts.callers import application_by_id
from libs.messaging.tables import messaging_tables, tenant_wall, worker_access
from libs.sealing.data_keys import DATA_KEY_TABLE
from libs.service.plumbing import INTERNAL_CALL_TABLE

revision = "0001"
down_revision = None

# A subject's row is its lock: whatever changes its authenticators or enrollments takes it first.
_TABLES = """
CREATE TABLE subject (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE enrollment (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    authenticator_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    application_id uuid NOT NULL,
    factor text NOT NULL,
    algorithm text NOT NULL,
    digits integer NOT NULL,
    period integer NOT NULL,
    status text NOT NULL
        CHECK (status IN ('pending', 'confirmed', 'exhausted', 'expired', 'cancelled')),
    tries_left integer NOT NULL CHECK (tries_left >= 0),
    sealed bytea,
    sealed_name bytea,
    started timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    confirmed_at timestamptz,
    confirmed_code bytea,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id),
    CHECK ((status = 'pending') = (sealed IS NOT NULL))
);
CREATE INDEX ON enrollment (tenant_id, subject_ref) WHERE status = 'pending';
CREATE INDEX ON enrollment (expires);

CREATE TABLE authenticator (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    factor text NOT NULL,
    algorithm text NOT NULL,
    digits integer NOT NULL,
    period integer NOT NULL,
    epoch integer NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'removing', 'removed')),
    last_step bigint NOT NULL,
    sealed bytea,
    sealed_name bytea,
    claimed_by uuid,
    enrolled_at timestamptz NOT NULL,
    reset_id uuid,
    due timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id),
    CHECK (status = 'active' OR sealed IS NULL),
    CHECK (status <> 'removing' OR due IS NOT NULL)
);
CREATE INDEX ON authenticator (tenant_id, subject_ref);
CREATE INDEX ON authenticator (due) WHERE status = 'removing';

CREATE TABLE reset (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    applied timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id)
);
"""

# The worker's role finds what is due in all tenants, and can read nothing that is sealed.
_FORGETS = (
    "SELECT (tenant_id, id, status, expires),"
    " UPDATE (status, sealed, sealed_name, confirmed_code), DELETE"
)
_RETRIES = "SELECT (tenant_id, id, subject_ref, status, due), UPDATE (due)"


def upgrade() -> None:
    service = "enrollment"
    op.execute(messaging_tables(service))
    op.execute(INTERNAL_CALL_TABLE)
    op.execute("GRANT SELECT, INSERT, DELETE ON internal_call TO enrollment_worker")
    op.execute(DATA_KEY_TABLE)
    op.execute(_TABLES)
    op.execute(application_by_id(service))
    for table in ("data_key", "subject", "enrollment", "authenticator", "reset"):
        op.execute(tenant_wall(table, service))
    op.execute(worker_access("enrollment", service, _FORGETS))
    op.execute(worker_access("authenticator", service, _RETRIES))
