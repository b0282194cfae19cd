"""The places in front of the door: who comes when they are taken is sent away before any work."""

import asyncio
from collections import Counter
from contextlib import suppress
from uuid import UUID

import structlog

from services.verification.domain.room import Turned, turned_away

_LOG = structlog.get_logger("door")
_SAY_EVERY_SECONDS = 1.0


class Room:
    """Counts who is inside, of everybody and of each tenant, and who was turned away."""

    def __init__(self, places: int) -> None:
        self.inside = 0
        self.turned: Counter[Turned] = Counter(dict.fromkeys(Turned, 0))
        self._places = places
        self._of_tenant: dict[UUID, int] = {}
        self._said: Counter[Turned] = Counter()

    def enter(self, tenant: UUID) -> Turned | None:
        """Take a place, to be given back with `leave`; or say why there is none."""
        mine = self._of_tenant.get(tenant, 0)
        why = turned_away(inside=self.inside, of_tenant=mine, places=self._places)
        if why is not None:
            self.turned[why] += 1
            return why
        self.inside += 1
        self._of_tenant[tenant] = mine + 1
        return None

    def leave(self, tenant: UUID) -> None:
        """Give a place back."""
        self.inside -= 1
        mine = self._of_tenant[tenant] - 1
        if mine:
            self._of_tenant[tenant] = mine
        else:
            del self._of_tenant[tenant]

    def readings(self) -> dict[str, float]:
        """Return what the metrics show."""
        return {
            "verify_inside": self.inside,
            "verify_turned_away_full": self.turned[Turned.FULL],
            "verify_turned_away_tenant": self.turned[Turned.TOO_MANY_OF_ONE],
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Log once a second how many were turned away (a part of the process)."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _SAY_EVERY_SECONDS)
            new = self.turned - self._said
            if new:
                self._said = self.turned.copy()
                _LOG.warning("turned away", **{why.value: count for why, count in new.items()})
