from dataclasses import replace

import pytest

from contracts.vocabulary import Language
from services.policy.domain.subject import (
    Attributes,
    SubjectChange,
    changed_subject,
    erased_subject,
)
from tests.unit.policy.builders import a_subject


@pytest.mark.parametrize(
    "change",
    [
        SubjectChange(),
        SubjectChange(email="anna@example.org"),
        SubjectChange(label="Anna at work", groups=frozenset({"b", "a"})),
        SubjectChange(user_type="staff", language=Language.DUTCH),
    ],
)
def test_what_is_the_same_already_is_no_change(change: SubjectChange) -> None:
    subject = a_subject()

    assert changed_subject(subject, change) is subject


def test_a_change_keeps_what_it_does_not_name() -> None:
    subject = a_subject()

    changed = changed_subject(subject, SubjectChange(email=None, groups=frozenset({"c", "b"})))

    assert changed == replace(
        subject,
        version=2,
        personal=replace(subject.personal, email=None),
        attributes=replace(subject.attributes, groups=("b", "c")),
    )


def test_an_erased_subject_has_neither_names_nor_attributes() -> None:
    subject = a_subject()

    erased = erased_subject(subject)

    assert (erased.subject_ref, erased.version) == (subject.subject_ref, 2)
    assert erased.attributes == Attributes(None, groups=(), language=Language.ENGLISH)
    assert not hasattr(erased, "personal")


def test_never_shows_what_names_a_person() -> None:
    subject = a_subject()

    shown = repr(subject) + repr(SubjectChange(email="anna@example.org", label="Anna at work"))

    assert "anna" not in shown.lower()
