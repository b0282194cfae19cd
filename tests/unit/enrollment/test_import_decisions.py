from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Factor
from services.enrollment.domain.import_decisions import (
    Candidate,
    Decided,
    Known,
    Mark,
    Surroundings,
    Where,
    decide,
)
from services.enrollment.domain.imports import RowOutcome
from services.enrollment.domain.token_rows import Row, TokenRow

ANNA = uuid4()


def candidate(
    number: int, secret: bytes, *, serial: str | None = None, subject: str | None = None
) -> Candidate:
    body = TokenRow.model_validate(
        {"factor": Factor.TOTP, "secret": "A" * 32, "serial": serial, "subject": subject}
    )
    content = secret + repr((serial, subject)).encode()
    digest = serial.encode() if serial is not None else None
    return Candidate(Row(number, body), secret=secret, serial=digest, content=content)


def decided(
    *candidates: Candidate, around: Surroundings | None = None
) -> list[tuple[RowOutcome, tuple[str, ...]]]:
    return [(one.outcome, one.errors) for one in _decide(candidates, around)]


def _decide(candidates: tuple[Candidate, ...], around: Surroundings | None) -> list[Decided]:
    fresh = [(uuid4(), uuid4()) for _ in candidates]
    return decide(candidates, around or Surroundings(subjects={"anna": ANNA}), fresh=fresh)


def test_what_a_row_becomes_depends_on_whose_it_is() -> None:
    rows = (
        candidate(1, b"a", serial="T1"),
        candidate(2, b"b", subject="anna"),
        candidate(3, b"c", serial="T3", subject="anna"),
    )

    stocked, enrolled, both = _decide(rows, None)

    def made(one: Decided) -> tuple[UUID | None, bool, bool]:
        return one.subject_ref, one.authenticator_id is not None, one.token_id is not None

    assert made(stocked) == (None, False, True)
    assert made(enrolled) == (ANNA, True, False)
    assert made(both) == (ANNA, True, True)


def test_a_row_that_was_refused_takes_nothing_from_a_later_one() -> None:
    assert [
        outcome
        for outcome, _ in decided(
            candidate(1, b"a", subject="nobody"),
            candidate(2, b"a", subject="anna"),
            candidate(3, b"b"),
            candidate(4, b"b", serial="T"),
        )
    ] == [RowOutcome.REFUSED, RowOutcome.ENROLLED, RowOutcome.REFUSED, RowOutcome.STOCKED]


@pytest.mark.parametrize(
    ("where", "same", "other"),
    [
        (Where.STOCK, RowOutcome.UNCHANGED, "in stock already"),
        (Where.ENROLLED, RowOutcome.UNCHANGED, "enrolled already"),
        (Where.REMOVED, RowOutcome.REFUSED, "enroll anew"),
    ],
)
def test_a_secret_that_came_before(where: Where, same: RowOutcome, other: str) -> None:
    row = candidate(1, b"a", serial="T1")
    around = Surroundings(secrets={b"a": Known(row.content, where)})

    [(outcome, _)] = decided(row, around=around)
    [(_, errors)] = decided(candidate(1, b"a", serial="T2"), around=around)

    assert outcome is same
    assert other in errors[0]


def test_rows_of_earlier_steps_are_named_before_what_they_made() -> None:
    first = candidate(1, b"a", serial="T1")
    mark = Mark(1, first.content)
    around = Surroundings(
        secrets={b"a": Known(first.content, Where.STOCK)},
        serials=frozenset({"T1"}),
        marks={b"a": mark, b"T1": mark},
    )

    assert decided(
        candidate(2, b"a", serial="T2"), candidate(3, b"b", serial="T1"), around=around
    ) == [
        (RowOutcome.REFUSED, ("secret: row 1 has the same one",)),
        (RowOutcome.REFUSED, ("serial: row 1 has the same one",)),
    ]


@pytest.mark.parametrize(("active", "enrolled"), [(0, 5), (4, 1), (5, 0)])
def test_nobody_gets_a_sixth(active: int, enrolled: int) -> None:
    rows = [candidate(n, bytes([n]), subject="anna") for n in range(1, 8)]
    around = Surroundings(subjects={"anna": ANNA}, active={ANNA: active})

    outcomes = [outcome for outcome, _ in decided(*rows, around=around)]

    assert outcomes == [RowOutcome.ENROLLED] * enrolled + [RowOutcome.REFUSED] * (7 - enrolled)


def test_what_is_wrong_with_a_row_is_said_as_it_is() -> None:
    assert decided(Candidate(Row(1, errors=("digits: no",)))) == [
        (RowOutcome.REFUSED, ("digits: no",))
    ]
