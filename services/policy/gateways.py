"""Calls to other services' internal routes."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts.internal import PUSH_APPLICATION, Done, PushApplication
from contracts.policy import ApplicationState
from libs.web.internal_client import InternalClient, Refused, Unreachable

_LOG = structlog.get_logger("policy")


@dataclass
class Verification:
    """Verification, which accepts what application keys ask; `pending` counts failed pushes."""

    client: InternalClient
    pending: int = 0

    async def push(self, tenant: UUID, state: ApplicationState) -> bool:
        """Tell whether verification has committed this state; if not, the event makes it true."""
        body = PushApplication(tenant=tenant, state=state).model_dump(mode="json")
        try:
            answer = await self.client.post(PUSH_APPLICATION.path, body)
            effective = Done.model_validate(answer).effective
            cause = "not effective yet"
        except (Unreachable, Refused, ValidationError) as error:
            effective, cause = False, type(error).__name__
        if not effective:
            self.pending += 1
            _LOG.error("revocation pending", application=str(state.application_id), cause=cause)
        return effective
