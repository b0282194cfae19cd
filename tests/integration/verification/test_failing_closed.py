"""Whatever fails on the way of a code, nothing is accepted by it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, MutableMapping
from typing import Any

import asyncpg
import pytest

from contracts.vocabulary import Factor
from libs.batching import Batches
from services.verification.domain.decision import Policy
from services.verification.domain.outcome import Accepted, Outcome
from services.verification.entries import KnownCaller
from services.verification.script_calls import CacheDown, ScriptCalls
from services.verification.settle import AuthorityDown
from services.verification.use_cases.question import Attempt
from tests.integration.verification.conftest import Application, Person, World

pytestmark = [
    pytest.mark.security("S13"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Of the machinery, of the cache, and a plain mistake of ours.
ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: ConnectionResetError("reset"),
    lambda: asyncpg.PostgresError("broken"),
    lambda: CacheDown("away"),
    lambda: RuntimeError("a mistake"),
)
MOST_AWAITS = 400


def _cache_batches(world: World) -> Batches[Any, Any]:
    calls = world.cache._calls
    assert isinstance(calls, ScriptCalls)
    return calls._batches


BATCHES: dict[str, Callable[[World], Batches[Any, Any]]] = {
    "cache": _cache_batches,
    "names": lambda world: world.parts.lookups._names,
    "settle": lambda world: world.parts.settler._batches,
}


@pytest.fixture(autouse=True)
async def no_leftovers() -> AsyncIterator[None]:
    """Hang up where an error tore a connection from whoever would have closed it."""
    transports: MutableMapping[int, asyncio.Transport] = getattr(
        asyncio.get_running_loop(), "_transports", {}
    )
    before = set(transports)
    yield
    for number in set(transports) - before:
        transports[number].abort()
    await asyncio.sleep(0)
    gc.collect()


class FailingAt:
    """Runs a coroutine and throws an error into it where it waits for the n-th time."""

    def __init__(self, work: Coroutine[Any, Any, Outcome], at: int, error: Exception) -> None:
        self._work = work
        self._at = at
        self._error = error
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Outcome]:
        for number in range(MOST_AWAITS):
            try:
                if number == self._at:
                    self.reached = True
                    waits_for = self._work.throw(self._error)
                else:
                    waits_for = self._work.send(None)
            except StopIteration as done:
                result: Outcome = done.value
                return result
            yield waits_for
        raise AssertionError("it waits more often than thought possible")


async def judged(
    world: World, attempt: Attempt, at: int, error: Exception
) -> tuple[Outcome | None, bool]:
    """Return the outcome, None where the error came through, and whether it was thrown."""
    failing = FailingAt(world.parts.door.verify(attempt), at, error)
    try:
        async with asyncio.timeout(20):
            return await failing, failing.reached
    except AuthorityDown:
        return None, failing.reached
    except Exception:
        # It comes through as it is, or as what it made of the connections.
        if not failing.reached:
            raise
        return None, failing.reached


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("cold", [False, True])
async def test_an_error_at_any_await_accepts_no_wrong_code(
    world: World, error: Callable[[], Exception], cold: bool
) -> None:
    application = await world.application()
    accepted, at, reached = 0, 0, True
    while reached:
        person = await world.person(application.tenant)
        if not cold:
            await world.verify(application, person, world.code(person, steps=-1))
        attempt = attempt_of(application, person, world.wrong_code(person))
        outcome, reached = await judged(world, attempt, at, error())
        accepted += isinstance(outcome, Accepted)
        accepted += (await world.events(person)).count("mfa.verified") > (not cold)
        at += 1

    assert at > 3
    assert accepted == 0


@pytest.mark.parametrize("error", ERRORS[::2])
async def test_an_error_at_any_await_accepts_no_code_twice_and_none_without_its_event(
    world: World, error: Callable[[], Exception]
) -> None:
    application = await world.application()
    at, reached = 0, True
    while reached:
        person = await world.person(application.tenant)
        code = world.code(person)
        attempt = attempt_of(application, person, code)
        outcome, reached = await judged(world, attempt, at, error())
        events = (await world.events(person)).count("mfa.verified")
        if isinstance(outcome, Accepted):
            assert events == 1
        again = await world.verify(application, person, code)
        assert (again.status_code == 200) + isinstance(outcome, Accepted) <= 1
        assert (await world.events(person)).count("mfa.verified") <= 1
        at += 1


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("where", BATCHES)
async def test_an_error_inside_a_batch_accepts_no_code_twice_and_none_without_its_event(
    world: World, error: Callable[[], Exception], where: str
) -> None:
    application = await world.application()
    batches = BATCHES[where](world)
    at, reached = 0, True
    while reached:
        person = await world.person(application.tenant)
        attempt = attempt_of(application, person, code := world.code(person))
        outcome, reached = await judged_with(world, attempt, batches, at, error)
        events = (await world.events(person)).count("mfa.verified")
        assert events <= 1
        if isinstance(outcome, Accepted):
            assert events == 1
        again = await world.verify(application, person, code)
        assert (again.status_code == 200) + isinstance(outcome, Accepted) <= 1
        at += 1

    assert at > 1


async def judged_with(
    world: World,
    attempt: Attempt,
    batches: Batches[Any, Any],
    at: int,
    error: Callable[[], Exception],
) -> tuple[Outcome | None, bool]:
    """Judge with an error at the n-th wait of what the batches do; tell whether it was thrown."""
    work, failing = batches._work, []

    async def broken(items: list[Any]) -> Any:
        failing.append(FailingAt(work(items), at, error()))  # type: ignore[arg-type]
        return await failing[-1]

    batches._work = broken
    try:
        outcome, _ = await judged(world, attempt, -1, error())
    except Exception:
        outcome = None
    finally:
        batches._work = work
    return outcome, any(one.reached for one in failing)


def attempt_of(application: Application, person: Person, code: str) -> Attempt:
    return Attempt(
        caller=KnownCaller(application.tenant, application.application_id, application.version, 1),
        subject=person.name,
        code=code,
        authenticator_id=None,
        idempotency_key=None,
        policy=Policy(version=1, required=True, factors=(Factor.TOTP,)),
    )
