"""Which event leads to what: policy notes who has enrolled what."""

from collections.abc import Mapping

from contracts.enrollment import AUTHENTICATOR_REMOVED, ENROLLED
from contracts.envelope import data_of, subject_ref_of
from contracts.topics import EVENTS
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.postgres.pool import Connection
from services.policy.store.readiness import note_enrolled, note_removed

TOPICS = (EVENTS.name,)


def handlers() -> Mapping[str, Handler]:
    """Return the handler of each event type; all others are skipped."""
    return {ENROLLED.name: enrolled, AUTHENTICATOR_REMOVED.name: removed}


async def enrolled(tx: Connection, event: CloudEvent) -> None:
    """Note an authenticator."""
    about = data_of(ENROLLED, event)
    subject = subject_ref_of(event)
    await note_enrolled(tx, event.tenant, subject, about.authenticator_id, about.factor)


async def removed(tx: Connection, event: CloudEvent) -> None:
    """Note that an authenticator is gone."""
    about = data_of(AUTHENTICATOR_REMOVED, event)
    subject = subject_ref_of(event)
    await note_removed(tx, event.tenant, subject, about.authenticator_id, about.factor)
