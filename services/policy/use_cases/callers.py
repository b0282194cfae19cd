"""Who is behind an application key."""

from dataclasses import dataclass

from contracts.callers import caller_from
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.api_keys import KeyParts
from libs.web.callers import Caller
from services.policy.announcements import application_state
from services.policy.store.applications import load_application
from services.policy.store.tenants import tenant_of_application


@dataclass(frozen=True)
class Callers:
    """Policy asks its own tables, where a revoked key is refused at once."""

    pool: Pool

    async def find(self, parts: KeyParts) -> Caller | None:
        """Return the caller whose key this is."""
        tenant = await tenant_of_application(self.pool, parts.application_id)
        if tenant is None:
            return None
        async with tenant_transaction(self.pool, tenant) as tx:
            application = await load_application(tx, tenant, parts.application_id)
        if application is None:
            return None
        return caller_from(application_state(application), tenant=tenant, parts=parts)
