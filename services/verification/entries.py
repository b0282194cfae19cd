"""What is to be settled, and how it goes to PostgreSQL: one column a parameter of settle.sql."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.messaging.cloud_event import CloudEvent, body_without_sequence
from services.verification.domain.budget import Family


class KnownCaller(msgspec.Struct, frozen=True):
    """The application that asks, in the version that this process knows of it and its policy."""

    tenant: UUID
    application_id: UUID
    version: int
    policy_version: int


class Idempotency(msgspec.Struct, frozen=True):
    """The caller's Idempotency-Key and request, as digests, for the answer to be repeated.

    What a repeat cannot know but has to say again stands behind the digest of the request.
    """

    key: bytes
    request: bytes


class Acceptance(msgspec.Struct, frozen=True):
    """The code of `step` matched; PostgreSQL has the last word.

    `copy_version` is that of what was known of the subject. `pair`: the code after it matched too.
    """

    authenticator_id: UUID
    epoch: int
    step: int
    idempotency: Idempotency | None
    copy_version: int
    pair: bool = False


class Entry(msgspec.Struct, frozen=True):
    """One request to settle: accepted if there is an acceptance, otherwise a failure to count.

    `lookup` is the digest of the name that was asked for, `weight` what the guess costs, and
    `charged` says that PostgreSQL itself has charged it, to the budget of
    `family`; `lock_event` is written where this
    failure locks the subject.
    """

    caller: KnownCaller
    subject_ref: UUID
    lookup: bytes
    now: datetime
    weight: int
    charged: bool
    family: Family
    acceptance: Acceptance | None
    event: CloudEvent
    lock_event: CloudEvent | None


class Settled(msgspec.Struct, frozen=True):
    """Whether the entry took effect; for a failure, how many in a row, how full the bucket.

    `version` is that of the subject then, by which changes are told from it; 0 where its row was
    not looked at.
    """

    took_effect: bool
    consecutive: int = 0
    spent: float = 0.0
    version: int = 0


def of_keys_seen(entries: Sequence[Entry]) -> set[int]:
    """Return which entries share their Idempotency-Key with one before them: these come later."""
    seen: set[tuple[UUID, bytes]] = set()
    later = set()
    for n, entry in enumerate(entries):
        if entry.acceptance is None or entry.acceptance.idempotency is None:
            continue
        key = (entry.caller.application_id, entry.acceptance.idempotency.key)
        if key in seen:
            later.add(n)
        seen.add(key)
    return later


def columns(entries: Sequence[Entry], callers: Mapping[KnownCaller, int]) -> list[list[object]]:
    """Return the first eighteen parameters; `callers` numbers those that are spoken of."""
    rows = [
        (
            n,
            entry.caller.tenant,
            entry.subject_ref,
            entry.lookup,
            entry.now,
            float(entry.weight),
            entry.charged,
            entry.event.id,
            entry.event.type,
            body_without_sequence(entry.event),
            *_lock_of(entry.lock_event),
            *_accepted(entry.acceptance),
            callers[entry.caller],
            *_repeatable(entry.acceptance),
        )
        for n, entry in enumerate(entries)
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _lock_of(event: CloudEvent | None) -> tuple[str | None, UUID | None]:
    return (body_without_sequence(event), event.id) if event is not None else (None, None)


def _accepted(acceptance: Acceptance | None) -> tuple[UUID | None, int | None, int | None]:
    if acceptance is None:
        return None, None, None
    return acceptance.authenticator_id, acceptance.epoch, acceptance.step


def _repeatable(acceptance: Acceptance | None) -> tuple[bytes | None, bytes | None]:
    if acceptance is None or acceptance.idempotency is None:
        return None, None
    return acceptance.idempotency.key, acceptance.idempotency.request
