"""Attacks on rules as people write them."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.policy.domain.changes import changes
from services.policy.domain.rules import RulesText, mistakes

_OFF: dict[str, Any] = {"name": "off", "requirement": "off"}


@pytest.mark.xfail(
    strict=True, raises=OverflowError, reason="at the ends of time astimezone overflows: 500"
)
@pytest.mark.parametrize(
    ("starts", "zone"),
    [("9999-12-31T23:59", "America/New_York"), ("0001-01-01T00:00", "Asia/Tokyo")],
)
def test_the_ends_of_time_are_a_mistake_and_no_crash(starts: str, zone: str) -> None:
    text = RulesText.model_validate({"time_zone": zone, "rules": [_OFF | {"starts": starts}]})

    assert mistakes(text, frozenset())


@pytest.mark.xfail(
    strict=True,
    reason="`localtime` is the clock of whatever machine reads it: no digest covers that",
)
@pytest.mark.parametrize("zone", ["localtime", "Factory"])
def test_a_time_zone_is_a_place(zone: str) -> None:
    with pytest.raises(ValidationError):
        RulesText.model_validate({"time_zone": zone, "rules": []})


@pytest.mark.xfail(strict=True, reason="texts are shown without marks around them")
def test_a_change_shows_what_is_different() -> None:
    before, after = (
        RulesText.model_validate({"rules": [_OFF | {"match": {"groups": groups}}]})
        for groups in (["all staff"], ["all", "staff"])
    )

    [line] = changes(before, after)

    old, new = line.removeprefix("~ off: match ").split(" -> ")
    assert old != new
