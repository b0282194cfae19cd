"""What an import does with its next rows: pure, so that a dry run and a real one agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from services.enrollment.domain.enrollment import MOST_CODE_AUTHENTICATORS
from services.enrollment.domain.imports import RowOutcome
from services.enrollment.domain.token_rows import Row, TokenRow


class Where(StrEnum):
    """Where a secret is that came before."""

    STOCK = "in stock already"
    ENROLLED = "enrolled already"
    REMOVED = "was enrolled and removed: enroll anew"


@dataclass(frozen=True)
class Known:
    """A secret that came before; `content` is the digest of the whole row."""

    content: bytes
    where: Where


@dataclass(frozen=True)
class Mark:
    """The row of this import that first had a secret or a serial."""

    number: int
    content: bytes


@dataclass(frozen=True)
class Candidate:
    """A row with its digests: of the secret, of the serial and of all that it says."""

    row: Row
    secret: bytes = b""
    serial: bytes | None = None
    content: bytes = b""


@dataclass(frozen=True)
class Surroundings:
    """What is there already of what the rows name.

    `active` is how many authenticators somebody has; who was deleted is none of `subjects`.
    """

    secrets: Mapping[bytes, Known] = field(default_factory=dict)
    serials: frozenset[str] = frozenset()
    marks: Mapping[bytes, Mark] = field(default_factory=dict)
    subjects: Mapping[str, UUID] = field(default_factory=dict, repr=False)
    active: Mapping[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Decided:
    """What becomes of one row, under an id for the authenticator and one for the token."""

    candidate: Candidate
    outcome: RowOutcome
    errors: tuple[str, ...] = ()
    subject_ref: UUID | None = None
    authenticator_id: UUID | None = None
    token_id: UUID | None = None


def decide(
    candidates: Sequence[Candidate],
    around: Surroundings,
    *,
    fresh: Sequence[tuple[UUID, UUID]],
) -> list[Decided]:
    """Decide for rows in their order; `fresh` are ids for what comes new, a pair for each row."""
    marks, active = dict(around.marks), dict(around.active)
    decided = []
    for candidate, ids in zip(candidates, fresh, strict=True):
        one = _decide_one(candidate, around, marks, active, ids=ids)
        if one.outcome is not RowOutcome.REFUSED:
            mark = Mark(candidate.row.number, candidate.content)
            marks.setdefault(candidate.secret, mark)
            if candidate.serial is not None:
                marks.setdefault(candidate.serial, mark)
        if one.subject_ref is not None:
            active[one.subject_ref] = active.get(one.subject_ref, 0) + 1
        decided.append(one)
    return decided


def _decide_one(
    candidate: Candidate,
    around: Surroundings,
    marks: Mapping[bytes, Mark],
    active: Mapping[UUID, int],
    *,
    ids: tuple[UUID, UUID],
) -> Decided:
    body = candidate.row.body
    if body is None:
        return _refused(candidate, *candidate.row.errors)
    if _came_before(candidate, around, marks):
        return Decided(candidate, RowOutcome.UNCHANGED)
    wrong = _clash(candidate, body, around, marks) or _nobody(body, around, active)
    if wrong is not None:
        return _refused(candidate, wrong)
    if body.subject is None:
        return Decided(candidate, RowOutcome.STOCKED, token_id=ids[1])
    return Decided(
        candidate,
        RowOutcome.ENROLLED,
        subject_ref=around.subjects[body.subject],
        authenticator_id=ids[0],
        token_id=ids[1] if body.serial is not None else None,
    )


def _came_before(candidate: Candidate, around: Surroundings, marks: Mapping[bytes, Mark]) -> bool:
    mark, known = marks.get(candidate.secret), around.secrets.get(candidate.secret)
    if mark is not None:
        return mark.content == candidate.content
    if known is None or known.where is Where.REMOVED:
        return False
    return known.content == candidate.content


def _clash(
    candidate: Candidate, body: TokenRow, around: Surroundings, marks: Mapping[bytes, Mark]
) -> str | None:
    mark, known = marks.get(candidate.secret), around.secrets.get(candidate.secret)
    if mark is not None:
        return f"secret: row {mark.number} has the same one"
    if known is not None:
        return f"secret: {known.where}"
    earlier = marks.get(candidate.serial) if candidate.serial is not None else None
    if earlier is not None:
        return f"serial: row {earlier.number} has the same one"
    if body.serial in around.serials:
        return "serial: known already, with another secret"
    return None


def _nobody(body: TokenRow, around: Surroundings, active: Mapping[UUID, int]) -> str | None:
    if body.subject is None:
        return "serial: needed where there is no subject" if body.serial is None else None
    subject_ref = around.subjects.get(body.subject)
    if subject_ref is None:
        return "subject: there is no such subject"
    if active.get(subject_ref, 0) >= MOST_CODE_AUTHENTICATORS:
        return f"subject: has {MOST_CODE_AUTHENTICATORS} authenticators with codes already"
    return None


def _refused(candidate: Candidate, *errors: str) -> Decided:
    return Decided(candidate, RowOutcome.REFUSED, errors=errors)
