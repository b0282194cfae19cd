"""What imports do by the clock: those that nobody goes on with end, old ones are forgotten."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from libs.turns import in_turn
from services.enrollment.domain.imports import ABANDONED_AFTER, KEPT_FOR, State
from services.enrollment.store.import_marks import forget_import, forget_rows
from services.enrollment.store.imports import imports_untouched
from services.enrollment.use_cases.importing import Importing


@dataclass(frozen=True)
class Housekeeping:
    """Looks through all tenants; `worker_pool` sees where something is due."""

    importing: Importing
    worker_pool: Pool

    async def look(self) -> None:
        """Cancel imports that nobody goes on with, and forget those that are over."""
        imports, pool = self.importing.imports, self.worker_pool
        now = imports.clock()
        left = await imports_untouched(pool, [State.RECEIVING], since=now - ABANDONED_AFTER)
        await in_turn(partial(imports.cancel, *one) for one in left)
        over = [State.FINISHED, State.CANCELLED]
        old = await imports_untouched(pool, over, since=now - KEPT_FOR)
        await in_turn(partial(self._forget, *one) for one in old)

    async def _forget(self, tenant: UUID, import_id: UUID) -> None:
        await self.importing.sweep(tenant, import_id)
        forgotten = True
        while forgotten:
            async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
                forgotten = bool(await forget_rows(tx, tenant, import_id))
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            await forget_import(tx, tenant, import_id)
