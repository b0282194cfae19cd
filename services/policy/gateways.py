"""Calls to other services' internal routes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts.internal import PUSH_APPLICATION, Done, InternalRoute, PushApplication
from contracts.policy import ApplicationState
from contracts.vocabulary import Service
from libs.web.internal_client import InternalClient, Refused, Unreachable

_LOG = structlog.get_logger("policy")


@dataclass
class Keepers:
    """The services that let applications in by their own copy of the keys.

    `pending` counts the pushes that one of them did not commit.
    """

    clients: Mapping[Service, InternalClient]
    pending: int = 0

    async def push(self, tenant: UUID, state: ApplicationState) -> bool:
        """Tell whether all have committed this state; if not, the event makes it true."""
        body = PushApplication(tenant=tenant, state=state).model_dump(mode="json")
        committed = await asyncio.gather(*(self._push(route, body) for route in PUSH_APPLICATION))
        if not all(committed):
            self.pending += 1
        return all(committed)

    async def _push(self, route: InternalRoute, body: dict[str, object]) -> bool:
        try:
            answer = await self.clients[route.service].post(route.path, body)
            effective = Done.model_validate(answer).effective
            cause = "not effective yet"
        except (Unreachable, Refused, ValidationError) as error:
            effective, cause = False, type(error).__name__
        if not effective:
            _LOG.error("revocation pending", keeper=route.service.value, cause=cause)
        return effective
