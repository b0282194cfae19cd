"""Where an application uses passkeys."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator

from contracts.passkeys import PasskeyParty
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.api.schemas import PasskeysShown
from services.policy.domain.relying_party import checked_rp_id, mistake_of
from services.policy.use_cases.passkeys import Passkeys


class PasskeysBody(BaseModel):
    """`rp_id` is a domain name, or localhost; each of `origins` is of it, or of a name under it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    rp_id: Annotated[StrictStr, Field(max_length=253), AfterValidator(checked_rp_id)]
    origins: Annotated[
        tuple[Annotated[StrictStr, Field(max_length=300)], ...], Field(min_length=1, max_length=10)
    ]

    @model_validator(mode="after")
    def _has_its_own_origins(self) -> Self:
        if mistake := mistake_of(self.party):
            raise ValueError(mistake)
        return self

    @property
    def party(self) -> PasskeyParty:
        """Return what is published."""
        return PasskeyParty(rp_id=self.rp_id, origins=self.origins)


def passkey_routes(passkeys: Passkeys, find: FindCaller) -> APIRouter:
    """Make the routes of an application's relying party."""
    manager = Annotated[Caller, Depends(caller_with(Scope.MANAGE, find))]
    router = APIRouter(
        prefix="/v1/applications/{application_id}/passkeys",
        tags=["applications"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.put(
        "",
        description="The relying party of WebAuthn, and the origins of the pages where people use"
        " their passkeys. With another `rp_id` all passkeys that are enrolled here are useless:"
        " people have to enroll new ones.",
    )
    async def put_passkeys(
        caller: manager, application_id: UUID, body: PasskeysBody
    ) -> PasskeysShown:
        accepted(await passkeys.put(caller, application_id, body.party))
        return PasskeysShown(rp_id=body.rp_id, origins=list(body.origins))

    @router.delete(
        "",
        status_code=204,
        description="The application uses no passkeys any more.",
    )
    async def delete_passkeys(caller: manager, application_id: UUID) -> None:
        accepted(await passkeys.put(caller, application_id, None))

    return router
