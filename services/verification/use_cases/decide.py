"""Say what an application should do with a subject now."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.decisions import Asked, Decision, decide
from contracts.rules import Login, PassedOver
from contracts.vocabulary import DecisionKind
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification.domain.decision import Policy, asked, explained, remembered
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
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
    kept: Kept | None = None


@dataclass(frozen=True)
class Decide:
    """Decides from this service's own copies; no other service is asked."""

    pool: Pool
    data_keys: DataKeys
    devices: Devices
    clock: Clock

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str, device: str | None = None
    ) -> Decided:
        """Return the decision; raises PolicyUnknown. `device` is the token that it keeps."""
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        lookup = lookup_digest(key.key, subject)
        shown = await self.devices.shown(tenant, device) if device is not None else None
        async with tenant_transaction(self.pool, tenant) as tx:
            decided = await self._decided(tx, tenant, application_id, lookup)
            if shown is None or decided.decision.kind is not DecisionKind.CHALLENGE:
                return decided
            kept = await self.devices.known(
                tx, shown, tenant=tenant, application=application_id, lookup=lookup
            )
        if kept is None:
            return decided
        decision = remembered(decided.decision)
        return Decided(decision, decided.policy, decided.ask, decided.passed_over, kept)

    async def _decided(
        self, tx: Connection, tenant: UUID, application_id: UUID, lookup: bytes
    ) -> Decided:
        policy = await policy_of(tx, tenant, application_id)
        if policy is None:
            raise PolicyUnknown
        who, now = await store.enrolled_factors(tx, lookup), self.clock()
        login = _login(application_id, who)
        ask = asked(policy, login, now)
        decision = decide(ask, who.factors if who is not None else ())
        return Decided(decision, policy, ask, explained(policy, login, now))


def _login(application_id: UUID, who: store.Enrolled | None) -> Login:
    if who is None:
        return Login(application_id, known=False)
    return Login(application_id, who.subject_ref, who.user_type, who.groups)
