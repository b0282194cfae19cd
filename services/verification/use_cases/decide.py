"""Say what an application should do with a subject now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from contracts.decisions import Asked, Decision, decide
from contracts.rules import Login, PassedOver
from contracts.vocabulary import DecisionKind
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification.authority import AuthorityWatch
from services.verification.domain.decision import (
    Policy,
    asked,
    explained,
    in_doubt,
    is_matter_of_time,
    remembered,
)
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.settle import ClockOff
from services.verification.store import skips
from services.verification.store import subjects as store
from services.verification.store.policies import policy_of
from services.verification.use_cases.devices import Devices, Kept


class PolicyUnknown(Exception):  # noqa: N818
    """The application's policy has not arrived; guessing "off" would open every door."""


@dataclass(frozen=True)
class Decided:
    """A decision, what it follows from, and what a remembered device keeps now."""

    decision: Decision
    policy: Policy
    ask: Asked
    passed_over: Sequence[tuple[str, PassedOver]]
    in_doubt: PassedOver | None = None
    kept: Kept | None = None


@dataclass(frozen=True)
class Decide:
    """Decides from this service's own copies; no other service is asked.

    A node whose clock is off (`watch`) decides only what is no matter of time.
    """

    pool: Pool
    data_keys: DataKeys
    devices: Devices
    watch: AuthorityWatch
    clock: Clock

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str, device: str | None = None
    ) -> Decided:
        """Return the decision; raises PolicyUnknown, ClockOff.

        `device` is the token that it keeps.
        """
        if device is not None:
            # Whether a device is still remembered is a matter of time.
            self.refuse_clock_off()
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        lookup = lookup_digest(key.key, subject)
        shown = await self.devices.shown(tenant, device) if device is not None else None
        async with tenant_transaction(self.pool, tenant) as tx:
            decided = await self.decided(tx, tenant, application_id, lookup)
            if shown is None or decided.decision.kind is not DecisionKind.CHALLENGE:
                return decided
            about = {"tenant": tenant, "application": application_id}
            factors = decided.decision.factors
            kept = await self.devices.known(tx, shown, lookup=lookup, factors=factors, **about)
        if kept is None:
            return decided
        return replace(decided, decision=remembered(decided.decision), kept=kept)

    async def decided(
        self, tx: Connection, tenant: UUID, application_id: UUID, lookup: bytes
    ) -> Decided:
        """Return the decision without regard to a device; raises PolicyUnknown, ClockOff."""
        policy = await policy_of(tx, tenant, application_id)
        if policy is None:
            raise PolicyUnknown
        who = await store.enrolled_factors(tx, lookup)
        login, now = _login(application_id, who), self.clock()
        if is_matter_of_time(policy, login):
            self.refuse_clock_off()
        ask, enrolled = asked(policy, login, now), who.factors if who is not None else ()
        decision = decide(ask, enrolled)
        if decision.skips_left and ask.rule is not None:
            decision = decide(ask, enrolled, skipped=await skips.used(tx, lookup, ask.rule))
        reasons = explained(policy, login, now), in_doubt(policy, login, now)
        return Decided(decision, policy, ask, *reasons)

    def refuse_clock_off(self) -> None:
        """Raise ClockOff where this node cannot tell what time it is."""
        if self.watch.clock_is_off:
            raise ClockOff("this node's clock is off")


def _login(application_id: UUID, who: store.Enrolled | None) -> Login:
    if who is None:
        return Login(application_id, known=False)
    return who.attributes.of(application_id, who.subject_ref)
