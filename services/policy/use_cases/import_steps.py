"""What one step of an import needs: its rows, what is known of them, and what comes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.policy import Change
from libs.postgres.pool import Connection
from services.policy.announcements import Announcement, subject_changed
from services.policy.domain.import_decisions import Decided, Known
from services.policy.domain.imports import RowOutcome, SubjectImport
from services.policy.domain.subject_rows import Row
from services.policy.store.import_marks import Mark, load_marks
from services.policy.store.imports import RowReport
from services.policy.store.subjects_at_once import (
    Entry,
    add_subjects,
    lock_subjects,
    owners_of_labels,
    save_subjects,
)
from services.policy.use_cases.personal import PersonalKeys

_CHANGES = {RowOutcome.CREATED: Change.CREATED, RowOutcome.UPDATED: Change.UPDATED}


class OvertakenError(Exception):
    """Somebody took an id or a label between our look and our writing: look again."""


@dataclass(frozen=True)
class Step:
    """The rows that are next in an import, and the keys for them."""

    tenant: UUID
    found: SubjectImport
    rows: Sequence[Row]
    keys: PersonalKeys

    def subject_digests(self) -> dict[bytes, str]:
        """Return whom the rows name, by digest."""
        names = (row.body.subject for row in self.rows if row.body is not None)
        return {self.keys.subject_digest(name): name for name in names}

    def label_digests(self) -> dict[bytes, str]:
        """Return the labels that the rows may want, by digest."""
        bodies = (row.body for row in self.rows if row.body is not None)
        labels = {body.label or body.subject for body in bodies}
        return {self.keys.label_digest(label): label for label in labels}


async def known_of(tx: Connection, step: Step) -> Known:
    """Lock the subjects that are there, and return what decisions depend on."""
    tenant, names, labels = step.tenant, step.subject_digests(), step.label_digests()
    stored = await lock_subjects(tx, tenant, list(names))
    subjects = [step.keys.open(one) for one in stored]
    found = await owners_of_labels(tx, tenant, list(labels))
    owners = {labels[digest]: owner for digest, owner in found.items()}
    # After the lock: a subject that was erased meanwhile left its mark with it.
    about = step.found.import_id
    marks = await load_marks(tx, tenant, about, [*names, *labels])
    for digest in marks.keys() & labels.keys():
        # A dry run writes no labels, and remembers what earlier rows would have done with them.
        owner = marks[digest].owner
        if owner is None:
            owners.pop(labels[digest], None)
        else:
            owners[labels[digest]] = owner
    return Known(
        subjects={one.personal.subject: one for one in subjects},
        owners=owners,
        marks={names[d]: mark.number for d, mark in marks.items() if d in names},
    )


async def save_all(tx: Connection, step: Step, decided: Sequence[Decided]) -> None:
    """Write what was decided; raises OvertakenError where somebody was quicker."""
    # Labels that are given up are free for those who come new.
    if updated := _entries(step, decided, RowOutcome.UPDATED):
        await save_subjects(tx, step.tenant, updated)
    created = _entries(step, decided, RowOutcome.CREATED)
    if created and not await add_subjects(tx, step.tenant, created):
        raise OvertakenError


def announced(step: Step, decided: Sequence[Decided]) -> Iterator[Announcement]:
    """Say what changed, as for each subject alone."""
    for one in decided:
        change = _CHANGES.get(one.outcome)
        if change is not None and one.after is not None:
            by, now = step.found.author, step.found.touched
            yield from subject_changed(
                step.tenant, one.after, change=change, changed_by=by, now=now
            )


def marks_of(step: Step, decided: Sequence[Decided]) -> dict[bytes, Mark]:
    """Return what later rows have to know of these."""
    keys, marks = step.keys, dict[bytes, Mark]()
    for one in decided:
        if one.row.body is not None:
            marks.setdefault(keys.subject_digest(one.row.body.subject), Mark(one.row.number))
        if step.found.dry_run and one.outcome in _CHANGES and one.after is not None:
            label, number = one.after.personal.label, one.row.number
            if one.before is not None and one.before.personal.label != label:
                marks[keys.label_digest(one.before.personal.label)] = Mark(number)
            marks[keys.label_digest(label)] = Mark(number, owner=one.after.subject_ref)
    return marks


def report_of(step: Step, one: Decided) -> RowReport:
    """Return what is kept of a row: nothing that names anybody."""
    imagined = step.found.dry_run and one.outcome is RowOutcome.CREATED
    shown = one.after is not None and not imagined
    subject_ref = one.after.subject_ref if one.after is not None and shown else None
    return RowReport(one.row.number, one.outcome, subject_ref, one.errors)


def _entries(step: Step, decided: Sequence[Decided], outcome: RowOutcome) -> list[Entry]:
    subjects = [one.after for one in decided if one.outcome is outcome and one.after is not None]
    return [Entry(step.keys.seal(one), step.keys.digests(one.personal)) for one in subjects]
