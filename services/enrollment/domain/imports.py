"""An import of authenticators: what it has received, how far it is, what became of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.enrollment.domain.import_refusals import ImportRefusal

MOST_BYTES = 100 * 1024 * 1024
MOST_OPEN = 10
# Who does not send the rest within a day begins again: secrets are not left lying about.
ABANDONED_AFTER = timedelta(days=1)
KEPT_FOR = timedelta(days=30)


class State(StrEnum):
    """How far an import is; `receiving` and `running` are open, the others its end."""

    RECEIVING = "receiving"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class RowOutcome(StrEnum):
    """What became of a row, or would: somebody's authenticator, or a token in stock."""

    ENROLLED = "enrolled"
    STOCKED = "stocked"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Counts:
    """How many rows ended in which way."""

    enrolled: int = 0
    stocked: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def worked(self) -> int:
        """Return how many rows were worked through."""
        return self.enrolled + self.stocked + self.unchanged + self.refused


@dataclass(frozen=True)
class AuthenticatorImport:
    """One import; `author` is the key that began it, of the application `application_id`."""

    import_id: UUID
    dry_run: bool
    application_id: UUID
    author: UUID
    created: datetime
    touched: datetime
    expected: int | None = None
    file_digest: bytes | None = None
    state: State = State.RECEIVING
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


def may_take(found: AuthenticatorImport, number: int) -> ImportRefusal | None:
    """Tell why an import does not take a part with this number, if so; a repeat it does."""
    if found.state is not State.RECEIVING:
        return ImportRefusal.IMPORT_CLOSED
    return ImportRefusal.PART_MISSING if number > found.parts + 1 else None


def with_part(
    found: AuthenticatorImport, *, rows: int, size: int, now: datetime
) -> AuthenticatorImport:
    """Return the import with one more part of so many rows and bytes."""
    return replace(
        found,
        parts=found.parts + 1,
        size=found.size + size,
        received=found.received + rows,
        touched=now,
    )


def started(found: AuthenticatorImport, now: datetime) -> AuthenticatorImport | ImportRefusal:
    """Return the import as it begins to work; starting again what has started is harmless."""
    if found.state is not State.RECEIVING:
        return ImportRefusal.IMPORT_CLOSED if found.state is State.CANCELLED else found
    if found.expected is not None and found.expected != found.received:
        return ImportRefusal.ROWS_MISSING
    return replace(found, state=State.RUNNING, touched=now)


def cancelled(found: AuthenticatorImport, now: datetime) -> AuthenticatorImport | ImportRefusal:
    """Return the import that goes no further; what was done stays."""
    if found.state is State.FINISHED:
        return ImportRefusal.IMPORT_CLOSED
    if found.state is State.CANCELLED:
        return found
    return replace(found, state=State.CANCELLED, touched=now)


def advanced(
    found: AuthenticatorImport, outcomes: Mapping[RowOutcome, int], *, now: datetime
) -> AuthenticatorImport:
    """Return the import after some more rows; it is finished with the last one."""
    before = found.counts
    counts = Counts(
        enrolled=before.enrolled + outcomes.get(RowOutcome.ENROLLED, 0),
        stocked=before.stocked + outcomes.get(RowOutcome.STOCKED, 0),
        unchanged=before.unchanged + outcomes.get(RowOutcome.UNCHANGED, 0),
        refused=before.refused + outcomes.get(RowOutcome.REFUSED, 0),
    )
    state = State.FINISHED if counts.worked >= found.received else found.state
    return replace(found, counts=counts, state=state, touched=now)
