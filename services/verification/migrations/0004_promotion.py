"""What is not accepted after a standby was promoted."""

from alembic import op

revision = "promotion"
down_revision = "devices"

# One row: which timeline this database is known to be on, how often codes were fenced off, and
# when for the last time. It is replicated, so it is as old as everything else on a promoted
# standby, and a backup brings its own.
_TABLES = """
CREATE FUNCTION current_timeline() RETURNS integer LANGUAGE sql STABLE
AS $$ SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer $$;

CREATE TABLE promotion (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    timeline integer NOT NULL,
    fences integer NOT NULL DEFAULT 0,
    fenced_at timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO promotion (timeline) SELECT current_timeline();

ALTER TABLE authenticator ADD COLUMN fences integer NOT NULL DEFAULT 0;
"""

_ACCESS = """
GRANT SELECT ON promotion TO verification_app;
GRANT SELECT, UPDATE (timeline, fences, fenced_at) ON promotion TO verification_settle;
GRANT SELECT (period, fences), UPDATE (fences) ON authenticator TO verification_settle;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_ACCESS)
