"""Say what an application should do with a subject now."""

from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification.domain.decision import Decision, Policy, decide
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.store import subjects as store
from services.verification.store.policies import policy_of


class PolicyUnknown(Exception):  # noqa: N818
    """The application's policy has not arrived; guessing "off" would open every door."""


@dataclass(frozen=True)
class Decide:
    """Decides from this service's own copies; no other service is asked."""

    pool: Pool
    data_keys: DataKeys

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str
    ) -> tuple[Decision, Policy]:
        """Return the decision and the policy behind it; raises PolicyUnknown."""
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        async with tenant_transaction(self.pool, tenant) as tx:
            policy = await policy_of(tx, tenant, application_id)
            if policy is None:
                raise PolicyUnknown
            enrolled = await store.enrolled_factors(tx, lookup_digest(key.key, subject))
        return decide(policy, enrolled), policy
