"""Messages and where they stand."""

from alembic import op

from libs.messaging.tables import messaging_tables, tenant_wall, worker_access
from libs.service.plumbing import INTERNAL_CALL_TABLE

revision = "0001"
down_revision = None

# `due` is when the next try may begin; of a message that is being sent, when its sender must have
# died. `caused_by` is unique: one message for one request.
_TABLES = """
CREATE TABLE message (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    caused_by uuid NOT NULL,
    subject_ref uuid NOT NULL,
    template text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (
        status IN ('pending', 'sending', 'sent', 'failed', 'suppressed', 'unknown')),
    reason text,
    language text,
    happened timestamptz NOT NULL,
    traceparent text,
    tries integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now(),
    created timestamptz NOT NULL DEFAULT now(),
    ended timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, caused_by),
    CHECK ((ended IS NULL) = (status IN ('pending', 'sending')))
) WITH (fillfactor = 70);
CREATE INDEX ON message (due) WHERE status = 'pending';
CREATE INDEX ON message (due) WHERE status = 'sending';
CREATE INDEX ON message (ended) WHERE ended IS NOT NULL;
"""

# Whatever the worker asks for, a message that has not ended stays.
_FORGETS = """
CREATE POLICY worker_forgets_what_ended ON message AS RESTRICTIVE FOR DELETE
TO notification_worker USING (ended IS NOT NULL);
"""


def upgrade() -> None:
    service = "notification"
    op.execute(messaging_tables(service))
    op.execute(INTERNAL_CALL_TABLE)
    op.execute("GRANT SELECT, INSERT, DELETE ON internal_call TO notification_worker")
    op.execute(_TABLES)
    op.execute(tenant_wall("message", service))
    op.execute(worker_access("message", service, "SELECT, UPDATE (due, tries), DELETE"))
    op.execute(_FORGETS)
