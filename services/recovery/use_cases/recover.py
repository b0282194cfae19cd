"""Use a recovery key: it is spent, and a reset begins; used again soon, it names that reset."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from contracts.decisions import asked
from contracts.envelope import application_key
from contracts.policy import ApplicationState, PolicyState
from contracts.rules import Login, RecoveryMeans
from contracts.topics import APPLICATIONS, EVENTS, POLICIES
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.copies import copies_of, copy_of
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.internal_client import Refused, Unreachable
from services.recovery import announcements
from services.recovery.domain.outcome import Recovered, RecoveryRefused
from services.recovery.domain.recovery_key import TypedKey, same_secret
from services.recovery.domain.tries import one_more
from services.recovery.gateways import KnownSubject, Owners
from services.recovery.store import keys, resets

_LOG = structlog.get_logger("recovery")
_REPEATED_FOR = timedelta(minutes=15)


class PolicyUnknown(Exception):  # noqa: N818
    """An application's policy has not arrived: nobody can say which means are allowed."""


@dataclass(frozen=True)
class Recover:
    """Judges recovery keys."""

    pool: Pool
    owners: Owners
    clock: Clock

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str, typed: TypedKey
    ) -> Recovered | RecoveryRefused:
        """Judge a typed key.

        Raises Unreachable where policy cannot say who the subject is, and PolicyUnknown. A key that
        the rules do not let this person use is as good as a wrong one: another answer would tell
        strangers of whom which rule is.
        """
        # First, so that its absence is the same for strangers.
        async with tenant_transaction(self.pool, tenant) as tx:
            await _policy(tx, tenant, application_id)
        known = await self.owners.resolve(tenant, subject)
        if known is None:
            return RecoveryRefused.WRONG_KEY
        about = known.subject_ref
        async with tenant_transaction(self.pool, tenant) as tx:
            tried = one_more(await keys.lock_tries(tx, tenant, about), self.clock())
            if tried is None:
                return RecoveryRefused.TOO_MANY_TRIES
            stored = await keys.lock_by_selector(tx, typed.selector)
            if stored is not None and _is_of(stored, about, typed):
                # Only for who has the right key: all rules may be seconds of work.
                may_recover = await self._may_recover(tx, tenant, application_id, known)
                recovered = await self._use(tx, tenant, stored) if may_recover else None
                if recovered is not None:
                    return recovered
            await keys.save_tries(tx, about, tried)
            event = announcements.recovery_refused(tenant, about, now=self.clock())
            await announce(tx, topic=EVENTS.name, event=event)
            return RecoveryRefused.WRONG_KEY

    async def take_effect(self, *, tenant: UUID, reset_id: UUID) -> bool:
        """Have the reset applied now; False where the event will make it true later."""
        async with tenant_transaction(self.pool, tenant) as tx:
            reset = await resets.find(tx, reset_id)
        if reset is None:
            return False
        try:
            return await self.owners.apply_reset(tenant, reset.subject_ref, reset_id=reset_id)
        except (Unreachable, Refused) as error:
            _LOG.error("reset pending", reset_id=str(reset_id), cause=type(error).__name__)
            return False

    async def _may_recover(
        self, tx: Connection, tenant: UUID, application_id: UUID, known: KnownSubject
    ) -> bool:
        """Ask the rules of this application, and of all in which people log in.

        The authenticators of a person are the same for all of them, and so is a reset.
        """
        now = self.clock()
        for asking in {application_id, *await _where_people_log_in(tx)}:
            # One at a time, so that others have their turn.
            policy = await _policy(tx, tenant, asking)
            if not _is_allowed(PolicyState.model_validate(policy), known, now):
                return False
        return True

    async def _use(self, tx: Connection, tenant: UUID, key: keys.StoredKey) -> Recovered | None:
        if key.status in ("issued", "acknowledged"):
            return await self._begin(tx, tenant, key)
        if key.reset_id is None:
            return None
        # The answer may have been lost: for a while, the same key gives the same answer.
        begun = await resets.find(tx, key.reset_id)
        if begun is None or self.clock() - begun.requested_at >= _REPEATED_FOR:
            return None
        return Recovered(begun.reset_id)

    async def _begin(self, tx: Connection, tenant: UUID, key: keys.StoredKey) -> Recovered:
        now, reset_id, subject = self.clock(), new_id(), key.subject_ref
        await keys.spend(tx, key, reset_id=reset_id)
        await resets.add(tx, tenant=tenant, reset_id=reset_id, subject=subject, now=now)
        for event in (
            announcements.recovery_used(tenant, subject, reset_id=reset_id, now=now),
            announcements.reset_requested(tenant, subject, reset_id=reset_id, now=now),
        ):
            await announce(tx, topic=EVENTS.name, event=event)
        return Recovered(reset_id)


def _is_of(stored: keys.StoredKey, subject: UUID, typed: TypedKey) -> bool:
    right = same_secret(stored.digest, typed)
    return right and stored.subject_ref == subject


async def _policy(tx: Connection, tenant: UUID, application_id: UUID) -> dict[str, object]:
    state = await copy_of(tx, POLICIES.name, application_key(tenant, application_id))
    if state is None:
        raise PolicyUnknown
    return state


async def _where_people_log_in(tx: Connection) -> list[UUID]:
    copies = await copies_of(tx, APPLICATIONS.name)
    states = [ApplicationState.model_validate(one) for one in copies]
    return [state.application_id for state in states if state.asks]


def _is_allowed(policy: PolicyState, known: KnownSubject, now: datetime) -> bool:
    login = Login(
        policy.application_id,
        known.subject_ref,
        known.user_type,
        known.groups or (),
        known=known.groups is not None,
    )
    ask = asked(policy.rules, login, now, otherwise=policy.own_terms)
    return RecoveryMeans.RECOVERY_KEY in ask.recovery
