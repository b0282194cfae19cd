"""What one step of an import needs: its rows, what is known of them, and what comes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.messaging.cloud_event import CloudEvent
from libs.postgres.pool import Connection
from services.enrollment.announcements import imported
from services.enrollment.domain.hardware_token import HardwareToken, TokenStatus
from services.enrollment.domain.import_decisions import (
    Candidate,
    Decided,
    Mark,
    Surroundings,
)
from services.enrollment.domain.imports import AuthenticatorImport, RowOutcome
from services.enrollment.domain.token_rows import Row, TokenRow
from services.enrollment.store.enrolled_at_once import (
    NewAuthenticator,
    active_counts,
    add_authenticators,
    lock_subjects,
    not_deleted,
)
from services.enrollment.store.hardware_tokens import StoredToken, add_tokens, known_serials
from services.enrollment.store.import_marks import load_marks
from services.enrollment.store.imports import RowReport
from services.enrollment.store.known_secrets import SecretEntry, add_secrets, find_secrets
from services.enrollment.use_cases.token_seals import TokenKeys


@dataclass(frozen=True)
class Step:
    """The rows that are next in an import, whom they name, and the keys for them."""

    tenant: UUID
    found: AuthenticatorImport
    candidates: Sequence[Candidate]
    subjects: Mapping[str, UUID]
    keys: TokenKeys


def candidate_of(row: Row, keys: TokenKeys) -> Candidate:
    """Return a row with its digests."""
    body = row.body
    if body is None:
        return Candidate(row)
    return Candidate(
        row,
        secret=keys.digest("secret", body.secret),
        serial=keys.digest("serial", body.serial.encode()) if body.serial is not None else None,
        content=keys.digest("row", body.content),
    )


async def surroundings_of(tx: Connection, step: Step) -> Surroundings:
    """Lock the subjects that are named, in earnest, and return what decisions depend on."""
    tenant, refs, dry = step.tenant, list(step.subjects.values()), step.found.dry_run
    there = await (not_deleted(tx, refs) if dry else lock_subjects(tx, tenant, refs))
    active = await active_counts(tx, refs)
    bodies = [(one, one.row.body) for one in step.candidates if one.row.body is not None]
    secrets = [one.secret for one, _ in bodies]
    serials = [body.serial for _, body in bodies if body.serial is not None]
    marked = [one.serial for one, _ in bodies if one.serial is not None]
    people = {step.keys.digest("subject", ref.bytes): ref for ref in refs}
    marks = await load_marks(tx, tenant, step.found.import_id, [*secrets, *marked, *people])
    for digest in marks.keys() & people.keys():
        # A dry run makes no authenticators, and remembers how many there would be.
        active[people[digest]] = marks[digest].number
    return Surroundings(
        secrets=await find_secrets(tx, secrets),
        serials=await known_serials(tx, serials),
        marks=marks,
        subjects={name: ref for name, ref in step.subjects.items() if ref in there},
        active=active,
    )


async def save_all(tx: Connection, step: Step, decided: Sequence[Decided]) -> None:
    """Write what was decided; raises UniqueViolationError where somebody was quicker."""
    tenant, now = step.tenant, step.found.touched
    made = [_authenticator(step.keys, *pair, now=now) for pair in _bodies(decided)]
    if authenticators := [one for one in made if one is not None]:
        await add_authenticators(tx, tenant, authenticators, now=now)
    stored = [_token(step.keys, *pair, now=now) for pair in _bodies(decided)]
    if tokens := [one for one in stored if one is not None]:
        await add_tokens(tx, tenant, tokens)
    if entries := [_entry(one) for one, _ in _bodies(decided)]:
        await add_secrets(tx, tenant, entries)


def announced(step: Step, decided: Sequence[Decided]) -> list[CloudEvent]:
    """Say who has an authenticator now, as for each confirmed enrollment."""
    return [
        imported(
            step.tenant,
            step.found,
            subject_ref=one.subject_ref,
            authenticator_id=one.authenticator_id,
            factor=body.factor,
        )
        for one, body in _bodies(decided)
        if one.subject_ref is not None and one.authenticator_id is not None
    ]


def marks_of(
    step: Step, decided: Sequence[Decided], active: Mapping[UUID, int]
) -> dict[bytes, Mark]:
    """Return what later rows have to know of these."""
    marks, would_have = dict[bytes, Mark](), dict(active)
    for one, body in _bodies(decided):
        mark = Mark(one.candidate.row.number, one.candidate.content)
        marks[one.candidate.secret] = mark
        if body.serial is not None and one.candidate.serial is not None:
            marks[one.candidate.serial] = mark
        if step.found.dry_run and one.subject_ref is not None:
            would_have[one.subject_ref] = would_have.get(one.subject_ref, 0) + 1
            digest = step.keys.digest("subject", one.subject_ref.bytes)
            marks[digest] = Mark(would_have[one.subject_ref], b"")
    return marks


def report_of(step: Step, one: Decided) -> RowReport:
    """Return what is kept of a row: nothing secret, and nothing that names anybody."""
    imagined = step.found.dry_run
    return RowReport(
        one.candidate.row.number,
        one.outcome,
        None if imagined else one.authenticator_id,
        None if imagined else one.token_id,
        one.errors,
    )


def _bodies(decided: Sequence[Decided]) -> list[tuple[Decided, TokenRow]]:
    new = (RowOutcome.ENROLLED, RowOutcome.STOCKED)
    pairs = [(one, one.candidate.row.body) for one in decided if one.outcome in new]
    return [(one, body) for one, body in pairs if body is not None]


def _authenticator(
    keys: TokenKeys, one: Decided, body: TokenRow, *, now: datetime
) -> NewAuthenticator | None:
    about, becomes = one.subject_ref, one.authenticator_id
    if about is None or becomes is None:
        return None
    name = body.name
    return NewAuthenticator(
        authenticator_id=becomes,
        subject_ref=about,
        factor=body.factor,
        algorithm=body.algorithm,
        digits=body.digits,
        period=body.step,
        last_step=last_step(body, now),
        sealed=keys.seal_secret(
            body.secret, subject_ref=about, authenticator_id=becomes, factor=body.factor
        ),
        sealed_name=keys.seal_name(name, subject_ref=about, authenticator_id=becomes)
        if name is not None
        else None,
    )


def last_step(body: TokenRow, now: datetime) -> int:
    """Return what is spent: counters before the next one, and steps up to that of the import.

    A code of this moment may have been used where the secret comes from.
    """
    if body.next_counter is not None:
        return body.next_counter - 1
    return int(now.timestamp()) // (body.step or 1)


def _token(keys: TokenKeys, one: Decided, body: TokenRow, *, now: datetime) -> StoredToken | None:
    if one.token_id is None or body.serial is None:
        return None
    in_stock = one.authenticator_id is None
    token = HardwareToken(
        token_id=one.token_id,
        serial=body.serial,
        factor=body.factor,
        algorithm=body.algorithm,
        digits=body.digits,
        period=body.step,
        counter=body.next_counter,
        status=TokenStatus.IN_STOCK if in_stock else TokenStatus.ASSIGNED,
        authenticator_id=one.authenticator_id,
        added=now,
    )
    sealed = keys.seal_token(body.secret, token_id=one.token_id, factor=body.factor)
    return StoredToken(token, sealed if in_stock else None)


def _entry(one: Decided) -> SecretEntry:
    about = one.candidate
    return SecretEntry(
        about.secret, about.content, one.token_id, one.authenticator_id, one.subject_ref
    )
