"""The fault runs of one code and one answer; each returns its numbers, for tests and chaos."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import httpx2

from contracts.internal import RevokedAuthenticator
from contracts.vocabulary import Factor
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.processes import (
    VerifyProcess,
    asking,
    verify_process,
)
from tests.integration.verification.verify_program import FAILPOINTS

Numbers = dict[str, int]
# What must be 0 after any run, wherever it is counted.
INVARIANTS = (
    "accepted_twice",
    "accept_without_event",
    "event_without_accept",
    "sequence_gaps",
    "errors",
    "over_bound",
    "foreign_replies",
    "leaked_connections",
    "leaked_guesses",
    "repeats_answered_differently",
    "acked_but_missing",
    "unclean_errors",
    "refused_by_mistake",
    "accepted_outside_window",
    "too_late_out_of_service",
    "accepted_read_only",
    "accepted_while_down",
    "never_let_in",
    "goodput_too_low",
    "not_back_to_normal",
    "others_turned_away",
    "told_apart",
    "unbounded",
)


async def order_run(one: World, two: World, *, people: int, rounds: int) -> Numbers:
    """Race two settlers, revocations and claims over the same people."""
    application = await one.application()
    answers: list[tuple[Person, str, httpx2.Response]] = []
    everybody: list[Person] = []
    for _ in range(rounds):
        crowd = [await one.person(application.tenant) for _ in range(people)]
        everybody += crowd
        jobs = [
            _noted(answers, world, application, person, code)
            for person in crowd
            for world in (one, two)
            for code in (*(one.code(person, steps=n) for n in (-1, 0, 1)), one.wrong_code(person))
        ]
        jobs += [_revoked(two, person) for person in crowd[::3]]
        jobs += [_bound_again(one, person) for person in crowd[1::3]]
        random.shuffle(jobs)
        await asyncio.gather(*jobs)
    accepted = [(p, code, answer) for p, code, answer in answers if answer.status_code == 200]
    return {
        "people": len(everybody),
        "asked": len(answers),
        "accepted": len(accepted),
        "accepted_twice": _twice((p.subject_ref, code) for p, code, _ in accepted),
        "errors": sum(answer.status_code >= 500 for *_, answer in answers),
    } | await event_numbers(one, [str(answer.json()["event_id"]) for *_, answer in accepted])


async def event_numbers(world: World, acknowledged: Sequence[str]) -> Numbers:
    """Compare the outbox with the answers: sequences, and events without answer or vice versa."""
    rows = await world.rows("SELECT id, aggregateid, type, sequence FROM outbox")
    verified = {str(row["id"]) for row in rows if row["type"] == "mfa.verified"}
    sequences: dict[object, list[int]] = {}
    for row in rows:
        sequences.setdefault(row["aggregateid"], []).append(int(str(row["sequence"])))
    return {
        "sequence_gaps": sum(
            sorted(seen) != list(range(1, len(seen) + 1)) for seen in sequences.values()
        ),
        "accept_without_event": len(set(acknowledged) - verified),
        "event_without_accept": len(verified - set(acknowledged)),
    }


async def same_code_run(world: World, *, rounds: int, at_once: int) -> Numbers:
    """Send one code many times at once to two processes."""
    application = await world.application()
    numbers: Counter[str] = Counter(rounds=rounds, asked=rounds * 2 * at_once)
    async with verify_process(world) as one, verify_process(world) as two:
        for _ in range(rounds):
            person = await world.person(application.tenant)
            asks = [asking(application, person, world.code(person))] * at_once
            accepted = await _accepted((one, two), asks)
            numbers["accepted_twice"] += accepted > 1
            numbers["refused_by_mistake"] += accepted < 1
    return dict(numbers)


async def step_border_run(world: World, *, rounds: int, at_once: int) -> Numbers:
    """Send the codes of step N and N + 1 at the border between the two, then both again."""
    application = await world.application()
    numbers: Counter[str] = Counter(rounds=rounds, asked=rounds * 4 * 2 * at_once)
    async with verify_process(world) as one, verify_process(world) as two:
        for _ in range(rounds):
            person = await world.person(application.tenant)
            world.clock.offset = timedelta()
            passed = world.clock().timestamp() % 30
            offset = 30 - passed - random.uniform(0.005, 0.05)
            world.clock.offset = timedelta(seconds=offset)
            codes = [world.code(person), world.code(person, steps=1)]
            first = [asking(application, person, code) for code in codes * at_once]
            accepted = await _accepted((one, two), first, offset=offset)
            # N is accepted only before N + 1; both may be.
            numbers["refused_by_mistake"] += accepted < 1
            numbers["accepted_twice"] += max(0, accepted - 2)
            numbers["accepted_twice"] += await _accepted((two, one), first[::-1], offset=offset)
    world.clock.offset = timedelta()
    return dict(numbers)


async def death_run(world: World, *, rounds: int, people: int) -> Numbers:
    """Kill a process between any two steps of verifying, then repeat what it was asked."""
    application = await world.application()
    numbers: Counter[str] = Counter()
    answered: list[str] = []
    for _ in range(rounds):
        async with AsyncExitStack() as stack:
            starting = (verify_process(world, failpoint) for failpoint in FAILPOINTS)
            doomed = [await stack.enter_async_context(process) for process in starting]
            for process in doomed:
                crowd = [await world.person(application.tenant) for _ in range(people)]
                numbers.update(await _die(world, process, application, crowd, answered=answered))
    return dict(numbers) | await event_numbers(world, answered)


async def _die(
    world: World,
    process: VerifyProcess,
    application: Application,
    crowd: Sequence[Person],
    *,
    answered: list[str],
) -> Counter[str]:
    codes = [(person, world.code(person), uuid4().hex) for person in crowd]
    asks = [asking(application, person, code, key) for person, code, key in codes]
    assert await process.ask(asks) is None
    numbers = Counter(deaths=1, asked=len(asks))
    for person, code, key in codes:
        committed = "mfa.verified" in await world.events(person)
        repeats = [
            await world.verify(application, person, code, idempotency_key=key) for _ in range(3)
        ]
        given = {answer.json().get("event_id") for answer in repeats}
        numbers["committed_before_death"] += committed
        numbers["repeats_answered_differently"] += len(given) != 1 or None in given
        answered.extend(str(one) for one in given if one is not None)
        again = await world.verify(application, person, code)
        numbers["accepted_twice"] += again.status_code == 200
        events = await world.events(person)
        numbers["accepted_twice"] += events.count("mfa.verified") > 1
    return numbers


async def _accepted(
    processes: Iterable[VerifyProcess], asks: Sequence[dict[str, str]], *, offset: float = 0.0
) -> int:
    answers = await asyncio.gather(*(process.ask(asks, offset=offset) for process in processes))
    return sum(status == 200 for part in answers for status, _ in part or [])


async def _noted(
    answers: list[tuple[Person, str, httpx2.Response]],
    world: World,
    application: Application,
    person: Person,
    code: str,
) -> None:
    answers.append((person, code, await world.verify(application, person, code)))


async def _revoked(world: World, person: Person) -> None:
    one = RevokedAuthenticator(
        authenticator_id=person.authenticator_id, factor=Factor.TOTP, epoch=2
    )
    await world.parts.events.credentials.revoke_now(
        tenant=person.tenant, subject=person.subject_ref, revoked=(one,), reset_id=None
    )


async def _bound_again(world: World, person: Person) -> None:
    await world.second_authenticator(person)


def _twice(accepted: Iterable[object]) -> int:
    return sum(count > 1 for count in Counter(accepted).values())
