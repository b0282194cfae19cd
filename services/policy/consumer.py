"""Which event leads to what: policy notes who has enrolled what."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.enrollment import AUTHENTICATOR_REMOVED, ENROLLED
from contracts.envelope import data_of, subject_ref_of
from contracts.topics import EVENTS
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.postgres.pool import Connection
from services.policy.store.readiness import note_enrolled, note_removed

GROUPS = {Service.POLICY.value: (EVENTS.name,)}


@dataclass(frozen=True)
class Events:
    """Parses the contract and notes what it says."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each event type; all others are skipped."""
        return {
            ENROLLED.name: self.enrolled,
            AUTHENTICATOR_REMOVED.name: self.authenticator_removed,
        }

    async def enrolled(self, tx: Connection, event: CloudEvent) -> None:
        about, subject = data_of(ENROLLED, event), subject_ref_of(event)
        await note_enrolled(tx, event.tenant, subject, about.authenticator_id, about.factor)

    async def authenticator_removed(self, tx: Connection, event: CloudEvent) -> None:
        about, subject = data_of(AUTHENTICATOR_REMOVED, event), subject_ref_of(event)
        await note_removed(tx, event.tenant, subject, about.authenticator_id, about.factor)
