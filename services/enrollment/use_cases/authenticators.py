"""Show what a subject has enrolled, and under which names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from services.enrollment.domain.authenticator import Authenticator
from services.enrollment.domain.refusals import Refusal
from services.enrollment.store.authenticators import (
    StoredAuthenticator,
    find_authenticator,
    list_authenticators,
    save_name,
)
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Named:
    """An authenticator under the name that its owner gave it, if any."""

    authenticator: Authenticator
    name: str | None = field(repr=False)


@dataclass(frozen=True)
class Authenticators:
    """Finds authenticators; a tenant's applications share them."""

    pool: Pool
    people: People
    sealing: Sealing

    async def of_subject(self, tenant: UUID, subject: str) -> Sequence[Named] | Refusal:
        """Return what the subject has that is not removed for good."""
        known = await self.people.known(tenant, subject)
        if isinstance(known, Refusal):
            return known
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await list_authenticators(tx, known.subject_ref)
        return [await self._named(tenant, one) for one in found]

    async def one(self, tenant: UUID, authenticator_id: UUID) -> Named | Refusal:
        """Return one authenticator, also one that is removed."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await find_authenticator(tx, authenticator_id)
        return await self._named(tenant, found) if found is not None else Refusal.UNKNOWN

    async def rename(
        self, tenant: UUID, authenticator_id: UUID, name: str | None
    ) -> Named | Refusal:
        """Give an authenticator another name, or none."""
        found = await self.one(tenant, authenticator_id)
        if isinstance(found, Refusal):
            return found
        about = found.authenticator
        sealed = (
            await self.sealing.seal_name(tenant, about.subject_ref, authenticator_id, name)
            if name is not None
            else None
        )
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await save_name(tx, authenticator_id, sealed):
                return Refusal.GONE
        return Named(about, name)

    async def _named(self, tenant: UUID, stored: StoredAuthenticator) -> Named:
        about, sealed = stored.authenticator, stored.sealed_name
        if sealed is None:
            return Named(about, None)
        ids = about.subject_ref, about.authenticator_id
        return Named(about, await self.sealing.open_name(tenant, *ids, sealed))
