"""Tenants, for the operator only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header

from libs.web.api_keys import digest_of, same_digest
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import wrong_operator_key
from services.policy.api.schemas import TenantBody, TenantCreated
from services.policy.use_cases.tenants import Tenants


def tenant_routes(tenants: Tenants, *, operator_key_digest: str) -> APIRouter:
    """Make the routes of the operator, who is known by one key."""

    async def operator(authorization: Annotated[str, Header()] = "") -> None:
        kind, _, key = authorization.partition(" ")
        if kind.lower() != "bearer" or not same_digest(operator_key_digest, digest_of(key)):
            raise wrong_operator_key()

    router = APIRouter(
        prefix="/v1/tenants",
        tags=["tenants"],
        dependencies=[Depends(operator), Depends(never_stored)],
        responses={**documented(401, 413, 422)},
    )

    @router.post("", status_code=201)
    async def create_tenant(body: TenantBody) -> TenantCreated:
        made = await tenants.create(body.name)
        return TenantCreated(
            tenant_id=made.tenant_id,
            name=body.name,
            application_id=made.application_id,
            key=made.issued.secret.text,
        )

    return router
