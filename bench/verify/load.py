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
_LAST_ANSWERS = 15.0
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
    tally, began = Tally(asks.expected), time.perf_counter()
    until, running = began + seconds, set(connections)
    sent_at: dict[Connection, float] = {}
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ask(connection: Connection) -> None:
        request = asks.next() if time.perf_counter() < until else None
        if request is None:
            give_up(connection)
            return
        sent_at[connection] = time.perf_counter()
        connection.send(request)

    def give_up(connection: Connection) -> None:
        running.discard(connection)
        if not running and not finished.done():
            finished.set_result(None)

    def answered(connection: Connection, status: int) -> None:
        tally.add(status, time.perf_counter() - sent_at[connection])
        follow = give_up if status == NO_ANSWER else ask
        follow(connection)

    for connection in connections:
        connection.answered = answered
        ask(connection)
    await asyncio.wait_for(finished, seconds + _LAST_ANSWERS)
    tally.lasted = time.perf_counter() - began
    return tally


async def open_load(
    connections: Sequence[Connection], asks: Asks, *, rate: float, seconds: float
) -> Tally:
    """Ask at fixed times whatever the answers do; what waits for a connection waits in the tally.

    So a server that stalls is charged for everybody who came meanwhile.
    """
    tally, began = Tally(asks.expected), time.perf_counter()
    idle, due_at, sent_for = deque(connections), deque[float](), dict[Connection, float]()

    def ask_what_is_due() -> None:
        while due_at and idle and (request := asks.next()) is not None:
            connection = idle.popleft()
            sent_for[connection] = due_at.popleft()
            connection.send(request)

    def answered(connection: Connection, status: int) -> None:
        tally.add(status, time.perf_counter() - sent_for.pop(connection))
        idle.append(connection)
        ask_what_is_due()

    for connection in connections:
        connection.answered = answered
    planned, total = 0, int(rate * seconds)
    while planned < total or due_at or len(idle) < len(connections):
        now = time.perf_counter()
        if now > began + seconds + _LAST_ANSWERS:
            raise TimeoutError(f"{len(due_at) + len(sent_for)} requests were not answered")
        while planned < total and began + planned / rate <= now:
            due_at.append(began + planned / rate)
            planned += 1
        ask_what_is_due()
        await asyncio.sleep(_TICK)
    tally.lasted = time.perf_counter() - began
    return tally
