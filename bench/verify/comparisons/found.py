"""What a comparison found: the values of all rounds, from which the figures are made."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.verify.load import Tally
from bench.verify.target import NotAsExpected, Round

# Loads one of the two ways once.
Turn = Callable[[], Awaitable[Round]]


@dataclass(frozen=True)
class Found:
    """One value a round by the name of the figure, and under which conditions they came about."""

    rounds: Mapping[str, Sequence[float]]
    conditions: Mapping[str, object]


async def alternate(rounds: int, turns: Mapping[str, Turn]) -> dict[str, list[Round]]:
    """Load one way after the other, again and again, so that all see the same machine."""
    found: dict[str, list[Round]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in in_turn(list(turns), number):
            found[name].append(await turns[name]())
    return found


def in_turn(names: Sequence[str], number: int) -> Sequence[str]:
    """Return the order of a round: every other one is reversed, so that nobody is always first."""
    return names if number % 2 == 0 else names[::-1]


def refuse_idle(spent: Mapping[str, float], *, least: float) -> None:
    """Raise NotAsExpected where one of several does less than this share of their work."""
    if min(spent.values()) < least * sum(spent.values()):
        raise NotAsExpected(f"the work is not shared: {dict(spent)} s")


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Return how many times as much each of these is as its counterpart."""
    return [this / that for this, that in zip(these, those, strict=True)]


def costs(rounds: Sequence[Round], *parts: str) -> list[float]:
    """Return the microseconds that some parts used for an answer, in each round."""
    return [sum(one.cost[part] for part in parts) for one in rounds]


def percentile(tally: Tally, n: int) -> float:
    """Return how many milliseconds `n` of a hundred answers took at most."""
    return 1000 * statistics.quantiles(tally.seconds, n=100, method="inclusive")[n - 1]


def percentiles(rounds: Sequence[Round], n: int) -> list[float]:
    """Return the same of each round."""
    return [percentile(one.tally, n) for one in rounds]


def rates(rounds: Sequence[Round]) -> list[float]:
    """Return the answers a second of each round."""
    return [one.tally.rate for one in rounds]
