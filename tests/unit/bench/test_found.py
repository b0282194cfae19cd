import asyncio
from array import array
from collections import Counter

import pytest

from bench.verify.comparisons.found import (
    Found,
    Turn,
    alternate,
    costs,
    in_turn,
    percentile,
    ratios,
    refuse_idle,
)
from bench.verify.comparisons.telemetry import _refuse_unlike
from bench.verify.load import Tally
from bench.verify.output import lines, summed_up
from bench.verify.report import ends, median
from bench.verify.target import NotAsExpected, Round, even_shares

ROUND = Round(Tally(200), {"service": 100.0, "postgres": 50.0, "valkey": 20.0, "relay": 10.0})


def test_every_other_round_goes_the_other_way_round() -> None:
    assert [list(in_turn("abc", number)) for number in range(3)] == [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["a", "b", "c"],
    ]


def test_each_way_is_loaded_once_a_round() -> None:
    loaded: list[str] = []

    def turn(name: str) -> Turn:
        async def load() -> Round:
            loaded.append(name)
            return ROUND

        return load

    found = asyncio.run(alternate(3, {name: turn(name) for name in "ab"}))

    assert loaded == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(rounds) for name, rounds in found.items()} == {"a": 3, "b": 3}


def test_a_ratio_is_between_the_two_of_a_round() -> None:
    assert ratios([1.0, 4.0], [2.0, 2.0]) == [0.5, 2.0]
    with pytest.raises(ValueError, match="argument 2 is longer"):
        ratios([1.0], [2.0, 2.0])


def test_costs_are_summed_over_parts() -> None:
    assert costs([ROUND], "service") == [100.0]
    assert costs([ROUND], "service", "valkey") == [120.0]
    assert ROUND.system == 180.0


def test_percentiles_are_milliseconds() -> None:
    tally = Tally(200, Counter({200: 101}), array("d", [n / 1000 for n in range(101)]))

    assert percentile(tally, 50) == pytest.approx(50.0)
    assert percentile(tally, 99) == pytest.approx(99.0)


@pytest.mark.parametrize(
    ("spent", "is_refused"),
    [({"a": 0.7, "b": 0.3}, False), ({"a": 0.71, "b": 0.29}, True), ({"a": 1.0, "b": 0.0}, True)],
)
def test_who_does_too_little_of_the_work_is_noticed(
    spent: dict[str, float], is_refused: bool
) -> None:
    if not is_refused:
        refuse_idle(spent, least=0.3)
        return
    with pytest.raises(NotAsExpected):
        refuse_idle(spent, least=0.3)


@pytest.mark.parametrize("came", [{}, {"on": 5}, {"all": 5}, {"on": 5, "all": 9, "off": 1}])
def test_traces_from_the_wrong_processes_are_noticed(came: dict[str, int]) -> None:
    with pytest.raises(NotAsExpected):
        _refuse_unlike(came)


def test_traces_from_the_right_processes_are_taken() -> None:
    _refuse_unlike({"on": 5, "all": 500})


@pytest.mark.parametrize(
    ("count", "among", "shares"), [(128, 1, [128]), (128, 2, [64, 64]), (5, 3, [2, 2, 1])]
)
def test_connections_are_spread_evenly(count: int, among: int, shares: list[int]) -> None:
    assert even_shares(count, among) == shares


def test_rounds_are_summed_up_by_their_middle_and_their_ends() -> None:
    found = Found({"service": [1.0, 1.234, 3.0]}, {})

    assert summed_up(found, median) == {"service": 1.23}
    assert summed_up(found, ends) == {"service": {"min": 1.0, "max": 3.0}}
    assert lines("a_vs_b", found).split() == ["a_vs_b", "service", "1.23", "(1.00-3.00)"]
