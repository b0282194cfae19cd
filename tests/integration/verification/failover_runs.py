"""The fault runs in which a standby is promoted."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.factors import (
    ALL,
    CODES,
    REASONS,
    Fob,
    ask,
    with_codes,
    with_fob,
)
from tests.integration.verification.outage_runs import keep_asking, more
from tests.integration.verification.runs import Numbers, event_numbers
from tests.integration.verification.standby import Pair, on

# So much of the world's time passes between two tries of everybody.
_PACE = timedelta(seconds=3)
_LONGEST_DELAY = 90


@dataclass
class _Login:
    """Somebody who was let in shortly before, the code used, and when they are let in again."""

    person: Person
    code: str
    fob: Fob
    back_after: float | None = None
    accepted: list[str] = field(default_factory=list)


async def forgetful_failover_run(world: World, pair: Pair, *, people: int) -> Numbers:
    """Promote a standby that does not know the last codes, then show it all of them again."""
    application = await world.application(scopes=REASONS, factors=ALL)
    logins = [await _login(world, application) for _ in range(people)]
    await pair.caught_up()
    await pair.stall()
    numbers: Counter[str] = Counter(people=people)
    for login in logins:
        await _spend(world, application, login, numbers)
    await pair.fail_over()
    promoted = world.clock()
    numbers["forgotten"] = await _forgotten(world, logins)
    await until(lambda: _answers(world, application, logins[0]), within=20)
    while any(login.back_after is None for login in logins):
        passed = (world.clock() - promoted).total_seconds()
        await asyncio.gather(
            *(_try_again(world, application, one, numbers, passed) for one in logins)
        )
        if passed > _LONGEST_DELAY:
            break
        world.clock.forward(_PACE)
    delays = [login.back_after for login in logins]
    numbers["delayed"] = sum(one is None or one > _PACE.total_seconds() for one in delays)
    numbers["slowest_delay_s"] = int(max(one or 2 * _LONGEST_DELAY for one in delays))
    numbers["never_let_in"] = delays.count(None)
    return dict(numbers)


async def _login(world: World, application: Application) -> _Login:
    person = await world.person(application.tenant)
    fob = await with_fob(world, person)
    await with_codes(world, person)
    return _Login(person, world.code(person), fob)


async def _spend(
    world: World, application: Application, login: _Login, numbers: Counter[str]
) -> None:
    # The next step's first: all of a window may have been used.
    person = login.person
    login.code = world.code(person, steps=1)
    for code in (world.code(person), login.code, login.fob.code(0), CODES[0]):
        answer = await world.verify(application, person, code)
        numbers["accepted_before"] += answer.status_code == 200
        numbers["refused_by_mistake"] += answer.status_code != 200


async def _forgotten(world: World, logins: Sequence[_Login]) -> int:
    """Return how many of the codes the promoted server does not know as used."""
    rows = await world.rows(
        "SELECT factor, last_step, used FROM authenticator WHERE subject_ref = ANY($1)",
        [login.person.subject_ref for login in logins],
    )
    return sum(row["last_step"] == -1 and row["used"] == 0 for row in rows)


async def _answers(world: World, application: Application, login: _Login) -> bool:
    answer = await world.verify(application, login.person, login.code)
    # Whoever may, hears why and for how long.
    assert answer.status_code in (403, 503), answer.text
    return answer.status_code == 403


async def _try_again(
    world: World, application: Application, login: _Login, numbers: Counter[str], passed: float
) -> None:
    """Show what was used before, as a thief would, then the phone's present code."""
    if login.back_after is not None:
        return
    person = login.person
    for used in (login.code, login.fob.code(0), CODES[0]):
        if passed > 60 and used != login.code:
            continue
        answer = await world.verify(application, person, used)
        numbers["shown_again"] += 1
        numbers["accepted_twice"] += answer.status_code == 200
    if world.code(person) == login.code:
        return
    answer = await world.verify(application, person, world.code(person))
    if answer.status_code == 200:
        login.back_after = passed
        pair = {"next_code": login.fob.code(3)}
        counted = await ask(world, application, person, login.fob.code(2), **pair)
        numbers["refused_by_mistake"] += counted.status_code != 200


async def failover_run(world: World, pair: Pair, *, failovers: int, people: int) -> Numbers:
    """Fail over to a synchronous standby under load, and back, and let the primary take nothing."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    numbers: Counter[str] = Counter(failovers=failovers)
    acked: list[tuple[Person, str, str]] = []
    done = asyncio.Event()
    await pair.make_synchronous()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_asking(world, application, crowd, done, numbers, acked))
        for number in range(failovers):
            await _some_more(acked, people)
            await pair.fail_over()
            await _recovered(acked, numbers, "slowest_recovery_ms")
            if number + 1 < failovers:
                await pair.new_standby()
                await pair.make_synchronous()
        await _take_no_writes(pair, off=False)
        before = len(acked)
        await asyncio.sleep(1)
        # What was under way when the setting came may have ended.
        settled = len(acked)
        await asyncio.sleep(1)
        numbers["accepted_read_only"] = len(acked) - settled
        numbers["ended_read_only"] = settled - before
        await _take_no_writes(pair, off=True)
        await _recovered(acked, numbers, "slowest_recovery_ms")
        done.set()
    ids = [event_id for *_, event_id in acked]
    outbox = await event_numbers(world, ids)
    numbers["acked_but_missing"] = outbox["accept_without_event"]
    numbers["sequence_gaps"] = outbox["sequence_gaps"]
    numbers["answers_lost"] = outbox["event_without_accept"]
    numbers["accepted"] = len(acked)
    numbers["accepted_twice"] += len(ids) - len(set(ids))
    return dict(numbers)


async def _take_no_writes(pair: Pair, *, off: bool) -> None:
    change = (
        "RESET default_transaction_read_only" if off else "SET default_transaction_read_only = on"
    )
    await on(pair.primary, f"ALTER SYSTEM {change}")
    await on(pair.primary, "SELECT pg_reload_conf()")


async def _some_more(acked: Sequence[object], number: int) -> None:
    target = len(acked) + number
    await until(lambda: more(acked, target), within=30)


async def _recovered(acked: Sequence[object], numbers: Counter[str], name: str) -> None:
    begun = time.monotonic()
    await _some_more(acked, 1)
    numbers[name] = max(numbers[name], int((time.monotonic() - begun) * 1000))
