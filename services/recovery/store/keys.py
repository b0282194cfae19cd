"""Recovery keys and the tries made on them."""

from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Connection
from services.recovery.domain.recovery_key import RecoveryKey
from services.recovery.domain.tries import Tries

_COLUMNS = "id AS key_id, subject_ref, generation, digest, status, reset_id"


@dataclass(frozen=True)
class StoredKey:
    """A recovery key as it is stored; `reset_id` is the reset for which it was used."""

    key_id: UUID
    subject_ref: UUID
    generation: int
    digest: bytes
    status: str
    reset_id: UUID | None


async def issue(
    tx: Connection, *, tenant: UUID, key_id: UUID, subject: UUID, ticket_id: str, key: RecoveryKey
) -> StoredKey | None:
    """Store a ticket's key, in place of an earlier one that was never acknowledged.

    Returns None where the ticket's key was acknowledged, and so is never made again.
    """
    row = await tx.fetchrow(
        "INSERT INTO recovery_key AS k"  # noqa: S608 - a constant
        " (tenant_id, id, subject_ref, ticket_id, selector, digest, status)"
        " VALUES ($1, $2, $3, $4, $5, $6, 'issued')"
        " ON CONFLICT (tenant_id, ticket_id) DO UPDATE SET generation = k.generation + 1,"
        " selector = excluded.selector, digest = excluded.digest WHERE k.status = 'issued'"
        f" RETURNING {_COLUMNS}",
        tenant,
        key_id,
        subject,
        ticket_id,
        key.selector,
        key.digest,
    )
    return StoredKey(**dict(row)) if row is not None else None


async def subject_of(tx: Connection, key_id: UUID) -> UUID | None:
    """Return whose key this is."""
    found: UUID | None = await tx.fetchval(
        "SELECT subject_ref FROM recovery_key WHERE id = $1", key_id
    )
    return found


async def lock_by_id(tx: Connection, key_id: UUID) -> StoredKey | None:
    """Return a key, locked."""
    return await _locked(tx, "id = $1", key_id)


async def lock_by_selector(tx: Connection, selector: str) -> StoredKey | None:
    """Return the one key that a typed key can be, locked."""
    return await _locked(tx, "selector = $1", selector)


async def acknowledge(tx: Connection, key: StoredKey) -> None:
    """Make a key the subject's only one."""
    await tx.execute(
        "UPDATE recovery_key SET status = CASE WHEN id = $2 THEN 'acknowledged' ELSE 'replaced' END"
        " WHERE subject_ref = $1 AND status IN ('issued', 'acknowledged')",
        key.subject_ref,
        key.key_id,
    )


async def spend(tx: Connection, key: StoredKey, *, reset_id: UUID) -> None:
    """Spend a subject's keys: the one that was used for a reset, and any other that was about."""
    await tx.execute(
        "UPDATE recovery_key SET status = 'used', reset_id = CASE WHEN id = $2 THEN $3::uuid END"
        " WHERE subject_ref = $1 AND status IN ('issued', 'acknowledged')",
        key.subject_ref,
        key.key_id,
        reset_id,
    )


async def lock_tries(tx: Connection, tenant: UUID, subject: UUID) -> Tries:
    """Return how often this subject's keys were tried, locked; this is the subject's lock too."""
    await tx.execute(
        "INSERT INTO tries (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        tenant,
        subject,
    )
    row = await tx.fetchrow("SELECT level, at FROM tries WHERE id = $1 FOR UPDATE", subject)
    if row is None:
        raise LookupError("the row was made a moment ago")
    return Tries(row["level"], row["at"])


async def save_tries(tx: Connection, subject: UUID, tries: Tries) -> None:
    """Store how often this subject's keys were tried."""
    await tx.execute(
        "UPDATE tries SET level = $2, at = $3 WHERE id = $1", subject, tries.level, tries.at
    )


async def _locked(tx: Connection, condition: str, value: object) -> StoredKey | None:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM recovery_key WHERE {condition} FOR UPDATE",  # noqa: S608 - constants
        value,
    )
    return StoredKey(**dict(row)) if row is not None else None
