"""What an import does with its next rows: pure, so that a dry run and a real one agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.policy.domain.imports import RowOutcome
from services.policy.domain.subject import Subject, changed_subject
from services.policy.domain.subject_rows import Row
from services.policy.domain.subject_text import (
    SubjectBody,
    attributes_of,
    change_by,
    personal_of,
)

ERASED = 0


@dataclass(frozen=True)
class Known:
    """What is there already of what the rows name.

    `subjects` go by the application's id, `owners` say who has a label, and `marks` which earlier
    row of the import named a subject; ERASED stands for one that was erased since it began.
    """

    subjects: Mapping[str, Subject] = field(default_factory=dict, repr=False)
    owners: Mapping[str, UUID] = field(default_factory=dict, repr=False)
    marks: Mapping[str, int] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Decided:
    """What becomes of one row: of `before`, where that was there, `after`."""

    row: Row
    outcome: RowOutcome
    before: Subject | None = None
    after: Subject | None = None
    errors: tuple[str, ...] = ()


def decide(
    rows: Sequence[Row], known: Known, *, fresh: Sequence[UUID], now: datetime
) -> list[Decided]:
    """Decide for rows in their order; `fresh` are ids for those that come new.

    It may stop before a row that wants a label which one of these rows gives up: what is written
    at once has no order in which that could come to be. The first row is always decided.
    """
    marks, owners = dict(known.marks), dict(known.owners)
    given_up: set[str] = set()
    decided: list[Decided] = []
    for row, fresh_ref in zip(rows, fresh, strict=True):
        one = _decide_one(row, known, marks, fresh_ref=fresh_ref, now=now)
        if one.after is not None:
            label = one.after.personal.label
            if label in given_up:
                break
            if owners.setdefault(label, one.after.subject_ref) != one.after.subject_ref:
                one = _refused(row, "label: another subject has it")
            elif one.before is not None and one.before.personal.label != label:
                given_up.add(one.before.personal.label)
        if row.body is not None:
            marks.setdefault(row.body.subject, row.number)
        decided.append(one)
    return decided


def _decide_one(
    row: Row, known: Known, marks: Mapping[str, int], *, fresh_ref: UUID, now: datetime
) -> Decided:
    if row.body is None:
        return _refused(row, *row.errors)
    earlier = marks.get(row.body.subject)
    if earlier == ERASED:
        return _refused(row, "subject: was deleted after this import began")
    if earlier is not None:
        return _refused(row, f"subject: row {earlier} is about the same one as row {row.number}")
    before = known.subjects.get(row.body.subject)
    if before is None:
        after = _new_subject(row.body, fresh_ref, now)
        return Decided(row, RowOutcome.CREATED, after=after)
    after = changed_subject(before, change_by(row.body))
    outcome = RowOutcome.UNCHANGED if after == before else RowOutcome.UPDATED
    return Decided(row, outcome, before, after)


def _new_subject(body: SubjectBody, subject_ref: UUID, now: datetime) -> Subject:
    return Subject(
        subject_ref,
        version=1,
        created=now,
        personal=personal_of(body),
        attributes=attributes_of(body),
    )


def _refused(row: Row, *errors: str) -> Decided:
    return Decided(row, RowOutcome.REFUSED, errors=errors)
