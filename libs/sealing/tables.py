"""What rotation adds to the tables of a service that seals."""

from libs.messaging.tables import tenant_wall, worker_access

# A key that is deleted leaves its name behind: where there was one, no other takes its place.
# `due` is also the lease of whoever is at a rotation, and `epoch` fences an earlier one off.
_TABLES = """
ALTER TABLE data_key
    ADD COLUMN provider text NOT NULL DEFAULT 'file',
    ADD COLUMN retired timestamptz;

CREATE TABLE data_key_destroyed (
    tenant_id uuid NOT NULL,
    purpose text NOT NULL,
    version integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, purpose, version)
);
CREATE FUNCTION note_destroyed_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.data_key_destroyed (tenant_id, purpose, version)'
        ' VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', tg_table_schema)
        USING old.tenant_id, old.purpose, old.version;
    RETURN NULL;
END $$;
CREATE TRIGGER note_destroyed AFTER DELETE ON data_key
    FOR EACH ROW EXECUTE FUNCTION note_destroyed_key();

CREATE TABLE key_purpose (
    purpose text PRIMARY KEY,
    columns text[] NOT NULL,
    kept_because text,
    CHECK (kept_because IS NULL OR columns = '{}')
);

CREATE TABLE key_rotation (
    tenant_id uuid NOT NULL,
    purpose text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('wrapping', 'data')),
    state text NOT NULL DEFAULT 'asked'
        CHECK (state IN ('asked', 'adopting', 'sweeping', 'retired', 'done')),
    asked timestamptz NOT NULL DEFAULT now(),
    due timestamptz NOT NULL DEFAULT now(),
    epoch bigint NOT NULL DEFAULT 0,
    version integer,
    resealed bigint NOT NULL DEFAULT 0,
    trouble text,
    PRIMARY KEY (tenant_id, purpose, kind)
) WITH (fillfactor = 70);
CREATE INDEX ON key_rotation (due) WHERE state <> 'done';
"""


def rotation_tables(service: str) -> str:
    """Return the DDL; the service's `data_key` table must exist."""
    return "\n".join(
        [
            _TABLES,
            *(tenant_wall(table, service) for table in ("data_key_destroyed", "key_rotation")),
            worker_access("key_rotation", service, "SELECT, UPDATE"),
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON key_purpose TO {service}_worker;",
        ]
    )
