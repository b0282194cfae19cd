"""The plumbing, and what policy owns: tenants, applications, keys, policies, subjects, claims."""

from alembic import op

from libs.messaging.tables import messaging_tables, tenant_wall
from libs.sealing.data_keys import DATA_KEY_TABLE
from libs.service.plumbing import INTERNAL_CALL_TABLE

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL,
    created timestamptz NOT NULL
);

CREATE TABLE application (
    tenant_id uuid NOT NULL REFERENCES tenant,
    application_id uuid NOT NULL UNIQUE,
    name text NOT NULL,
    version bigint NOT NULL,
    created timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, application_id)
);

CREATE TABLE application_key (
    tenant_id uuid NOT NULL,
    key_id uuid NOT NULL,
    application_id uuid NOT NULL,
    digest text NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    mode text NOT NULL,
    revoked boolean NOT NULL,
    revoked_at timestamptz,
    created timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, application_id) REFERENCES application
);
CREATE INDEX application_key_of ON application_key (tenant_id, application_id);

CREATE TABLE policy_version (
    tenant_id uuid NOT NULL,
    application_id uuid NOT NULL,
    version bigint NOT NULL,
    requirement text NOT NULL,
    factors text[] NOT NULL,
    changed_by uuid NOT NULL,
    created timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, application_id, version),
    FOREIGN KEY (tenant_id, application_id) REFERENCES application
);

CREATE TABLE subject (
    tenant_id uuid NOT NULL REFERENCES tenant,
    subject_ref uuid NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL,
    sealed bytea,
    subject_digest bytea,
    label_digest bytea,
    user_type text,
    groups text[] NOT NULL,
    language text NOT NULL,
    PRIMARY KEY (tenant_id, subject_ref),
    UNIQUE (tenant_id, subject_digest),
    UNIQUE (tenant_id, label_digest),
    CHECK (deleted = (sealed IS NULL)),
    CHECK (deleted = (subject_digest IS NULL)),
    CHECK (deleted = (label_digest IS NULL))
);

CREATE TABLE contact_claim (
    tenant_id uuid NOT NULL,
    caused_by uuid NOT NULL,
    subject_ref uuid NOT NULL,
    claimed_by uuid NOT NULL,
    expires timestamptz NOT NULL,
    acknowledged boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, caused_by),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject
);
CREATE INDEX contact_claim_expires ON contact_claim (tenant_id, expires);
"""

# A key names its application, and only the application tells the tenant: one id in, one id out.
_TENANT_OF_APPLICATION = """
CREATE FUNCTION tenant_of_application(wanted uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = policy, pg_temp
AS $$ SELECT tenant_id FROM application WHERE application_id = wanted $$;
REVOKE ALL ON FUNCTION tenant_of_application(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_application(uuid) TO policy_app;
"""

_WALLED = (
    "data_key",
    "tenant",
    "application",
    "application_key",
    "policy_version",
    "subject",
    "contact_claim",
)


def upgrade() -> None:
    op.execute(messaging_tables("policy"))
    op.execute(INTERNAL_CALL_TABLE)
    op.execute("GRANT SELECT, INSERT, DELETE ON internal_call TO policy_worker")
    op.execute(DATA_KEY_TABLE)
    op.execute(_TABLES)
    for table in _WALLED:
        op.execute(tenant_wall(table, "policy"))
    op.execute(_TENANT_OF_APPLICATION)
