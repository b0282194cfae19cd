"""Which event leads to what."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.enrollment import RESET_APPLIED
from contracts.envelope import data_of, subject_ref_of
from contracts.policy import APPLICATION_STATE, POLICY_STATE
from contracts.topics import APPLICATIONS, EVENTS, POLICIES
from contracts.verification import CREDENTIAL_FORGOTTEN
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.messaging.copies import keep_copy
from libs.postgres.pool import Connection
from services.recovery.use_cases.follow import FollowReset

# Few and urgent, policies and keys do not wait behind everybody's events.
GROUPS = {
    Service.RECOVERY.value: (EVENTS.name,),
    f"{Service.RECOVERY}.settings": (POLICIES.name, APPLICATIONS.name),
}


@dataclass(frozen=True)
class Events:
    """Parses the contract and calls the use case."""

    follow: FollowReset

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each event type; all others are skipped."""
        return {
            RESET_APPLIED.name: self.reset_applied,
            CREDENTIAL_FORGOTTEN.name: self.credential_forgotten,
            POLICY_STATE.name: self.policy,
            APPLICATION_STATE.name: self.application,
        }

    async def reset_applied(self, tx: Connection, event: CloudEvent) -> None:
        applied = data_of(RESET_APPLIED, event)
        await self.follow.removed(
            tx,
            tenant=event.tenant,
            reset_id=applied.reset_id,
            authenticators=applied.authenticators,
        )

    async def credential_forgotten(self, tx: Connection, event: CloudEvent) -> None:
        forgotten = data_of(CREDENTIAL_FORGOTTEN, event)
        await self.follow.forgotten(
            tx,
            tenant=event.tenant,
            subject=subject_ref_of(event),
            authenticator_id=forgotten.authenticator_id,
        )

    async def policy(self, tx: Connection, event: CloudEvent) -> None:
        data_of(POLICY_STATE, event)
        await keep_copy(POLICIES.name)(tx, event)

    async def application(self, tx: Connection, event: CloudEvent) -> None:
        data_of(APPLICATION_STATE, event)
        await keep_copy(APPLICATIONS.name)(tx, event)
