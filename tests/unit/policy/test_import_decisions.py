from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Language
from services.policy.domain.import_decisions import Decided, Known, decide
from services.policy.domain.imports import RowOutcome
from services.policy.domain.subject import Attributes, Personal, Subject
from services.policy.domain.subject_rows import Row
from services.policy.domain.subject_text import SubjectBody
from tests.unit.policy.builders import NOW

CREATED, UPDATED = RowOutcome.CREATED, RowOutcome.UPDATED
UNCHANGED, REFUSED = RowOutcome.UNCHANGED, RowOutcome.REFUSED


def _there(name: str, label: str | None = None) -> Subject:
    return Subject(
        uuid4(),
        version=4,
        created=NOW,
        personal=Personal(name, email=f"{name}@example.org", label=label or name),
        attributes=Attributes("staff", groups=("a",), language=Language.DUTCH),
    )


def _row(number: int, **said: object) -> Row:
    return Row(number, SubjectBody.model_validate(said))


def _decide(rows: Sequence[Row], *there: Subject, marks: Mapping[str, int] = {}) -> list[Decided]:
    known = Known(
        subjects={one.personal.subject: one for one in there},
        owners={one.personal.label: one.subject_ref for one in there},
        marks=marks,
    )
    return decide(rows, known, fresh=[uuid4() for _ in rows], now=NOW)


def _outcomes(decided: Sequence[Decided]) -> list[RowOutcome]:
    return [one.outcome for one in decided]


def test_who_is_not_there_is_created_with_the_standard_values() -> None:
    fresh = UUID(int=7)

    [one] = decide([_row(1, subject="anna")], Known(), fresh=[fresh], now=NOW)

    assert one.outcome is CREATED
    assert one.after == Subject(
        fresh,
        version=1,
        created=NOW,
        personal=Personal("anna", email=None, label="anna"),
        attributes=Attributes(None, groups=(), language=Language.ENGLISH),
    )


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ({}, "email", "anna@example.org"),
        ({"email": None}, "email", None),
        ({"email": "b@example.org"}, "email", "b@example.org"),
        ({}, "label", "Anna"),
        ({"label": None}, "label", "anna"),
        ({"label": "B"}, "label", "B"),
    ],
)
def test_what_a_row_does_not_name_stays(said: dict[str, object], field: str, value: object) -> None:
    [one] = _decide([_row(1, subject="anna", **said)], _there("anna", "Anna"))

    assert one.after is not None
    assert getattr(one.after.personal, field) == value


@pytest.mark.parametrize(
    ("said", "attributes"),
    [
        ({}, Attributes("staff", ("a",), Language.DUTCH)),
        ({"user_type": None}, Attributes(None, ("a",), Language.DUTCH)),
        ({"groups": []}, Attributes("staff", (), Language.DUTCH)),
        ({"groups": ["b", "a"]}, Attributes("staff", ("a", "b"), Language.DUTCH)),
        ({"language": "en"}, Attributes("staff", ("a",), Language.ENGLISH)),
    ],
)
def test_attributes_that_a_row_does_not_name_stay(
    said: dict[str, object], attributes: Attributes
) -> None:
    [one] = _decide([_row(1, subject="anna", **said)], _there("anna"))

    assert one.after is not None
    assert one.after.attributes == attributes


def test_a_row_that_changes_nothing_leaves_the_version() -> None:
    anna = _there("anna")

    [one] = _decide([_row(1, subject="anna", groups=["a"])], anna)

    assert (one.outcome, one.after) == (UNCHANGED, anna)


def test_a_changed_subject_has_the_next_version() -> None:
    [one] = _decide([_row(1, subject="anna", language="en")], _there("anna"))

    assert one.after is not None
    assert (one.outcome, one.after.version) == (UPDATED, 5)


def test_a_second_row_about_one_subject_names_both() -> None:
    rows = [_row(3, subject="anna"), _row(4, subject="bob"), _row(9, subject="anna")]

    decided = _decide(rows)

    assert _outcomes(decided) == [CREATED, CREATED, REFUSED]
    assert decided[2].errors == ("subject: row 3 is about the same one as row 9",)


def test_a_second_row_is_noticed_in_a_later_step() -> None:
    [one] = _decide([_row(900, subject="anna")], marks={"anna": 3})

    assert one.errors == ("subject: row 3 is about the same one as row 900",)


def test_a_row_after_a_refused_one_about_the_same_subject_is_refused() -> None:
    rows = [_row(1, subject="anna", label="Bob"), _row(2, subject="anna")]

    assert _outcomes(_decide(rows, _there("bob", "Bob"))) == [REFUSED, REFUSED]


def test_who_was_erased_meanwhile_does_not_come_back() -> None:
    [one] = _decide([_row(1, subject="anna")], marks={"anna": 0})

    assert one.errors == ("subject: was deleted after this import began",)


def test_what_cannot_be_read_is_refused_with_its_errors() -> None:
    [one] = _decide([Row(1, errors=("email: not an e-mail address",))])

    assert (one.outcome, one.errors) == (REFUSED, ("email: not an e-mail address",))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"subject": "carl", "label": "B"}, REFUSED),
        ({"subject": "B"}, REFUSED),
        ({"subject": "anna", "label": "B"}, REFUSED),
        ({"subject": "bob", "label": "B"}, UNCHANGED),
        ({"subject": "bob"}, UNCHANGED),
        ({"subject": "carl", "label": "b"}, CREATED),
    ],
)
def test_a_label_has_one_owner(said: dict[str, object], outcome: RowOutcome) -> None:
    [one] = _decide([_row(1, **said)], _there("anna", "A"), _there("bob", "B"))

    assert one.outcome is outcome


def test_two_new_ones_do_not_share_a_label() -> None:
    rows = [_row(1, subject="anna", label="A"), _row(2, subject="bob", label="A")]

    decided = _decide(rows)

    assert _outcomes(decided) == [CREATED, REFUSED]
    assert decided[1].errors == ("label: another subject has it",)


def test_a_label_that_is_given_up_is_free_in_the_next_step() -> None:
    anna = _there("anna", "A")
    rows = [_row(1, subject="anna", label="B"), _row(2, subject="carl", label="A")]

    first = _decide(rows, anna)
    second = _decide(rows[1:], replace(anna, personal=Personal("anna", None, "B")))

    assert _outcomes(first) == [UPDATED]
    assert _outcomes(second) == [CREATED]


def test_two_do_not_swap_their_labels() -> None:
    rows = [_row(1, subject="anna", label="B"), _row(2, subject="bob", label="A")]

    assert _outcomes(_decide(rows, _there("anna", "A"), _there("bob", "B"))) == [REFUSED, REFUSED]
