"""Subjects, authenticators, claims to make, answers to repeat."""

from alembic import op

from contracts.callers import application_by_id
from libs.messaging.tables import messaging_tables, tenant_wall, worker_access
from libs.sealing.data_keys import DATA_KEY_TABLE
from libs.service.plumbing import INTERNAL_CALL_TABLE

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE subject (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    lookup bytea,
    state_version bigint NOT NULL DEFAULT 0,
    deleted boolean NOT NULL DEFAULT false,
    cache_version bigint NOT NULL DEFAULT 1,
    spent double precision NOT NULL DEFAULT 0,
    spent_at timestamptz NOT NULL DEFAULT 'epoch',
    consecutive integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, lookup)
) WITH (fillfactor = 60);

CREATE TABLE authenticator (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    factor text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'removed')),
    epoch integer NOT NULL,
    sealed bytea,
    algorithm text,
    digits integer,
    period integer,
    last_step bigint NOT NULL DEFAULT -1,
    used bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id),
    CHECK (status = 'removed' OR sealed IS NOT NULL)
) WITH (fillfactor = 60);
CREATE INDEX ON authenticator (tenant_id, subject_ref);

CREATE TABLE pending_claim (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('credential', 'acknowledgement', 'name')),
    subject_ref uuid NOT NULL,
    authenticator_id uuid,
    traceparent text,
    tries integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, subject_ref, authenticator_id)
);
CREATE INDEX ON pending_claim (due);

CREATE TABLE answer (
    tenant_id uuid NOT NULL,
    application_id uuid NOT NULL,
    idempotency_key bytea NOT NULL,
    request bytea NOT NULL,
    event_id uuid NOT NULL,
    authenticator_id uuid NOT NULL,
    factor text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, application_id, idempotency_key)
);
CREATE INDEX ON answer (at);
"""

# Settle serves all tenants in one statement, so its role passes the wall; it joins on
# (tenant_id, id), and of an authenticator it may read nothing that is secret.
_SETTLE = """
GRANT SELECT (tenant_id, id, lookup, deleted, spent, spent_at, consecutive) ON subject
    TO verification_settle;
GRANT UPDATE (spent, spent_at, consecutive) ON subject TO verification_settle;
GRANT SELECT (tenant_id, id, subject_ref, factor, status, epoch, last_step, used)
    ON authenticator TO verification_settle;
GRANT UPDATE (last_step, used) ON authenticator TO verification_settle;
GRANT SELECT, INSERT, UPDATE ON event_order TO verification_settle;
GRANT SELECT, INSERT ON outbox TO verification_settle;
GRANT SELECT, INSERT, UPDATE (request, event_id, authenticator_id, factor, at) ON answer
    TO verification_settle;
GRANT SELECT (tenant_id, topic, key, version, deleted) ON replica TO verification_settle;
-- To lock a row takes the right to change something of it.
GRANT UPDATE (recorded) ON replica TO verification_settle;
"""


def _settle_sees_all(table: str) -> str:
    return f"CREATE POLICY settle ON {table} TO verification_settle USING (true) WITH CHECK (true);"


def upgrade() -> None:
    service = "verification"
    op.execute(messaging_tables(service))
    op.execute(INTERNAL_CALL_TABLE)
    op.execute("GRANT SELECT, INSERT, DELETE ON internal_call TO verification_worker")
    op.execute(DATA_KEY_TABLE)
    op.execute(_TABLES)
    op.execute(application_by_id(service))
    for table in ("data_key", "subject", "authenticator", "pending_claim", "answer"):
        op.execute(tenant_wall(table, service))
    op.execute(worker_access("pending_claim", service, "SELECT, UPDATE"))
    op.execute(worker_access("answer", service, "SELECT, DELETE"))
    op.execute(_SETTLE)
    for table in ("subject", "authenticator", "event_order", "outbox", "answer", "replica"):
        op.execute(_settle_sees_all(table))
