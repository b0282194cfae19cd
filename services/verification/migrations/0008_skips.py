"""How often enrolling was put off; whose attributes have arrived; what a device is trusted on."""

from alembic import op

from libs.messaging.tables import tenant_wall, worker_access

revision = "skips"
down_revision = "answers"

# Under the digest by which a subject is found, because somebody may put off enrolling before policy
# has said who they are; `subject_ref` comes as soon as that is known.
_SKIPS = """
CREATE TABLE skip (
    tenant_id uuid NOT NULL,
    lookup bytea NOT NULL,
    rule text NOT NULL,
    used integer NOT NULL,
    skipped_at timestamptz NOT NULL,
    subject_ref uuid,
    PRIMARY KEY (tenant_id, lookup, rule)
);
CREATE INDEX ON skip (tenant_id, subject_ref);
CREATE INDEX ON skip (skipped_at) WHERE subject_ref IS NULL;

CREATE TABLE skip_answer (
    tenant_id uuid NOT NULL,
    application_id uuid NOT NULL,
    idempotency_key bytea NOT NULL,
    request bytea NOT NULL,
    skips_left integer,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, application_id, idempotency_key)
);
CREATE INDEX ON skip_answer (at);
"""

# Of who has none nobody can tell whether they were kept: such rows are of before there were any.
_ATTRIBUTES = """
ALTER TABLE subject ADD COLUMN attributes_known boolean NOT NULL DEFAULT false;
UPDATE subject SET attributes_known = true WHERE user_type IS NOT NULL OR groups <> '{}';
"""

# A removal forgets all devices, so each was remembered on the word of an authenticator that still
# counts. Where that may be one of several kinds it stays unknown: such a device is asked once more.
_DEVICES = """
ALTER TABLE device ADD COLUMN factor text;
UPDATE device d SET factor = a.factor FROM (
    SELECT tenant_id, subject_ref, min(factor) AS factor FROM authenticator
    WHERE status = 'active' GROUP BY 1, 2 HAVING count(DISTINCT factor) = 1
) a WHERE a.tenant_id = d.tenant_id AND a.subject_ref = d.subject_ref;
"""


def upgrade() -> None:
    service = "verification"
    op.execute(_SKIPS)
    for table in ("skip", "skip_answer"):
        op.execute(tenant_wall(table, service))
    op.execute(worker_access("skip", service, "SELECT (subject_ref, skipped_at), DELETE"))
    op.execute(worker_access("skip_answer", service, "SELECT (at), DELETE"))
    op.execute(_ATTRIBUTES)
    op.execute(_DEVICES)
