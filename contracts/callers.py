"""From the copy of mfa.applications and the key of a request to the caller behind it."""

from collections.abc import Callable
from uuid import UUID

from fastapi import APIRouter, Depends

from contracts.envelope import application_key
from contracts.internal import PUSH_APPLICATION, Done, PushApplication
from contracts.policy import ApplicationState
from contracts.roles import rights_of
from contracts.topics import APPLICATIONS
from libs.messaging.copies import save_copy
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.api_keys import KeyParts, same_digest
from libs.web.callers import Caller, FindCaller
from libs.web.identity import InternalCallers
from libs.web.problems import documented


def application_by_id(schema: str) -> str:
    """Return DDL of the one look-up that is made before a tenant is known.

    The function runs as its owner, so that the app role sees one application by its id and, outside
    a tenant's wall, nothing else. Temporary tables come last on its path: they cannot stand in.
    """
    return f"""
CREATE INDEX ON replica ((state->>'application_id')) WHERE topic = '{APPLICATIONS.name}';
CREATE FUNCTION application_by_id(wanted text) RETURNS TABLE (tenant_id uuid, state jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = {schema}, pg_temp
AS $$
    SELECT tenant_id, state FROM replica
    WHERE topic = '{APPLICATIONS.name}' AND state->>'application_id' = wanted AND NOT deleted
$$;
REVOKE ALL ON FUNCTION application_by_id(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION application_by_id(text) TO {schema}_app;
"""  # noqa: S608 - constants


def find_caller(pool: Pool) -> FindCaller:
    """Return the look-up that finds callers in this service's copy; it reads at every request."""

    async def find(parts: KeyParts) -> Caller | None:
        row = await pool.fetchrow(
            "SELECT tenant_id, state FROM application_by_id($1)", str(parts.application_id)
        )
        if row is None:
            return None
        state = ApplicationState.model_validate(row["state"])
        return caller_from(state, tenant=row["tenant_id"], parts=parts)

    return find


def pushed_applications(
    pool: Pool,
    callers: Callable[..., InternalCallers],
    *,
    heard: Callable[[], None] = lambda: None,
) -> APIRouter:
    """Return the route by which policy tells this service of a revoked key before its event.

    `heard` is called when the new state is stored.
    """
    router = APIRouter(tags=["internal"], responses=documented(401, 403, 422))
    route = PUSH_APPLICATION[0]

    @router.post(route.path, dependencies=[Depends(callers(*route.callers))])
    async def push_application(body: PushApplication) -> Done:
        async with tenant_transaction(pool, body.tenant) as tx:
            await save_copy(
                tx,
                tenant=body.tenant,
                topic=APPLICATIONS.name,
                key=application_key(body.tenant, body.state.application_id),
                state=body.state.model_dump(mode="json"),
            )
        heard()
        return Done(effective=True)

    return router


def caller_from(state: ApplicationState, *, tenant: UUID, parts: KeyParts) -> Caller | None:
    """Return the caller whose key this is, or None where no key in force has that digest."""
    found = None
    for key in state.keys:
        # Every key is compared, so that the time tells nothing of which one matched.
        if same_digest(key.digest, parts.digest) and not key.revoked and key.mode == parts.mode:
            found = key
    if found is None or state.deleted:
        return None
    return Caller(
        tenant_id=tenant,
        application_id=state.application_id,
        key_id=found.key_id,
        mode=found.mode,
        scopes=rights_of(found.role, found.scopes),
    )
