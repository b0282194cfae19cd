"""The fault runs with more requests than can be served, of everybody or of one tenant."""

import asyncio
import itertools
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field

from bench.verify.load import NO_ANSWER, Connection, connect
from contracts.vocabulary import Scope
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.processes import _ROOT, url_of
from tests.integration.verification.runs import Numbers

_JUDGED, _OF_ONE, _FULL = 403, 429, 503
# An idle connection that the server hangs up on while it is asked is no wrong answer.
_EXPECTED = (_JUDGED, _OF_ONE, _FULL, NO_ANSWER)
# As many as an application server keeps open at most; who finds none idle gives up.
_CONNECTIONS = 512
_TICK = 0.001
Ask = Callable[[], bytes]


@dataclass
class Seen:
    """What one crowd saw: statuses, how long the judged ones took, and who found no connection."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    gave_up: int = 0

    def p99_ms(self) -> int:
        """Return the 99th percentile of what was judged, in milliseconds."""
        ordered = sorted(self.seconds) or [0.0]
        return round(ordered[int(len(ordered) * 0.99)] * 1000)


class Crowd:
    """Asks at fixed times, whatever the answers do, over connections of its own."""

    def __init__(self, port: int, count: int, ask: Ask) -> None:
        self._port = port
        self._count = count
        self._idle: deque[Connection] = deque()
        self._under_way: dict[Connection, float] = {}
        self._ask = ask
        self.seen = Seen()

    async def connected(self) -> None:
        """Open what is missing: the server hangs up on connections that were idle for long."""
        self._idle = deque(one for one in self._idle if one.transport is not None)
        missing = self._count - len(self._idle) - len(self._under_way)
        for connection in await connect(self._port, missing):
            connection.answered = self._answered
            self._idle.append(connection)

    def close(self) -> None:
        """Hang up."""
        for connection in [*self._idle, *self._under_way]:
            connection.close()

    async def come(self, *, rate: float, seconds: float) -> Seen:
        """Come so many times a second, and return what was seen of it."""
        await self.connected()
        self.seen = seen = Seen()
        began, planned, total = time.perf_counter(), 0, int(rate * seconds)
        while planned < total:
            now = time.perf_counter()
            while planned < total and began + planned / rate <= now:
                self._come(began + planned / rate)
                planned += 1
            await asyncio.sleep(_TICK)
        await asyncio.sleep(0.3)
        return seen

    async def stay(self, *, at_once: int, seconds: float) -> float:
        """Ask again as soon as answered; return how many a second were judged."""
        await self.connected()
        self.seen = Seen()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            while len(self._under_way) < at_once:
                self._come(time.perf_counter())
            await asyncio.sleep(_TICK)
        judged = self.seen.statuses[_JUDGED]
        await asyncio.sleep(0.3)
        return judged / seconds

    def _come(self, at: float) -> None:
        connection = next(iter(self._idle), None)
        while connection is not None and connection.transport is None:
            self._idle.popleft()
            connection = next(iter(self._idle), None)
        if connection is None:
            self.seen.gave_up += 1
            return
        self._idle.popleft()
        self._under_way[connection] = at
        connection.send(self._ask())

    def _answered(self, connection: Connection, status: int) -> None:
        at = self._under_way.pop(connection)
        self.seen.statuses[status] += 1
        if status == _JUDGED:
            self.seen.seconds.append(time.perf_counter() - at)
        if status != NO_ANSWER:
            self._idle.append(connection)


async def overload_run(world: World, *, people: int, seconds: float, times: float) -> Numbers:
    """Come three times as often as can be judged, then as often as is comfortable."""
    application, crowd = await _application(world, people)
    async with _on_two_cores(world) as port:
        load = Crowd(port, _CONNECTIONS, _asks(application, crowd, world))
        most = await load.stay(at_once=128, seconds=2)
        before = await load.come(rate=most * 0.5, seconds=2)
        during = await load.come(rate=most * times, seconds=seconds)
        recovered = await _recovery(load, rate=most * 0.5, p99_ms=before.p99_ms())
        load.close()
    judged = during.statuses[_JUDGED]
    return {
        "most_a_second": round(most),
        "goodput_percent": round(100 * judged / (most * seconds)),
        "goodput_too_low": int(judged < 0.8 * most * seconds),
        "turned_away": during.statuses[_FULL] + during.statuses[_OF_ONE],
        "gave_up": during.gave_up,
        "p99_before_ms": before.p99_ms(),
        "p99_during_ms": during.p99_ms(),
        "slowest_back_to_normal_ms": recovered,
        "errors": _others(before) + _others(during),
        "not_back_to_normal": int(recovered > 10_000),
    }


async def noisy_run(
    world: World, *, people: int, seconds: float, times: float, press: int = 3
) -> Numbers:
    """One tenant comes fifty times as often as another, which must hardly notice."""
    # The quiet one and fifty times it are `press` times what 128 at once get judged; more at once
    # get more, because they share their round trips.
    loud, loud_people = await _application(world, people)
    quiet, quiet_people = await _application(world, max(20, people // 4))
    async with _on_two_cores(world) as port:
        noisy = Crowd(port, _CONNECTIONS, _asks(loud, loud_people, world))
        calm = Crowd(port, 64, _asks(quiet, quiet_people, world))
        await calm.stay(at_once=8, seconds=0.5)
        rate = press * await noisy.stay(at_once=128, seconds=2) / times
        _, alone = await asyncio.gather(
            noisy.come(rate=rate, seconds=seconds), calm.come(rate=rate, seconds=seconds)
        )
        flood, beside = await asyncio.gather(
            noisy.come(rate=rate * times, seconds=seconds),
            calm.come(rate=rate, seconds=seconds),
        )
        noisy.close()
        calm.close()
    return {
        "noisy_asked": sum(flood.statuses.values()),
        "noisy_judged": flood.statuses[_JUDGED],
        "noisy_turned_away": flood.statuses[_OF_ONE],
        "hung_up": flood.statuses[NO_ANSWER] + beside.statuses[NO_ANSWER],
        "others_judged": beside.statuses[_JUDGED],
        "others_turned_away": beside.statuses[_OF_ONE] + beside.statuses[_FULL] + beside.gave_up,
        "p99_alone_ms": alone.p99_ms(),
        "p99_beside_ms": beside.p99_ms(),
        "errors": _others(flood) + _others(beside) + _others(alone),
    }


async def _recovery(load: Crowd, *, rate: float, p99_ms: int) -> int:
    begun = time.monotonic()
    for _ in range(12):
        now = await load.come(rate=rate, seconds=1)
        if not now.gave_up and now.p99_ms() <= max(2 * p99_ms, 50):
            # It was normal throughout this second.
            return max(0, round((time.monotonic() - begun - 1.3) * 1000))
    return 99_999


def _others(seen: Seen) -> int:
    return sum(count for status, count in seen.statuses.items() if status not in _EXPECTED)


async def _application(world: World, people: int) -> tuple[Application, list[Person]]:
    scopes = (Scope.VERIFY, Scope.VERIFY_REASONS)
    application = await world.application(scopes=scopes)
    return application, [await world.person(application.tenant) for _ in range(people)]


def _asks(application: Application, crowd: Sequence[Person], world: World) -> Ask:
    bodies = [
        f'{{"subject":"{person.name}","code":"{world.wrong_code(person)}"}}' for person in crowd
    ]
    head = (
        "POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {application.key}\r\nContent-Length: "
    )
    asks: Iterator[bytes] = itertools.cycle(
        [f"{head}{len(body)}\r\n\r\n{body}".encode() for body in bodies]
    )
    return lambda: next(asks)


@contextmanager
def _own_core() -> Iterator[None]:
    """Keep the load off the core of the server, where there are two."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {min(before)} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def _on_two_cores(world: World) -> AsyncIterator[int]:
    async with _server(world) as port:
        with _own_core():
            yield port


@asynccontextmanager
async def _server(world: World) -> AsyncIterator[int]:
    stored, core = world.stored, min(os.sched_getaffinity(0))
    place = json.dumps(asdict(stored.servers))
    program = "tests.integration.verification.overload_program"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, place, stored.database, url_of(world), str(core)),
        cwd=_ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 60))
        await _listening(port)
        yield port
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise TimeoutError("the server does not listen")
