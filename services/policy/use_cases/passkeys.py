"""An application is told where it uses passkeys, or that it uses none."""

from dataclasses import dataclass
from uuid import UUID

from contracts.passkeys import PasskeyParty
from contracts.policy import Change
from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import application_changed
from services.policy.domain.application import Application, with_passkeys
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.applications import lock_application, save_passkeys
from services.policy.use_cases.acting import lock_for


@dataclass(frozen=True)
class Passkeys:
    """What a tenant may do with the relying parties of its applications."""

    pool: Pool
    clock: Clock

    async def put(
        self, caller: Caller, application_id: UUID, party: PasskeyParty | None
    ) -> Application | Refusal:
        """Make this the application's relying party; nothing changes where it already is."""
        tenant, by, now = caller.tenant_id, caller.key_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            stored = await lock_application(tx, tenant, application_id)
            if stored is None:
                return Refusal.UNKNOWN
            changed = with_passkeys(stored, party)
            if changed == stored:
                return stored
            await save_passkeys(tx, tenant, changed)
            said = application_changed(
                tenant, changed, change=Change.UPDATED, key_id=None, changed_by=by, now=now
            )
            await announce_all(tx, said)
        return changed
