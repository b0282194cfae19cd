"""What a stranger can tell from refusals: their look, and how long they take (S5)."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from math import sqrt
from pathlib import Path
from statistics import fmean, variance

import httpx2

from contracts.vocabulary import Scope
from services.verification import app
from services.verification.domain.budget import Budget
from services.verification.settings import Settings
from tests.fixtures.services import ServiceDatabase, TestClock
from tests.integration.verification.conftest import Application, World, running_world
from tests.integration.verification.runs import Numbers

Samples = Mapping[str, Sequence[float]]
# More than any of them is ever guessed here, and less than what the locked and the poor have.
_PLENTY, _TOO_MUCH = 10**6, 2 * 10**6
# Answers without the grid take 2 ms: of a hundred of each kind one pause of the machine hides all.
_OF_THE_INSIDER = 400


@dataclass
class _StandingClock(TestClock):
    """Time stands still, so that a code which was used stays one that was used."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at + self.offset


def _boundless(settings: Settings) -> Budget:
    return Budget(capacity=_PLENTY, per_day=1, consecutive=_PLENTY)


@asynccontextmanager
async def boundless_world(
    stored: ServiceDatabase, redis_url: str, folder: Path
) -> AsyncIterator[World]:
    """Run verification with a budget that the samples do not use up."""
    real, app.budget_of = app.budget_of, _boundless
    try:
        async with running_world(
            stored, redis_url, folder, clock=_StandingClock(), budget=_boundless
        ) as world:
            yield world
    finally:
        app.budget_of = real


async def strangers_run(
    world: World, *, samples: int, at_once: int, limit: float
) -> tuple[Numbers, Numbers]:
    """Compare refusals of all kinds; the second numbers are of a caller who may know the reason.

    |t| is Welch's, in thousandths, the largest of all pairs of kinds; `rank_z` that of Mann and
    Whitney; the effect is Cohen's d in thousandths.
    """
    stranger = await world.application()
    insider = await world.application(
        tenant=stranger.tenant, scopes=(Scope.VERIFY, Scope.VERIFY_REASONS)
    )
    asks = await _kinds(world, stranger)
    looks, seconds = await _sampled(world, stranger, asks, samples=samples, at_once=at_once)
    _, known = await _sampled(world, insider, asks, samples=_OF_THE_INSIDER, at_once=at_once)
    blind = _compared(seconds)
    blind["told_apart"] = (len(looks) - 1) + int(blind["most_t_milli"] > limit * 1000)
    return blind, _compared(known)


async def _kinds(world: World, application: Application) -> dict[str, tuple[str, str]]:
    """Return a name and a code for each kind of refusal."""
    people = {
        kind: await world.person(application.tenant)
        for kind in ("wrong", "replayed", "locked", "over budget", "nothing enrolled")
    }
    used = world.code(people["replayed"])
    assert (await world.verify(application, people["replayed"], used)).status_code == 200
    connection = await world.stored.superuser()
    ids = {kind: person.subject_ref for kind, person in people.items()}
    await connection.execute(
        "UPDATE subject SET consecutive = $2 WHERE id = $1", ids["locked"], _TOO_MUCH
    )
    await connection.execute(
        "UPDATE subject SET spent = $2, spent_at = now() WHERE id = $1",
        ids["over budget"],
        float(_TOO_MUCH),
    )
    await connection.execute(
        "UPDATE authenticator SET status = 'removed' WHERE subject_ref = $1",
        ids["nothing enrolled"],
    )
    await connection.close()
    asks = {kind: (person.name, world.wrong_code(person)) for kind, person in people.items()}
    return asks | {
        "replayed": (people["replayed"].name, used),
        "unknown": ("nobody@example.org", "123456"),
    }


async def _sampled(
    world: World,
    application: Application,
    asks: Mapping[str, tuple[str, str]],
    *,
    samples: int,
    at_once: int,
) -> tuple[set[object], Samples]:
    """Ask in a random order, several at once, so that what else happens meets all kinds alike."""
    order = [kind for kind in asks for _ in range(samples)]
    random.shuffle(order)
    looks: set[object] = set()
    seconds: dict[str, list[float]] = defaultdict(list)
    left = iter(order)
    headers = {"Authorization": f"Bearer {application.key}"}

    async def go_on() -> None:
        for kind in left:
            name, code = asks[kind]
            begun = time.perf_counter()
            answer = await world.public.post(
                "/v1/verify", json={"subject": name, "code": code}, headers=headers
            )
            seconds[kind].append(time.perf_counter() - begun)
            looks.add(_look_of(answer))

    await asyncio.gather(*(go_on() for _ in range(at_once)))
    return looks, seconds


def _look_of(answer: httpx2.Response) -> object:
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    return answer.status_code, tuple(headers), len(answer.content), answer.content


def _compared(seconds: Samples) -> Numbers:
    pairs = list(combinations(seconds.values(), 2))
    return {
        "samples": sum(len(one) for one in seconds.values()),
        "most_t_milli": round(1000 * max(abs(welch_t(one, two)) for one, two in pairs)),
        "most_rank_z_milli": round(1000 * max(abs(rank_z(one, two)) for one, two in pairs)),
        "most_effect_milli": round(1000 * max(abs(effect(one, two)) for one, two in pairs)),
    }


def welch_t(one: Sequence[float], two: Sequence[float]) -> float:
    """Return Welch's t of two samples."""
    spread = variance(one) / len(one) + variance(two) / len(two)
    return (fmean(one) - fmean(two)) / sqrt(spread)


def effect(one: Sequence[float], two: Sequence[float]) -> float:
    """Return Cohen's d: how many standard deviations lie between the means."""
    return (fmean(one) - fmean(two)) / sqrt((variance(one) + variance(two)) / 2)


def rank_z(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the z of Mann and Whitney's U; times hardly ever tie."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in two])
    ranks = sum(place for place, (_, first) in enumerate(ranked, 1) if first)
    m, n = len(one), len(two)
    u = ranks - m * (m + 1) / 2
    return (u - m * n / 2) / sqrt(m * n * (m + n + 1) / 12)
