"""Applications and their keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.passkeys import PasskeyParty
from contracts.roles import Role
from contracts.vocabulary import KeyMode, Scope
from libs.postgres.pool import Connection
from services.policy.domain.application import Application, Key

_ADD_KEY = """
INSERT INTO application_key
    (tenant_id, key_id, application_id, digest, scopes, mode, revoked, created, role, holder)
VALUES ($1, $2, $3, $4, $5, $6, false, $7, $8, $9)
"""
_OWNERS = """
SELECT key_id, holder FROM application_key WHERE tenant_id = $1 AND NOT revoked AND role = 'owner'
"""
_HELD = """
SELECT DISTINCT application_id FROM application_key
WHERE tenant_id = $1 AND holder = $2 AND NOT revoked ORDER BY application_id
"""


async def add_application(tx: Connection, tenant: UUID, application: Application) -> None:
    await tx.execute(
        "INSERT INTO application (tenant_id, application_id, name, version, created)"
        " VALUES ($1, $2, $3, $4, $5)",
        tenant,
        application.application_id,
        application.name,
        application.version,
        application.created,
    )
    for key in application.keys:
        await _add_key(tx, tenant, application.application_id, key=key, now=application.created)


async def save_with_key(
    tx: Connection, tenant: UUID, application: Application, *, key: Key, now: datetime
) -> None:
    """Save the version of a locked application that got this key."""
    await _save_version(tx, tenant, application)
    await _add_key(tx, tenant, application.application_id, key=key, now=now)


async def save_without_keys(
    tx: Connection, tenant: UUID, application: Application, *, gone: Iterable[UUID], now: datetime
) -> None:
    """Save the version of a locked application that lost these keys."""
    await _save_version(tx, tenant, application)
    await tx.execute(
        "UPDATE application_key SET revoked = true, revoked_at = $3"
        " WHERE tenant_id = $1 AND key_id = ANY ($2)",
        tenant,
        list(gone),
        now,
    )


async def save_passkeys(tx: Connection, tenant: UUID, application: Application) -> None:
    """Save the version of a locked application that uses passkeys elsewhere."""
    party = application.passkeys
    await tx.execute(
        "UPDATE application SET version = $3, rp_id = $4, origins = $5"
        " WHERE tenant_id = $1 AND application_id = $2",
        tenant,
        application.application_id,
        application.version,
        party.rp_id if party is not None else None,
        list(party.origins) if party is not None else None,
    )


async def lock_application(
    tx: Connection, tenant: UUID, application_id: UUID
) -> Application | None:
    """Load an application and keep everybody else from changing it or its policy."""
    query = (
        "SELECT application_id FROM application"
        " WHERE tenant_id = $1 AND application_id = $2 FOR NO KEY UPDATE"
    )
    if await tx.fetchval(query, tenant, application_id) is None:
        return None
    # Read anew: what the lock waited for has been committed since the first statement began.
    return await load_application(tx, tenant, application_id)


async def lock_applications(tx: Connection, tenant: UUID) -> list[UUID]:
    """Keep everybody else from changing any of the tenant's applications or their policies."""
    rows = await tx.fetch(
        "SELECT application_id FROM application WHERE tenant_id = $1"
        " ORDER BY application_id FOR NO KEY UPDATE",
        tenant,
    )
    return [row["application_id"] for row in rows]


async def load_application(
    tx: Connection, tenant: UUID, application_id: UUID
) -> Application | None:
    row = await tx.fetchrow(
        "SELECT * FROM application WHERE tenant_id = $1 AND application_id = $2",
        tenant,
        application_id,
    )
    keys = await tx.fetch(
        "SELECT * FROM application_key WHERE tenant_id = $1 AND application_id = $2"
        " ORDER BY key_id",
        tenant,
        application_id,
    )
    return _application(row, keys) if row is not None else None


async def load_applications(tx: Connection, tenant: UUID) -> list[Application]:
    rows = await tx.fetch(
        "SELECT * FROM application WHERE tenant_id = $1 ORDER BY application_id", tenant
    )
    keys = await tx.fetch(
        "SELECT * FROM application_key WHERE tenant_id = $1 ORDER BY key_id", tenant
    )
    owned: dict[UUID, list[asyncpg.Record]] = {row["application_id"]: [] for row in rows}
    for key in keys:
        owned.get(key["application_id"], []).append(key)
    return [_application(row, owned[row["application_id"]]) for row in rows]


async def load_key(tx: Connection, tenant: UUID, key_id: UUID) -> Key:
    """Return a key of the tenant as it is now; keys are revoked, but never go."""
    row = await tx.fetchrow(
        "SELECT * FROM application_key WHERE tenant_id = $1 AND key_id = $2", tenant, key_id
    )
    if row is None:
        raise LookupError("a key that was a caller's is there")
    return _key(row)


async def owners_in_force(tx: Connection, tenant: UUID) -> dict[UUID, UUID | None]:
    """Return the owners' keys of a locked tenant, with their holders."""
    return {row["key_id"]: row["holder"] for row in await tx.fetch(_OWNERS, tenant)}


async def where_keys_are_held(tx: Connection, tenant: UUID, holder: UUID) -> list[UUID]:
    """Return the applications of which a person holds keys in force."""
    return [row["application_id"] for row in await tx.fetch(_HELD, tenant, holder)]


async def _save_version(tx: Connection, tenant: UUID, application: Application) -> None:
    await tx.execute(
        "UPDATE application SET version = $3 WHERE tenant_id = $1 AND application_id = $2",
        tenant,
        application.application_id,
        application.version,
    )


async def _add_key(
    tx: Connection, tenant: UUID, application_id: UUID, *, key: Key, now: datetime
) -> None:
    scopes, mode = sorted(scope.value for scope in key.scopes), key.mode.value
    await tx.execute(
        _ADD_KEY,
        tenant,
        key.key_id,
        application_id,
        key.digest,
        scopes,
        mode,
        now,
        key.role.value,
        key.holder,
    )


def _application(row: asyncpg.Record, keys: Sequence[asyncpg.Record]) -> Application:
    return Application(
        application_id=row["application_id"],
        name=row["name"],
        version=row["version"],
        created=row["created"],
        keys=tuple(_key(key) for key in keys),
        passkeys=_party(row),
    )


def _party(row: asyncpg.Record) -> PasskeyParty | None:
    if row["rp_id"] is None:
        return None
    return PasskeyParty(rp_id=row["rp_id"], origins=tuple(row["origins"]))


def _key(row: asyncpg.Record) -> Key:
    return Key(
        key_id=row["key_id"],
        digest=row["digest"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        mode=KeyMode(row["mode"]),
        revoked=row["revoked"],
        role=Role(row["role"]),
        holder=row["holder"],
    )
