"""Say what an application should do with a subject now."""

from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification.domain.decision import Decision, DecisionKind, decide, remembered
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.store import subjects as store
from services.verification.store.policies import policy_of
from services.verification.use_cases.devices import Devices, Kept


class PolicyUnknown(Exception):  # noqa: N818
    """The application's policy has not arrived; guessing "off" would open every door."""


@dataclass(frozen=True)
class Decided:
    """A decision, the policy's version behind it, and what a remembered device keeps now."""

    decision: Decision
    policy_version: int
    kept: Kept | None = None


@dataclass(frozen=True)
class Decide:
    """Decides from this service's own copies; no other service is asked."""

    pool: Pool
    data_keys: DataKeys
    devices: Devices

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str, device: str | None = None
    ) -> Decided:
        """Return the decision; raises PolicyUnknown. `device` is the token that it keeps."""
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        lookup = lookup_digest(key.key, subject)
        shown = await self.devices.shown(tenant, device) if device is not None else None
        async with tenant_transaction(self.pool, tenant) as tx:
            policy = await policy_of(tx, tenant, application_id)
            if policy is None:
                raise PolicyUnknown
            decision = decide(policy, await store.enrolled_factors(tx, lookup))
            if shown is None or decision.kind is not DecisionKind.CHALLENGE:
                return Decided(decision, policy.version)
            kept = await self.devices.known(
                tx, shown, tenant=tenant, application=application_id, lookup=lookup
            )
        return Decided(remembered(decision) if kept else decision, policy.version, kept)
