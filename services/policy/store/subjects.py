"""Subjects: sealed, found by digests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.vocabulary import Language
from libs.postgres.pool import Connection
from services.policy.domain.subject import Attributes, Unnamed

SUBJECT_COLUMNS = "subject_ref, version, created, sealed, user_type, groups, language"
_ADD = """
INSERT INTO subject (tenant_id, subject_ref, version, created, sealed, subject_digest, label_digest,
                     email_digest, user_type, groups, language, digested)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $3) ON CONFLICT DO NOTHING RETURNING true
"""
_SAVE = """
UPDATE subject SET version = $3, sealed = $4, label_digest = $5, email_digest = $6, digested = $3,
                   user_type = $7, groups = $8, language = $9
WHERE tenant_id = $1 AND subject_ref = $2
"""
_ERASE = """
UPDATE subject SET version = $3, deleted = true, sealed = NULL, subject_digest = NULL,
                   label_digest = NULL, email_digest = NULL, digested = $3, deleted_at = $7,
                   user_type = $4, groups = $5, language = $6
WHERE tenant_id = $1 AND subject_ref = $2
"""
_MARK_ERASED = """
INSERT INTO import_mark (tenant_id, import_id, digest, number)
SELECT i.tenant_id, i.import_id, s.subject_digest, 0
FROM subject_import i JOIN subject s ON s.tenant_id = i.tenant_id
WHERE i.tenant_id = $1 AND i.state IN ('receiving', 'running') AND s.subject_ref = $2
ON CONFLICT (tenant_id, import_id, digest) DO UPDATE SET number = 0
"""


@dataclass(frozen=True)
class StoredSubject(Unnamed):
    """A subject as it lies in the table, what names the person sealed."""

    sealed: bytes


@dataclass(frozen=True)
class Digests:
    """By what a subject, its label and its address are found; the first two are unique."""

    subject: bytes
    label: bytes
    email: bytes | None


async def add_subject(
    tx: Connection, tenant: UUID, stored: StoredSubject, *, digests: Digests
) -> bool:
    """Add a subject; False where the subject or the label is there, also from a race just lost."""
    added = await tx.fetchval(
        _ADD,
        tenant,
        stored.subject_ref,
        stored.version,
        stored.created,
        stored.sealed,
        digests.subject,
        digests.label,
        digests.email,
        *_attribute_values(stored.attributes),
    )
    return bool(added)


async def save_subject(
    tx: Connection, tenant: UUID, stored: StoredSubject, *, digests: Digests
) -> bool:
    """Save a locked subject; False where another one has the label."""
    try:
        async with tx.transaction():
            await tx.execute(
                _SAVE,
                tenant,
                stored.subject_ref,
                stored.version,
                stored.sealed,
                digests.label,
                digests.email,
                *_attribute_values(stored.attributes),
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


async def erase_subject(tx: Connection, tenant: UUID, erased: Unnamed, *, now: datetime) -> None:
    """Leave of a locked subject nothing that names it; open imports shall not bring it back."""
    values = _attribute_values(erased.attributes)
    await tx.execute(_MARK_ERASED, tenant, erased.subject_ref)
    await tx.execute(_ERASE, tenant, erased.subject_ref, erased.version, *values, now)


async def find_subject(tx: Connection, tenant: UUID, subject_digest: bytes) -> StoredSubject | None:
    row = await tx.fetchrow(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608 - constants
        " WHERE tenant_id = $1 AND subject_digest = $2",
        tenant,
        subject_digest,
    )
    return stored_subject(row) if row is not None else None


async def lock_subject(tx: Connection, tenant: UUID, subject_ref: UUID) -> StoredSubject | None:
    row = await tx.fetchrow(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND subject_ref = $2 AND NOT deleted FOR UPDATE",
        tenant,
        subject_ref,
    )
    return stored_subject(row) if row is not None else None


async def keep_subject(tx: Connection, tenant: UUID, subject_ref: UUID) -> bool:
    """Keep a subject from being erased until the commit; False where there is none."""
    query = (
        "SELECT true FROM subject"
        " WHERE tenant_id = $1 AND subject_ref = $2 AND NOT deleted FOR KEY SHARE"
    )
    return bool(await tx.fetchval(query, tenant, subject_ref))


async def load_subjects(
    tx: Connection, tenant: UUID, subject_refs: Sequence[UUID]
) -> list[StoredSubject]:
    """Return those of the subjects that there are."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND subject_ref = ANY ($2) AND NOT deleted",
        tenant,
        subject_refs,
    )
    return [stored_subject(row) for row in rows]


async def list_subjects(
    tx: Connection, tenant: UUID, *, after: UUID, limit: int
) -> list[StoredSubject]:
    """Return the subjects that come after this one, in the order in which they were made."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND subject_ref > $2 AND NOT deleted"
        " ORDER BY subject_ref LIMIT $3",
        tenant,
        after,
        limit,
    )
    return [stored_subject(row) for row in rows]


def _attribute_values(attributes: Attributes) -> tuple[str | None, list[str], str]:
    return attributes.user_type, list(attributes.groups), attributes.language.value


def stored_subject(row: asyncpg.Record) -> StoredSubject:
    """Return the subject of a row with SUBJECT_COLUMNS."""
    return StoredSubject(
        subject_ref=row["subject_ref"],
        version=row["version"],
        created=row["created"],
        sealed=row["sealed"],
        attributes=Attributes(
            user_type=row["user_type"],
            groups=tuple(row["groups"]),
            language=Language(row["language"]),
        ),
    )
