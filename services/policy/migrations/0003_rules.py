"""A tenant's rules, in versions, and when which of them came into force."""

from alembic import op

from libs.messaging.tables import tenant_wall

revision = "rules"
down_revision = "0001"

_TABLES = """
CREATE TABLE rules_version (
    tenant_id uuid NOT NULL REFERENCES tenant,
    version integer NOT NULL,
    content jsonb NOT NULL,
    digest text NOT NULL,
    author uuid NOT NULL,
    reason text NOT NULL,
    created timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

CREATE TABLE rules_publication (
    tenant_id uuid NOT NULL,
    number integer NOT NULL,
    version integer NOT NULL,
    published_by uuid NOT NULL,
    reason text NOT NULL,
    published timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number),
    FOREIGN KEY (tenant_id, version) REFERENCES rules_version
);

-- How many days ahead it was said that a rule will require something.
CREATE TABLE enforcement_said (
    tenant_id uuid NOT NULL,
    version integer NOT NULL,
    rule text NOT NULL,
    days integer NOT NULL,
    PRIMARY KEY (tenant_id, version, rule, days),
    FOREIGN KEY (tenant_id, version) REFERENCES rules_version
);

ALTER TABLE policy_version
    ADD COLUMN rules jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN rules_version integer,
    ADD COLUMN rules_digest text;
"""

# A version is what it is, for ever.
_IMMUTABLE = """
REVOKE UPDATE, DELETE ON rules_version, rules_publication FROM policy_app;
"""

# The worker hears whose calendars there are, and nothing of what they say.
_WHO_HAS_RULES = """
CREATE POLICY worker_sees_all ON rules_publication TO policy_worker USING (true);
GRANT SELECT (tenant_id) ON rules_publication TO policy_worker;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for table in ("rules_version", "rules_publication", "enforcement_said"):
        op.execute(tenant_wall(table, "policy"))
    op.execute(_IMMUTABLE)
    op.execute(_WHO_HAS_RULES)
