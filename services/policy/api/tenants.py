"""Tenants, for the operator only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer

from libs.web.api_keys import digest_of, same_digest
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import wrong_operator_key
from services.policy.api.schemas import TenantBody, TenantCreated
from services.policy.use_cases.tenants import Tenants

# For OpenAPI only, as libs/web/callers.py has it for applications.
_OPERATOR_KEY = HTTPBearer(
    scheme_name="operator key",
    description="`Authorization: Bearer ...` with the one key of whoever runs Watchword.",
    auto_error=False,
)


def tenant_routes(tenants: Tenants, *, operator_key_digest: str) -> APIRouter:
    """Make the routes of the operator, who is known by one key."""

    async def operator(
        request: Request, _documented: Annotated[object, Depends(_OPERATOR_KEY)]
    ) -> None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not same_digest(operator_key_digest, digest_of(key)):
            raise wrong_operator_key()

    router = APIRouter(
        prefix="/v1/tenants",
        tags=["tenants"],
        dependencies=[Depends(operator), Depends(never_stored)],
        responses={**documented(401, 422)},
    )

    @router.post(
        "",
        status_code=201,
        description="The tenant has a first application; its manage key is shown this once.",
    )
    async def create_tenant(body: TenantBody) -> TenantCreated:
        made = await tenants.create(body.name)
        return TenantCreated(
            tenant_id=made.tenant_id,
            name=body.name,
            application_id=made.application_id,
            key=made.issued.secret.text,
        )

    return router
