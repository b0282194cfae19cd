"""A tenant is locked for somebody who acts; whose key is revoked by then acts no more."""

from libs.postgres.pool import Connection
from libs.web.callers import Caller
from services.policy.domain.owners import Settings
from services.policy.domain.refusals import Refusal
from services.policy.store.applications import load_key
from services.policy.store.tenants import lock_tenant


async def lock_for(tx: Connection, caller: Caller) -> Settings | Refusal:
    """Lock the caller's tenant and return what it has chosen.

    The key was looked at before the lock was there, and may have been revoked while it was waited
    for: a revocation that was answered has to be the last that is heard of a key.
    """
    settings = await lock_tenant(tx, caller.tenant_id)
    key = await load_key(tx, caller.tenant_id, caller.key_id)
    return Refusal.KEY_REVOKED if key.revoked else settings
