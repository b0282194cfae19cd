"""Rounds of load on verification and on the servers that do nothing."""

from bench.verify.apis import first_api, noop_target, service_target
from bench.verify.asks import Asks
from bench.verify.ground import Running
from bench.verify.target import Done, Round


class Rounds:
    """Loads the service or a baseline for a while, and reads the meters before and after."""

    def __init__(self, running: Running, done: Done) -> None:
        self._service = service_target(running, [first_api(running)], done=done)
        self._baselines = {name: noop_target(running, name) for name in running.baselines}

    async def baseline(self, name: str, asks: Asks, *, at_once: int, seconds: float) -> Round:
        """Load a server that does nothing; its cost is called `noop`."""
        return await self._baselines[name].closed(asks, at_once=at_once, seconds=seconds)

    async def service(self, asks: Asks, *, at_once: int, seconds: float) -> Round:
        """Load verification, each connection asking again as soon as it is answered."""
        return await self._service.closed(asks, at_once=at_once, seconds=seconds)

    async def arrivals(self, asks: Asks, *, rate: float, at_once: int, seconds: float) -> Round:
        """Load verification at a constant rate, whatever its answers do."""
        return await self._service.arrivals(asks, rate=rate, at_once=at_once, seconds=seconds)
