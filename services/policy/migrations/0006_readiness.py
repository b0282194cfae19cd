"""Who has enrolled what, and how often people log in: what a simulation looks at.

What was said of a rule and a day is said, whatever version of the rules it stands in.
"""

from alembic import op

from libs.messaging.tables import tenant_wall, worker_access

revision = "readiness"
down_revision = "roles"

_TABLES = """
CREATE TABLE enrolled (
    tenant_id uuid NOT NULL,
    authenticator_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    factor text NOT NULL,
    removed boolean NOT NULL,
    PRIMARY KEY (tenant_id, authenticator_id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject
);
CREATE INDEX enrolled_of ON enrolled (tenant_id, subject_ref);

CREATE TABLE login_day (
    tenant_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    application_id uuid NOT NULL,
    day date NOT NULL,
    factor text NOT NULL,
    logins integer NOT NULL,
    PRIMARY KEY (tenant_id, subject_ref, application_id, day, factor)
) WITH (fillfactor = 70);
CREATE INDEX login_day_day ON login_day USING brin (day);

-- How far the logins of a partition of mfa.events are counted.
CREATE TABLE login_read (
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    following bigint NOT NULL,
    PRIMARY KEY (topic, kafka_partition)
);
GRANT SELECT, INSERT, UPDATE ON login_read TO policy_worker;

-- Which day it was is not known of what was said before: at most it is said once more.
DELETE FROM enforcement_said;
ALTER TABLE enforcement_said DROP COLUMN version, ADD COLUMN starts timestamptz NOT NULL;
ALTER TABLE enforcement_said ADD PRIMARY KEY (tenant_id, rule, starts, days);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for table in ("enrolled", "login_day"):
        op.execute(tenant_wall(table, "policy"))
    op.execute(worker_access("login_day", "policy", "SELECT, INSERT, UPDATE, DELETE"))
