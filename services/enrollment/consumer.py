"""Which event leads to what."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.envelope import data_of, subject_ref_of
from contracts.policy import APPLICATION_STATE, POLICY_STATE, SUBJECT_STATE
from contracts.recovery import RESET_REQUESTED
from contracts.topics import APPLICATIONS, EVENTS, POLICIES, SUBJECTS
from contracts.verification import CREDENTIAL_FORGOTTEN
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.messaging.copies import keep_copy
from libs.postgres.pool import Connection
from services.enrollment.use_cases.remove import Remove

# Few and urgent, policies and keys do not wait behind a hundred thousand people.
GROUPS = {
    Service.ENROLLMENT.value: (EVENTS.name, SUBJECTS.name),
    f"{Service.ENROLLMENT}.settings": (POLICIES.name, APPLICATIONS.name),
}


@dataclass(frozen=True)
class Events:
    """Parses the contract and calls the use case."""

    remove: Remove

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each event type; all others are skipped."""
        return {
            RESET_REQUESTED.name: self.reset_requested,
            CREDENTIAL_FORGOTTEN.name: self.credential_forgotten,
            SUBJECT_STATE.name: self.subject,
            POLICY_STATE.name: self.policy,
            APPLICATION_STATE.name: self.application,
        }

    async def reset_requested(self, tx: Connection, event: CloudEvent) -> None:
        requested = data_of(RESET_REQUESTED, event)
        await self.remove.apply_reset(
            tx, event.tenant, subject_ref_of(event), reset_id=requested.reset_id
        )

    async def credential_forgotten(self, tx: Connection, event: CloudEvent) -> None:
        forgotten = data_of(CREDENTIAL_FORGOTTEN, event)
        await self.remove.forgotten(
            tx,
            event.tenant,
            subject_ref_of(event),
            authenticator_id=forgotten.authenticator_id,
        )

    async def subject(self, tx: Connection, event: CloudEvent) -> None:
        state = data_of(SUBJECT_STATE, event)
        if state.deleted:
            await self.remove.forget_person(tx, event.tenant, state.subject_ref)

    async def policy(self, tx: Connection, event: CloudEvent) -> None:
        data_of(POLICY_STATE, event)
        await keep_copy(POLICIES.name)(tx, event)

    async def application(self, tx: Connection, event: CloudEvent) -> None:
        data_of(APPLICATION_STATE, event)
        await keep_copy(APPLICATIONS.name)(tx, event)
