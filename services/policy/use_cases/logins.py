"""Which logins belong to one e-mail address (requirements C4, C5)."""

from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from services.policy.domain.email import same_address
from services.policy.domain.subject import Subject
from services.policy.store import directory as store
from services.policy.use_cases.personal import PersonalSeals

_MOST = 100


@dataclass(frozen=True)
class FoundLogins:
    """The logins; there may be more where they are not `complete`."""

    logins: list[Subject]
    complete: bool


@dataclass(frozen=True)
class Logins:
    """Finds subjects by address."""

    pool: Pool
    seals: PersonalSeals

    async def find(self, tenant: UUID, email: str) -> FoundLogins:
        """Return the logins whose address counts as the same, the oldest first."""
        digest = (await self.seals.keys(tenant)).email_digest(email)
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await store.subjects_of_address(tx, tenant, digest, limit=_MOST + 1)
            complete = len(stored) <= _MOST and not await store.undigested(tx, tenant, limit=1)
        keys = await self.seals.keys(tenant, stored)
        # A row that an earlier release has changed may still be found by its old address.
        logins = [
            subject
            for subject in map(keys.open, stored[:_MOST])
            if subject.personal.email is not None
            and same_address(subject.personal.email) == same_address(email)
        ]
        return FoundLogins(logins, complete=complete)
