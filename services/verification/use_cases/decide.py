"""Say what an application should do with a subject now."""

from dataclasses import dataclass
from uuid import UUID

from contracts.envelope import application_key
from contracts.policy import PolicyState
from contracts.topics import POLICIES
from contracts.vocabulary import Requirement
from libs.messaging.copies import copy_of
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification.domain.decision import Decision, Policy, decide
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.store import subjects as store


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
            enrolled = await store.enrolled_factors(tx, lookup_digest(key.key, subject))
        return decide(policy, enrolled), policy


async def policy_of(tx: Connection, tenant: UUID, application_id: UUID) -> Policy:
    """Return an application's policy from the copy; raises PolicyUnknown."""
    state = await copy_of(tx, POLICIES.name, application_key(tenant, application_id))
    if state is None:
        raise PolicyUnknown
    known = PolicyState.model_validate(state)
    return Policy(
        version=known.version,
        required=known.requirement is Requirement.REQUIRED,
        factors=tuple(known.factors),
    )
