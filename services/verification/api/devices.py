"""The devices that an application remembers: list them, forget one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.roles import Right
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.problems import no_such_device
from services.verification.api.schemas import DeviceList, DeviceSearch, DeviceShown
from services.verification.use_cases.devices import Devices


def device_routes(devices: Devices, find: FindCaller) -> APIRouter:
    router = APIRouter(prefix="/v1/devices", tags=["devices"])
    # Whoever may have a device remembered may have it forgotten: its own ones only. Who helps
    # somebody that has lost one does so for all applications of the tenant.
    may_ask = Depends(caller_with(Scope.VERIFY, find, also=(Right.SUPPORT,)))

    @router.post(
        "/search",
        summary="List somebody's remembered devices",
        description="Those of this application; whoever may help people (the right `support`)"
        " sees those of all applications of the tenant. A stranger has none.",
        responses=documented(401, 403, 422),
    )
    async def search_devices(
        body: DeviceSearch, response: Response, caller: Annotated[Caller, may_ask]
    ) -> DeviceList:
        response.headers["Cache-Control"] = "no-store"
        found = await devices.of_subject(caller.tenant_id, body.subject, application=_whose(caller))
        return DeviceList(
            devices=[
                DeviceShown(
                    id=one.device_id,
                    application=one.application_id,
                    remembered_at=one.remembered_at,
                    last_used=one.rotated_at,
                    expires=one.expires,
                )
                for one in found
            ]
        )

    @router.delete(
        "/{device_id}",
        status_code=204,
        summary="Forget a device",
        description="When this is answered, the device is asked again everywhere.",
        responses=documented(401, 403, 404, 422),
    )
    async def forget_device(device_id: UUID, caller: Annotated[Caller, may_ask]) -> None:
        if not await devices.forget(caller.tenant_id, device_id, application=_whose(caller)):
            raise no_such_device()

    return router


def _whose(caller: Caller) -> UUID | None:
    return None if Right.SUPPORT in caller.scopes else caller.application_id
