"""The fault runs with a node whose clock is wrong."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.runs import Numbers, event_numbers

SKEWS = tuple(
    sign * skew for skew in (timedelta(minutes=10), timedelta(hours=1)) for sign in (1, -1)
)
LEAP = timedelta(milliseconds=400)
_STEP = 30
# What a subject may be guessed at once (Settings.guesses_at_once).
_CAPACITY = 10
# Within this a node has to take itself out.
_OUT_WITHIN = 5.0


async def skew_run(
    right: World, wrong: World, *, skews: Sequence[timedelta], people: int
) -> Numbers:
    """Set one node's clock wrong and back, again and again, and ask both nodes meanwhile."""
    application = await right.application()
    numbers: Counter[str] = Counter(skews=len(skews))
    acked: list[str] = []
    for skew in skews:
        crowd = [await right.person(application.tenant) for _ in range(people)]
        attacked = await right.person(application.tenant)
        wrong.clock.offset, begun = skew, time.monotonic()
        for person in crowd:
            await _try_all(right, wrong, application, person, skew, numbers=numbers, acked=acked)
        await _guess(wrong, application, attacked)
        await until(lambda: _is_out(wrong, out=True), within=10)
        numbers["slowest_out_ms"] = max(numbers["slowest_out_ms"], _since(begun))
        numbers["too_late_out_of_service"] += time.monotonic() - begun > _OUT_WITHIN
        wrong.clock.offset, begun = timedelta(), time.monotonic()
        await until(lambda: _is_out(wrong, out=False), within=10)
        numbers["slowest_back_ms"] = max(numbers["slowest_back_ms"], _since(begun))
        await _guess(right, application, attacked)
        failures = (await right.events(attacked)).count("mfa.verification_failed")
        numbers["over_bound"] += max(0, failures - _CAPACITY)
    return dict(numbers) | await event_numbers(right, acked)


async def leap_run(right: World, leaping: World, *, leaps: int, people: int) -> Numbers:
    """Let one node's clock leap about while both judge the same codes."""
    application = await right.application()
    numbers: Counter[str] = Counter(leaps=leaps)
    acked: list[str] = []
    for _ in range(leaps):
        leaping.clock.offset = random.choice((-1, 0, 1)) * LEAP
        for person in [await right.person(application.tenant) for _ in range(people)]:
            await _try_all(
                right,
                leaping,
                application,
                person,
                leaping.clock.offset,
                numbers=numbers,
                acked=acked,
            )
    leaping.clock.offset = timedelta()
    return dict(numbers) | await event_numbers(right, acked)


async def _try_all(
    right: World,
    wrong: World,
    application: Application,
    person: Person,
    skew: timedelta,
    *,
    numbers: Counter[str],
    acked: list[str],
) -> None:
    """Ask both for codes of the true time and of the wrong one, from the outside of the windows."""
    now = right.clock()
    moments = {now, now + skew, now - timedelta(minutes=2), now + timedelta(minutes=2)}
    codes = [(person.phone.at(one), one) for one in sorted(moments)]
    asked = [(code, moment, world) for code, moment in codes for world in (wrong, right)]
    answers = await asyncio.gather(
        *(world.verify(application, person, code) for code, _, world in asked)
    )
    accepted = Counter[str]()
    for (code, moment, world), answer in zip(asked, answers, strict=True):
        numbers["asked"] += 1
        if answer.status_code == 200:
            accepted[code] += 1
            acked.append(answer.json()["event_id"])
            numbers["accepted"] += 1
            numbers["accepted_outside_window"] += abs(_step(moment) - _step(now)) > 1
        elif answer.status_code >= 500:
            numbers["answers_503"] += 1
            numbers["unclean_errors"] += answer.json()["code"] != "clock_off" or world is right
    numbers["accepted_twice"] += sum(count > 1 for count in accepted.values())


async def _guess(world: World, application: Application, person: Person) -> None:
    code = world.wrong_code(person)
    await asyncio.gather(*(world.verify(application, person, code) for _ in range(_CAPACITY + 5)))


async def _is_out(world: World, *, out: bool) -> bool:
    return (await world.parts.watch.check() is not None) is out


def _step(moment: datetime) -> int:
    return int(moment.timestamp()) // _STEP


def _since(begun: float) -> int:
    return int((time.monotonic() - begun) * 1000)
