from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from services.policy.domain.imports import (
    MOST_BYTES,
    Counts,
    RowOutcome,
    State,
    SubjectImport,
    advanced,
    cancelled,
    may_take,
    started,
    with_part,
)
from services.policy.domain.refusals import Refusal, Unreadable
from services.policy.domain.subject_rows import MOST_ROWS, Format, PartRows
from tests.unit.policy.builders import NOW

_LATER = NOW + timedelta(minutes=1)


def _import(**said: object) -> SubjectImport:
    made = SubjectImport(uuid4(), Format.CSV, False, uuid4(), created=NOW, touched=NOW)
    return replace(made, **said)  # type: ignore[arg-type]


def _rows(number: int) -> PartRows:
    return PartRows(("subject",), [["anna"]] * number)


@pytest.mark.parametrize(
    ("number", "refusal"),
    [(1, None), (2, None), (3, None), (4, Refusal.PART_MISSING), (5, Refusal.PART_MISSING)],
)
def test_parts_come_in_order_and_again(number: int, refusal: Refusal | None) -> None:
    assert may_take(_import(parts=2), number) is refusal


@pytest.mark.parametrize("state", [State.RUNNING, State.FINISHED, State.CANCELLED])
def test_no_part_comes_after_the_start(state: State) -> None:
    assert may_take(_import(state=state, parts=2), 1) is Refusal.IMPORT_CLOSED


@pytest.mark.parametrize(
    ("before", "more", "taken"),
    [
        (MOST_ROWS - 3, 2, True),
        (MOST_ROWS - 3, 3, True),
        (MOST_ROWS - 3, 4, False),
        (MOST_ROWS, 0, True),
        (MOST_ROWS, 1, False),
    ],
)
def test_the_row_after_the_last_possible_one_is_named(before: int, more: int, taken: bool) -> None:
    after = with_part(_import(received=before), _rows(more), size=1, now=_LATER)

    assert isinstance(after, SubjectImport) is taken
    if isinstance(after, Unreadable):
        assert after.words == ("row 100001: an import has at most 100000 rows",)


@pytest.mark.parametrize(("size", "taken"), [(-1, True), (0, True), (1, False)])
def test_an_import_has_its_size(size: int, taken: bool) -> None:
    found = _import(received=7, size=MOST_BYTES - 10)

    after = with_part(found, _rows(1), size=10 + size, now=_LATER)

    assert isinstance(after, SubjectImport) is taken
    if isinstance(after, Unreadable):
        assert after.words[0].startswith("row 8: ")


@pytest.mark.parametrize(
    ("expected", "received", "refused"),
    [(None, 3, False), (3, 3, False), (3, 2, True), (3, 4, True), (0, 0, False)],
)
def test_the_start_wants_as_many_rows_as_were_named(
    expected: int | None, received: int, refused: bool
) -> None:
    outcome = started(_import(expected=expected, received=received), _LATER)

    assert (outcome is Refusal.ROWS_MISSING) is refused


@pytest.mark.parametrize("state", [State.RUNNING, State.FINISHED])
def test_starting_again_changes_nothing(state: State) -> None:
    found = _import(state=state)

    assert started(found, _LATER) is found


def test_what_was_cancelled_does_not_start() -> None:
    assert started(_import(state=State.CANCELLED), _LATER) is Refusal.IMPORT_CLOSED


@pytest.mark.parametrize("state", [State.RECEIVING, State.RUNNING])
def test_what_is_open_can_be_cancelled(state: State) -> None:
    ended = cancelled(_import(state=state), _LATER)

    assert isinstance(ended, SubjectImport)
    assert (ended.state, ended.touched) == (State.CANCELLED, _LATER)


def test_what_is_finished_cannot_be_cancelled() -> None:
    assert cancelled(_import(state=State.FINISHED), _LATER) is Refusal.IMPORT_CLOSED


@pytest.mark.parametrize(
    ("rows", "state"), [(1, State.RUNNING), (2, State.FINISHED), (0, State.RUNNING)]
)
def test_an_import_is_finished_with_its_last_row(rows: int, state: State) -> None:
    found = _import(state=State.RUNNING, received=5, counts=Counts(created=1, refused=2))

    after = advanced(found, {RowOutcome.UPDATED: rows}, now=_LATER)

    assert (after.state, after.counts) == (state, Counts(created=1, updated=rows, refused=2))


def test_an_empty_import_is_finished_at_once() -> None:
    assert advanced(_import(state=State.RUNNING), {}, now=_LATER).state is State.FINISHED
