"""Every factor, proofs of presence, and going on on another device."""

from alembic import op

from libs.messaging.tables import tenant_wall, worker_access

revision = "0002"
down_revision = "0001"

# What a factor has not is empty: a PIN has digits only, a passkey nothing of these.
_COLUMNS = """
ALTER TABLE enrollment
    ALTER algorithm DROP NOT NULL, ALTER digits DROP NOT NULL, ALTER period DROP NOT NULL,
    ADD counter bigint, ADD sealed_label bytea,
    ADD vouched boolean NOT NULL DEFAULT false, ADD vouched_by uuid, ADD token_id uuid,
    ADD erased boolean NOT NULL DEFAULT false;
CREATE INDEX ON enrollment (expires) WHERE NOT erased;
ALTER TABLE authenticator
    ALTER algorithm DROP NOT NULL, ALTER digits DROP NOT NULL, ALTER period DROP NOT NULL;
"""
_TABLES = """
CREATE TABLE presence (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON presence (expires);

CREATE TABLE sent_code (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    application_id uuid NOT NULL,
    enrollment_id uuid,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'voice')),
    to_digest bytea NOT NULL,
    digest bytea NOT NULL,
    sealed bytea,
    status text NOT NULL
        CHECK (status IN ('open', 'used', 'replaced', 'exhausted', 'expired')),
    tries_left integer NOT NULL CHECK (tries_left >= 0),
    claimed_by uuid,
    sent timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_ref) REFERENCES subject (tenant_id, id),
    CHECK (status = 'open' OR sealed IS NULL)
);
CREATE INDEX ON sent_code (tenant_id, subject_ref);
CREATE INDEX ON sent_code (tenant_id, enrollment_id);
CREATE INDEX ON sent_code (tenant_id, to_digest, sent);
CREATE INDEX ON sent_code (sent);
CREATE INDEX ON sent_code (expires) WHERE status = 'open';

CREATE TABLE handover (
    tenant_id uuid NOT NULL,
    enrollment_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    link_digest bytea NOT NULL,
    code_digest bytea NOT NULL,
    tries_left integer NOT NULL CHECK (tries_left >= 0),
    expires timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, enrollment_id),
    FOREIGN KEY (tenant_id, enrollment_id) REFERENCES enrollment (tenant_id, id) ON DELETE CASCADE,
    UNIQUE (tenant_id, link_digest)
);
CREATE INDEX ON handover (tenant_id, subject_ref);
CREATE INDEX ON handover (expires);
"""


_FORGETS_CODES = "SELECT (tenant_id, id, sent, expires, status), UPDATE (status, sealed), DELETE"


def upgrade() -> None:
    service = "enrollment"
    op.execute(_COLUMNS)
    op.execute(_TABLES)
    for table, key in (("presence", "id"), ("handover", "enrollment_id")):
        op.execute(tenant_wall(table, service))
        op.execute(worker_access(table, service, f"SELECT (tenant_id, {key}, expires), DELETE"))
    op.execute(tenant_wall("sent_code", service))
    op.execute(worker_access("sent_code", service, _FORGETS_CODES))
    op.execute(
        "GRANT SELECT (erased), UPDATE (erased, sealed_label) ON enrollment TO enrollment_worker"
    )
