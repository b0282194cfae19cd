"""Hundreds of subjects in one statement, as imports need them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Connection
from services.policy.store.subjects import (
    SUBJECT_COLUMNS,
    Digests,
    StoredSubject,
    stored_subject,
)

_GIVEN = """
    unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::bytea[],
           $8::bytea[], $9::text[], $10::text[], $11::text[])
    AS g (subject_ref, version, created, sealed, subject_digest, label_digest, email_digest,
          user_type, groups, language)
"""
_ADD = f"""
INSERT INTO subject (tenant_id, subject_ref, version, created, sealed, subject_digest, label_digest,
                     email_digest, user_type, groups, language, digested)
SELECT $1, subject_ref, version, created, sealed, subject_digest, label_digest, email_digest,
       user_type, string_to_array(groups, E'\\n'), language, version
FROM {_GIVEN} ORDER BY subject_digest
ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants
_SAVE = f"""
UPDATE subject AS s
SET version = g.version, sealed = g.sealed, label_digest = g.label_digest,
    email_digest = g.email_digest, digested = g.version, user_type = g.user_type,
    groups = string_to_array(g.groups, E'\\n'), language = g.language
FROM {_GIVEN}
WHERE s.tenant_id = $1 AND s.subject_ref = g.subject_ref
"""  # noqa: S608


@dataclass(frozen=True)
class Entry:
    """A subject to be stored, and by what it is found."""

    stored: StoredSubject
    digests: Digests


async def find_subjects(
    tx: Connection, tenant: UUID, digests: Sequence[bytes]
) -> list[StoredSubject]:
    """Return those of the subjects that there are, as they are at the moment."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND subject_digest = ANY ($2)",
        tenant,
        digests,
    )
    return [stored_subject(row) for row in rows]


async def lock_subjects(
    tx: Connection, tenant: UUID, digests: Sequence[bytes]
) -> list[StoredSubject]:
    """Lock those of the subjects that there are, in one order."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND subject_digest = ANY ($2) ORDER BY subject_ref FOR UPDATE",
        tenant,
        digests,
    )
    return [stored_subject(row) for row in rows]


async def refs_of_digests(
    tx: Connection, tenant: UUID, digests: Sequence[bytes]
) -> dict[bytes, UUID]:
    """Return who has which of these ids, without anything that names them."""
    rows = await tx.fetch(
        "SELECT subject_digest, subject_ref FROM subject"
        " WHERE tenant_id = $1 AND subject_digest = ANY ($2)",
        tenant,
        digests,
    )
    return {row["subject_digest"]: row["subject_ref"] for row in rows}


async def owners_of_labels(
    tx: Connection, tenant: UUID, digests: Sequence[bytes]
) -> dict[bytes, UUID]:
    """Return who has which of these labels."""
    rows = await tx.fetch(
        "SELECT label_digest, subject_ref FROM subject"
        " WHERE tenant_id = $1 AND label_digest = ANY ($2)",
        tenant,
        digests,
    )
    return {row["label_digest"]: row["subject_ref"] for row in rows}


async def add_subjects(tx: Connection, tenant: UUID, entries: Sequence[Entry]) -> bool:
    """Add subjects; False where somebody else has just taken one of the ids or labels."""
    status = await tx.execute(_ADD, tenant, *_columns(entries))
    return int(status.rpartition(" ")[2]) == len(entries)


async def save_subjects(tx: Connection, tenant: UUID, entries: Sequence[Entry]) -> None:
    """Save locked subjects; raises UniqueViolationError where a label has just been taken."""
    await tx.execute(_SAVE, tenant, *_columns(entries))


def _columns(entries: Sequence[Entry]) -> list[list[object]]:
    rows = [_values(entry) for entry in entries]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(10)]


def _values(entry: Entry) -> tuple[object, ...]:
    stored, digests = entry.stored, entry.digests
    attributes = stored.attributes
    return (
        *(stored.subject_ref, stored.version, stored.created, stored.sealed),
        *(digests.subject, digests.label, digests.email),
        # No group has a line break in it, and unnest() flattens arrays of arrays.
        *(attributes.user_type, "\n".join(attributes.groups), attributes.language.value),
    )
