"""A bulk import of subjects: what it has received, how far it is, and what became of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.policy.domain.refusals import Refusal, Unreadable
from services.policy.domain.subject_rows import MOST_ROWS, Format, PartRows

MOST_BYTES = 100 * 1024 * 1024
MOST_OPEN = 10
# Who does not send the rest within a day begins again: names are not left lying about.
ABANDONED_AFTER = timedelta(days=1)
KEPT_FOR = timedelta(days=30)


class State(StrEnum):
    """How far an import is; `receiving` and `running` are open, the others its end."""

    RECEIVING = "receiving"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class RowOutcome(StrEnum):
    """What became of a row, or would become of it."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Counts:
    """How many rows ended in which way."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def worked(self) -> int:
        """Return how many rows were worked through."""
        return self.created + self.updated + self.unchanged + self.refused


@dataclass(frozen=True)
class SubjectImport:
    """One import; `author` is the key that began it, `columns` the header of a CSV."""

    import_id: UUID
    format: Format
    dry_run: bool
    author: UUID
    created: datetime
    touched: datetime
    expected: int | None = None
    file_digest: bytes | None = None
    state: State = State.RECEIVING
    columns: tuple[str, ...] = ()
    parts: int = 0
    size: int = 0
    received: int = 0
    counts: Counts = Counts()


@dataclass(frozen=True)
class Part:
    """Some rows that wait, sealed."""

    number: int
    first_row: int
    last_row: int
    digest: bytes
    sealed: bytes


def is_open(found: SubjectImport) -> bool:
    """Tell whether something is still to come of an import."""
    return found.state in (State.RECEIVING, State.RUNNING)


def may_take(found: SubjectImport, number: int) -> Refusal | None:
    """Tell why an import does not take a part with this number, if so; a repeat it does."""
    if found.state is not State.RECEIVING:
        return Refusal.IMPORT_CLOSED
    return Refusal.PART_MISSING if number > found.parts + 1 else None


def with_part(
    found: SubjectImport, read: PartRows, *, size: int, now: datetime
) -> SubjectImport | Unreadable:
    """Return the import with one more part of so many bytes."""
    received = found.received + len(read.rows)
    if received > MOST_ROWS:
        return Unreadable((f"row {MOST_ROWS + 1}: an import has at most {MOST_ROWS} rows",))
    if found.size + size > MOST_BYTES:
        row = found.received + 1
        return Unreadable((f"row {row}: an import has at most {MOST_BYTES} bytes before it",))
    return replace(
        found,
        columns=read.columns,
        parts=found.parts + 1,
        size=found.size + size,
        received=received,
        touched=now,
    )


def started(found: SubjectImport, now: datetime) -> SubjectImport | Refusal:
    """Return the import as it begins to work; starting again what has started is harmless."""
    if found.state is not State.RECEIVING:
        return Refusal.IMPORT_CLOSED if found.state is State.CANCELLED else found
    if found.expected is not None and found.expected != found.received:
        return Refusal.ROWS_MISSING
    return replace(found, state=State.RUNNING, touched=now)


def cancelled(found: SubjectImport, now: datetime) -> SubjectImport | Refusal:
    """Return the import that goes no further; what was done stays."""
    if found.state is State.FINISHED:
        return Refusal.IMPORT_CLOSED
    if found.state is State.CANCELLED:
        return found
    return replace(found, state=State.CANCELLED, touched=now)


def advanced(
    found: SubjectImport, outcomes: Mapping[RowOutcome, int], *, now: datetime
) -> SubjectImport:
    """Return the import after some more rows; it is finished with the last one."""
    before = found.counts
    counts = Counts(
        created=before.created + outcomes.get(RowOutcome.CREATED, 0),
        updated=before.updated + outcomes.get(RowOutcome.UPDATED, 0),
        unchanged=before.unchanged + outcomes.get(RowOutcome.UNCHANGED, 0),
        refused=before.refused + outcomes.get(RowOutcome.REFUSED, 0),
    )
    state = State.FINISHED if counts.worked >= found.received else found.state
    return replace(found, counts=counts, state=state, touched=now)
