"""The tables of the plumbing, made by each service's first migration in its own schema.

Two roles of a service use them: `<service>_app` inside a tenant's wall (row-level security on
`app.tenant`), and `<service>_worker`, which moves messages of all tenants.
"""

import re

_TENANT = "NULLIF(current_setting('app.tenant', true), '')::uuid"

# The outbox is a queue: nearly every row is dead soon after it was written, so vacuum goes by
# count instead of by share, and at full speed. Its key is the order in which the relay reads; one
# index only, because every write of the service pays for it.
_TABLES = """
CREATE TABLE event_order (
    tenant_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITH (fillfactor = 70);

CREATE TABLE outbox (
    id uuid NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text COLLATE "C" NOT NULL,
    type text NOT NULL,
    payload bytea,
    tenant_id uuid,
    sequence bigint NOT NULL,
    headers jsonb,
    recorded timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregateid, sequence, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);

CREATE TABLE relay_lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE inbox (
    consumer text NOT NULL,
    message text NOT NULL,
    tenant_id uuid,
    handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, message)
);
CREATE INDEX inbox_handled_at ON inbox USING brin (handled_at) WITH (pages_per_range = 32);

CREATE TABLE parked (
    consumer text NOT NULL,
    topic text NOT NULL,
    key text COLLATE "C" NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL,
    tenant_id uuid NOT NULL,
    value bytea NOT NULL,
    attempts int NOT NULL,
    next_attempt timestamptz NOT NULL,
    exception text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, key, kafka_offset, kafka_partition)
);
CREATE INDEX parked_due ON parked (consumer, next_attempt);

CREATE TABLE replica (
    tenant_id uuid NOT NULL,
    topic text NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    state jsonb NOT NULL,
    recorded timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, topic, key)
);
"""

_APP = {
    "event_order": "SELECT, INSERT, UPDATE",
    "outbox": "SELECT, INSERT",
    "inbox": "SELECT, INSERT",
    "parked": "SELECT",
    "replica": "SELECT, INSERT, UPDATE",
}
_WORKER = {
    "event_order": "SELECT, INSERT, UPDATE, DELETE",
    "outbox": "SELECT, INSERT, UPDATE, DELETE",
    "inbox": "SELECT, INSERT, UPDATE, DELETE",
    "parked": "SELECT, INSERT, UPDATE, DELETE",
    "replica": "SELECT",
}


def messaging_tables(service: str) -> str:
    """Return the DDL of all plumbing tables; the roles of `service` must exist."""
    walls = [_wall(table, service, privileges) for table, privileges in _APP.items()]
    workers = [worker_access(table, service, privileges) for table, privileges in _WORKER.items()]
    lease = f"GRANT SELECT, INSERT, UPDATE, DELETE ON relay_lease TO {_name(service)}_worker;"
    return "\n".join([_TABLES, *walls, *workers, lease])


def tenant_wall(table: str, service: str) -> str:
    """Return DDL that shows `table` to the app role one tenant at a time; it has `tenant_id`."""
    return _wall(table, service, "SELECT, INSERT, UPDATE, DELETE")


def worker_access(table: str, service: str, privileges: str) -> str:
    """Return DDL that shows all rows of a walled `table` to the worker role."""
    table, role = _name(table), f"{_name(service)}_worker"
    return (
        f"CREATE POLICY worker_sees_all ON {table} TO {role} USING (true) WITH CHECK (true);\n"
        f"GRANT {privileges} ON {table} TO {role};"
    )


def _wall(table: str, service: str, privileges: str) -> str:
    table, role = _name(table), f"{_name(service)}_app"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n"
        f"CREATE POLICY one_tenant ON {table} TO {role} "
        f"USING (tenant_id = {_TENANT}) WITH CHECK (tenant_id = {_TENANT});\n"
        f"GRANT {privileges} ON {table} TO {role};"
    )


def _name(identifier: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,48}", identifier):
        raise ValueError("not a plain SQL name")
    return identifier
