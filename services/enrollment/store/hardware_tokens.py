"""Tokens in stock, and those that somebody has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from contracts.vocabulary import Algorithm, Factor
from libs.postgres.pool import Connection
from services.enrollment.domain.hardware_token import HardwareToken, TokenStatus

_COLUMNS = "id, serial, factor, algorithm, digits, period, counter, status, authenticator_id, added"


@dataclass(frozen=True)
class StoredToken:
    """A token with its secret as it is stored; without one it came with its person."""

    token: HardwareToken
    sealed: bytes | None = field(repr=False)


async def find_stored(tx: Connection, serial: str) -> StoredToken | None:
    """Return a token with its secret, as long as it is in stock."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS}, sealed FROM hardware_token WHERE serial = $1",  # noqa: S608 - a constant
        serial,
    )
    return StoredToken(_token(row), row["sealed"]) if row is not None else None


async def save_assigned(tx: Connection, token_id: UUID, authenticator_id: UUID) -> None:
    """Store what a locked token in stock became; its secret is the authenticator's now."""
    await tx.execute(
        "UPDATE hardware_token SET status = 'assigned', authenticator_id = $2, sealed = NULL"
        " WHERE id = $1",
        *(token_id, authenticator_id),
    )


async def find_token(tx: Connection, serial: str) -> HardwareToken | None:
    """Return the token with this serial."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM hardware_token WHERE serial = $1",  # noqa: S608 - a constant
        serial,
    )
    return _token(row) if row is not None else None


async def list_tokens(
    tx: Connection, *, status: TokenStatus | None, after: str, limit: int
) -> list[HardwareToken]:
    """Return tokens in the order of their serials."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM hardware_token"  # noqa: S608 - a constant
        " WHERE serial > $1 AND ($2::text IS NULL OR status = $2) ORDER BY serial LIMIT $3",
        *(after, status.value if status is not None else None, limit),
    )
    return [_token(row) for row in rows]


async def lock_by_id(tx: Connection, token_id: UUID) -> HardwareToken | None:
    """Return a token as it is now, until the transaction ends."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM hardware_token WHERE id = $1 FOR UPDATE",  # noqa: S608 - a constant
        token_id,
    )
    return _token(row) if row is not None else None


async def delete_token(tx: Connection, token_id: UUID) -> None:
    """Forget a token and its secret; a file may bring it again."""
    await tx.execute("DELETE FROM known_secret WHERE hardware_token_id = $1", token_id)
    await tx.execute("DELETE FROM hardware_token WHERE id = $1", token_id)


async def known_serials(tx: Connection, serials: Sequence[str]) -> frozenset[str]:
    """Return which of these serials a token has."""
    rows = await tx.fetch("SELECT serial FROM hardware_token WHERE serial = ANY ($1)", serials)
    return frozenset(row["serial"] for row in rows)


async def add_tokens(tx: Connection, tenant: UUID, tokens: Sequence[StoredToken]) -> None:
    """Store tokens; raises UniqueViolationError where a serial has just been taken."""
    await tx.execute(
        "INSERT INTO hardware_token (tenant_id, id, serial, factor, algorithm, digits, period,"
        " counter, status, authenticator_id, added, sealed)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[],"
        " $7::int[], $8::bigint[], $9::text[], $10::uuid[], $11::timestamptz[], $12::bytea[])"
        " AS g (id, serial) ORDER BY serial",
        tenant,
        *(list(column) for column in zip(*map(_values, tokens), strict=True)),
    )


def _values(stored: StoredToken) -> tuple[object, ...]:
    token = stored.token
    return (
        *(token.token_id, token.serial, token.factor.value, token.algorithm.value, token.digits),
        *(token.period, token.counter, token.status.value, token.authenticator_id, token.added),
        stored.sealed,
    )


def _token(row: asyncpg.Record) -> HardwareToken:
    return HardwareToken(
        token_id=row["id"],
        serial=row["serial"],
        factor=Factor(row["factor"]),
        algorithm=Algorithm(row["algorithm"]),
        digits=row["digits"],
        period=row["period"],
        counter=row["counter"],
        status=TokenStatus(row["status"]),
        authenticator_id=row["authenticator_id"],
        added=row["added"],
    )
