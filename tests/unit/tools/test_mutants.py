import pytest

from tools.mutants import complaints, justified

FOUND = {"a_1": "killed", "a_2": "survived", "a_3": "timeout", "b_1": "no tests"}


def test_whatever_no_test_notices_needs_a_reason() -> None:
    assert complaints(FOUND, set()) == ["survived     a_2", "no tests     b_1"]
    assert complaints(FOUND, {"a_2"}) == ["no tests     b_1"]
    assert complaints(FOUND, {"a_2", "b_1"}) == []


@pytest.mark.parametrize("how", ["not checked", "suspicious", "segfault", "skipped"])
def test_what_was_not_judged_to_its_end_is_not_noticed(how: str) -> None:
    assert complaints({"a_1": how}, set()) == [f"{how:<12} a_1"]


def test_a_reason_for_what_is_noticed_or_gone_is_for_nothing() -> None:
    said = complaints(FOUND, {"a_1", "a_2", "b_1", "c_9"})

    assert said == [
        "for nothing  a_1 is justified and killed",
        "for nothing  c_9 is justified and does not exist",
    ]


def test_a_slow_machine_does_not_take_a_reason_away() -> None:
    assert complaints({"a_3": "timeout"}, {"a_3"}) == []


def test_no_mutants_at_all_is_no_success() -> None:
    assert complaints({}, set()) == ["mutmut has changed nothing"]


def test_a_name_without_a_reason_is_not_justified() -> None:
    assert justified("# a comment\na_1 it says the same\na_2\n\n") == {"a_1"}
