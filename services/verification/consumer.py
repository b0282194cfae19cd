"""Which event leads to what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contracts.credentials import WITH_CODES
from contracts.enrollment import AUTHENTICATOR_REMOVED, ENROLLED
from contracts.envelope import data_of, subject_ref_of
from contracts.internal import RevokedAuthenticator
from contracts.policy import APPLICATION_STATE, POLICY_STATE, SUBJECT_STATE
from contracts.topics import APPLICATIONS, EVENTS, POLICIES, SUBJECTS
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.messaging.copies import keep_copy
from libs.postgres.pool import Connection
from services.verification.store import claims, skips
from services.verification.store import subjects as store
from services.verification.use_cases.credentials import Credentials

# Few and urgent, policies and keys do not wait behind a hundred thousand people.
GROUPS = {
    Service.VERIFICATION.value: (EVENTS.name, SUBJECTS.name),
    f"{Service.VERIFICATION}.settings": (POLICIES.name, APPLICATIONS.name),
}


@dataclass(frozen=True)
class Events:
    """Parses the contract and calls the use case; `wake` tells the claims worker to look."""

    credentials: Credentials
    wake: Callable[[], None]

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each event type; all others are skipped."""
        return {
            ENROLLED.name: self.enrolled,
            AUTHENTICATOR_REMOVED.name: self.authenticator_removed,
            SUBJECT_STATE.name: self.subject,
            POLICY_STATE.name: self.policy,
            APPLICATION_STATE.name: self.application,
        }

    async def enrolled(self, tx: Connection, event: CloudEvent) -> None:
        enrolled = data_of(ENROLLED, event)
        if enrolled.factor not in WITH_CODES:
            # Nothing in it that a code could be judged by: enrollment would not give it.
            return
        await claims.want_credential(
            tx,
            tenant=event.tenant,
            subject=subject_ref_of(event),
            authenticator_id=enrolled.authenticator_id,
            traceparent=event.traceparent,
        )
        self.wake()

    async def authenticator_removed(self, tx: Connection, event: CloudEvent) -> None:
        removed = data_of(AUTHENTICATOR_REMOVED, event)
        await self.credentials.revoke(
            tx,
            tenant=event.tenant,
            subject=subject_ref_of(event),
            revoked=(
                RevokedAuthenticator(
                    authenticator_id=removed.authenticator_id,
                    factor=removed.factor,
                    epoch=removed.epoch,
                ),
            ),
            reset_id=removed.reset_id,
        )

    async def subject(self, tx: Connection, event: CloudEvent) -> None:
        state = data_of(SUBJECT_STATE, event)
        await store.lock_subject(tx, event.tenant, state.subject_ref)
        if state.deleted:
            # First, as long as the name under which it was counted is there.
            await skips.forget(tx, state.subject_ref)
        newer = await store.save_state(
            tx,
            state.subject_ref,
            version=state.version,
            deleted=state.deleted,
            user_type=state.user_type,
            groups=state.groups,
        )
        if newer and state.deleted:
            await self.credentials.forget_person(tx, tenant=event.tenant, subject=state.subject_ref)
        elif newer:
            await claims.want_name(
                tx, tenant=event.tenant, subject=state.subject_ref, traceparent=event.traceparent
            )
            self.wake()

    async def policy(self, tx: Connection, event: CloudEvent) -> None:
        data_of(POLICY_STATE, event)
        await keep_copy(POLICIES.name)(tx, event)

    async def application(self, tx: Connection, event: CloudEvent) -> None:
        data_of(APPLICATION_STATE, event)
        await keep_copy(APPLICATIONS.name)(tx, event)
