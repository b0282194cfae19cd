"""The load: connections that are kept open, with as little work for a request as possible."""

import asyncio
import re
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.verify.asks import Asks

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LAST_ANSWERS = 60.0
_TICK = 0.001
NO_ANSWER = 0


@dataclass
class Tally:
    """What came back: statuses, how long each took, and how long it was asked."""

    expected: int
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    lasted: float = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.seconds.append(seconds)

    @property
    def answers(self) -> int:
        """Return how many answers came."""
        return len(self.seconds)

    @property
    def unexpected(self) -> int:
        """Return how many answers were not the right one."""
        return self.answers - self.statuses[self.expected]

    @property
    def rate(self) -> float:
        """Return answers a second."""
        return self.answers / self.lasted if self.lasted else 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self.answered: Callable[[Connection, int], None] | None = None
        self.transport: asyncio.Transport | None = None
        self._received = b""
        self._busy = False

    def send(self, request: bytes) -> None:
        """Send a request; `answered` is called with the status."""
        if self.transport is None:
            self._end(NO_ANSWER)
            return
        self._busy = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, which mostly comes in one piece."""
        received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, head + 2) if head >= 0 else None
        if length is None or len(received) < head + 4 + int(length[1]):
            self._received = received
            return
        self._received = b""
        self._end(int(received[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        """Count what was under way as not answered."""
        self.transport = None
        if self._busy:
            self._end(NO_ANSWER)

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.close()

    def _end(self, status: int) -> None:
        self._busy = False
        if self.answered is not None:
            self.answered(self, status)


async def connect(port: int, count: int) -> Sequence[Connection]:
    """Open connections to a server of this machine."""
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(count):
        transport, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        connection.transport = transport
        connections.append(connection)
    return connections


async def closed_load(connections: Sequence[Connection], asks: Asks, *, seconds: float) -> Tally:
    """Ask again on each connection as soon as it has answered; ends early with nobody left."""
    load = _Closed(asks, connections, until=time.perf_counter() + seconds)
    began = time.perf_counter()
    for connection in connections:
        connection.answered = load.answered
        load.ask(connection)
    await asyncio.wait_for(load.finished, seconds + _LAST_ANSWERS)
    load.tally.lasted = time.perf_counter() - began
    return load.tally


class _Closed:
    def __init__(self, asks: Asks, connections: Sequence[Connection], *, until: float) -> None:
        self.tally = Tally(asks.expected)
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next = asks.next
        self._until = until
        self._running = set(connections)
        self._sent_at: dict[Connection, float] = {}

    def ask(self, connection: Connection) -> None:
        request = self._next() if time.perf_counter() < self._until else None
        if request is None:
            self._give_up(connection)
            return
        self._sent_at[connection] = time.perf_counter()
        connection.send(request)

    def answered(self, connection: Connection, status: int) -> None:
        self.tally.add(status, time.perf_counter() - self._sent_at[connection])
        if status == NO_ANSWER:
            self._give_up(connection)
        else:
            self.ask(connection)

    def _give_up(self, connection: Connection) -> None:
        self._running.discard(connection)
        if not self._running and not self.finished.done():
            self.finished.set_result(None)


async def open_load(
    connections: Sequence[Connection], asks: Asks, *, rate: float, seconds: float
) -> Tally:
    """Ask at fixed times whatever the answers do; what waits for a connection waits in the tally.

    So a server that stalls is charged for all who came meanwhile. Ends early with nobody left.
    """
    load, planned, total = _Open(asks, connections), 0, int(rate * seconds)
    for connection in connections:
        connection.answered = load.answered
    began = time.perf_counter()
    while planned < total or not load.is_done:
        now = time.perf_counter()
        if now > began + seconds + _LAST_ANSWERS:
            raise TimeoutError(f"{rate:.0f} requests a second are more than are answered")
        while planned < total and began + planned / rate <= now:
            # With nobody left to ask for, no more of them come.
            total = total if load.come(began + planned / rate) else planned
            planned += 1
        await asyncio.sleep(_TICK)
    load.tally.lasted = time.perf_counter() - began
    return load.tally


class _Open:
    def __init__(self, asks: Asks, connections: Sequence[Connection]) -> None:
        self.tally = Tally(asks.expected)
        self._next = asks.next
        self._idle = deque(connections)
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._under_way: dict[Connection, float] = {}

    @property
    def is_done(self) -> bool:
        return not self._waiting and not self._under_way

    def come(self, at: float) -> bool:
        request = self._next()
        if request is None:
            return False
        self._waiting.append((request, at))
        self._ask()
        return True

    def answered(self, connection: Connection, status: int) -> None:
        self.tally.add(status, time.perf_counter() - self._under_way.pop(connection))
        if status != NO_ANSWER:
            self._idle.append(connection)
        self._ask()

    def _ask(self) -> None:
        if self._waiting and self._idle:
            connection = self._idle.popleft()
            request, self._under_way[connection] = self._waiting.popleft()
            connection.send(request)
