"""Attacks on rules as people write them."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.policy.domain.changes import changes
from services.policy.domain.rules import RulesText, mistakes, published_rules

_OFF: dict[str, Any] = {"name": "off", "requirement": "off"}


@pytest.mark.parametrize(
    ("starts", "zone"),
    [
        ("9999-12-31T23:59", "America/New_York"),
        ("0001-01-01T00:00", "Asia/Tokyo"),
        ("9999-01-01T00:00", "UTC"),
        ("1969-12-31T23:59", "UTC"),
    ],
)
def test_the_ends_of_time_are_a_mistake_and_no_crash(starts: str, zone: str) -> None:
    text = RulesText.model_validate({"time_zone": zone, "rules": [_OFF | {"starts": starts}]})

    [words] = mistakes(text, frozenset())

    assert words.endswith("is not in the years from 1970 to 9998")


@pytest.mark.parametrize("starts", ["9998-12-31T23:59", "1970-01-01T00:00"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_every_time_that_is_taken_is_a_moment(starts: str, zone: str) -> None:
    text = RulesText.model_validate({"time_zone": zone, "rules": [_OFF | {"starts": starts}]})

    assert mistakes(text, frozenset()) == ()
    assert published_rules(text)[0].starts is not None


@pytest.mark.parametrize("zone", ["localtime", "Factory"])
def test_a_time_zone_is_a_place(zone: str) -> None:
    with pytest.raises(ValidationError):
        RulesText.model_validate({"time_zone": zone, "rules": []})


def test_a_change_shows_what_is_different() -> None:
    before, after = (
        RulesText.model_validate({"rules": [_OFF | {"match": {"groups": groups}}]})
        for groups in (["all staff"], ["all", "staff"])
    )

    [line] = changes(before, after)

    old, new = line.removeprefix("~ off: match ").split(" -> ")
    assert old != new


@pytest.mark.parametrize(
    ("groups", "shown"),
    [
        (["all staff"], '"all staff"'),
        (["all", "staff"], "all staff"),
        (["none"], '"none"'),
        (["a; users b"], '"a; users b"'),
        (["Zürich", "日本"], "Zürich 日本"),
        (['a"b'], '"a\\"b"'),
    ],
)
def test_words_that_could_be_taken_for_others_stand_in_marks(groups: list[str], shown: str) -> None:
    after = RulesText.model_validate({"rules": [_OFF | {"match": {"groups": groups}}]})

    [line] = changes(RulesText.model_validate({"rules": [_OFF]}), after)

    assert line == f"~ off: match everybody -> (groups {shown})"
