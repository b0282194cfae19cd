"""The run of locking people out on purpose (R35); returns its numbers, for tests and chaos."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from contracts.vocabulary import Factor, Scope
from tests.integration.verification.conftest import Application, Person, World, reason_of
from tests.integration.verification.factors import CODES, with_codes

_AT_ONCE = 12
_LONGEST = timedelta(days=2)


async def lockout_run(world: World, *, people: int) -> dict[str, int]:
    """Burn everybody's guesses, let them in otherwise, then see how soon their phones work again.

    The seconds are those of the clock that verification goes by.
    """
    application = await world.application(
        scopes=(Scope.VERIFY, Scope.VERIFY_REASONS), factors=(Factor.TOTP, Factor.RECOVERY_CODE)
    )
    crowd = [await world.person(application.tenant) for _ in range(people)]
    for person in crowd:
        await with_codes(world, person)
    burnt = await _burn(world, application, crowd)
    shut = [await world.verify(application, one, world.code(one)) for one in crowd]
    otherwise = [await world.verify(application, one, CODES[0]) for one in crowd]
    return {
        "people": people,
        "guesses_evaluated": burnt["wrong_code"],
        "locked_out_of_their_phone": sum(answer.status_code == 403 for answer in shut),
        "let_in_otherwise": sum(answer.status_code == 200 for answer in otherwise),
        "seconds_to_heal": round(max([await _healed(world, application, one) for one in crowd])),
    }


async def _burn(world: World, application: Application, crowd: Sequence[Person]) -> Counter[object]:
    reasons: Counter[object] = Counter()
    for one in crowd:
        # At once, so that no wait saves any of them; one by one, so that all find a place.
        guesses = [world.verify(application, one, world.wrong_code(one)) for _ in range(_AT_ONCE)]
        reasons += Counter(map(reason_of, await asyncio.gather(*guesses)))
    return reasons


async def _healed(world: World, application: Application, person: Person) -> float:
    began = world.clock.offset
    try:
        while world.clock.offset - began < _LONGEST:
            answer = await world.verify(application, person, world.code(person))
            if answer.status_code == 200:
                return (world.clock.offset - began).total_seconds()
            world.clock.forward(timedelta(seconds=int(answer.headers["retry-after"])))
        raise AssertionError("shut out for days")
    finally:
        # Everybody was attacked at the same time.
        world.clock.offset = began
