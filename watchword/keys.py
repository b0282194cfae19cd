"""Which keys seal what, in the database of a local system."""

from dataclasses import asdict, dataclass

import asyncpg

from deploy.roles import SERVICES
from watchword.place import NoSystem, Place


@dataclass(frozen=True)
class KeyRow:
    """Data keys of one service, purpose and version; `wrapped` names the key-encryption key."""

    service: str
    purpose: str
    version: int
    tenants: int
    wrapped: str

    def as_dict(self) -> dict[str, object]:
        """Return the row for programs."""
        return asdict(self)


async def data_keys(place: Place) -> list[KeyRow]:
    """Return the data keys of all services; raises NoSystem where PostgreSQL does not answer."""
    return [row for service in SERVICES for row in await _of_service(place, service)]


async def replace_receipt_key(place: Place) -> bool:
    """Ask for the next key of receipts; False where there is none yet to replace.

    The worker makes it within a minute. Raises NoSystem where PostgreSQL does not answer.
    """
    connection = await _connect(place, "verification")
    try:
        done = await connection.execute("UPDATE receipt_key SET replace_at = now()")
    finally:
        await connection.close()
    return bool(done != "UPDATE 0")


async def _connect(place: Place, service: str) -> "asyncpg.Connection[asyncpg.Record]":
    role = f"{service}_owner"
    try:
        return await asyncpg.connect(
            host="127.0.0.1",
            port=place.ports["postgres"],
            user=role,
            password=place.secrets.passwords[role],
            database="watchword",
            timeout=3,
        )
    except (OSError, asyncpg.PostgresError) as error:
        raise NoSystem(f"PostgreSQL does not answer ({type(error).__name__}): is it up?") from None


async def _of_service(place: Place, service: str) -> list[KeyRow]:
    connection = await _connect(place, service)
    try:
        if not await connection.fetchval("SELECT to_regclass('data_key') IS NOT NULL"):
            return []
        rows = await connection.fetch(
            "SELECT purpose, version, kek_version, count(*) AS tenants FROM data_key"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
    finally:
        await connection.close()
    return [
        KeyRow(
            service=service,
            purpose=row["purpose"],
            version=row["version"],
            tenants=row["tenants"],
            wrapped=f"file, version {row['kek_version']}",
        )
        for row in rows
    ]
