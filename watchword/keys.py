"""Which keys seal what, in the databases of a system."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from urllib.parse import quote

import asyncpg

from deploy.roles import SERVICES
from libs.postgres.pool import Connection
from watchword.place import NoSystem, Place


@dataclass(frozen=True)
class KeyRow:
    """Data keys of one service, purpose and version; `wrapped` names the key-encryption key.

    `rows` are sealed under it; None where these keys make digests.
    """

    service: str
    purpose: str
    version: int
    retired: bool
    tenants: int
    rows: int | None
    wrapped: str

    def as_dict(self) -> dict[str, object]:
        """Return the row for programs."""
        return asdict(self)


def owners_of(place: Place) -> dict[str, str]:
    """Return how the owner of each service's schema enters the database of a local system."""
    passwords, port = place.secrets.passwords, place.ports["postgres"]
    return {
        service: f"postgresql://{service}_owner:{quote(passwords[f'{service}_owner'])}"
        f"@127.0.0.1:{port}/watchword"
        for service in SERVICES
    }


def owners_in_environment() -> dict[str, str]:
    """Return the same as services are told it: WATCHWORD_<SERVICE>_OWNER_DSN."""
    names = {service: f"WATCHWORD_{service.upper()}_OWNER_DSN" for service in SERVICES}
    return {service: os.environ[name] for service, name in names.items() if name in os.environ}


async def data_keys(owners: Mapping[str, str]) -> list[KeyRow]:
    """Return the data keys of all services; raises NoSystem where PostgreSQL does not answer."""
    return [row for service in owners for row in await _of_service(owners, service)]


async def replace_receipt_key(owners: Mapping[str, str]) -> bool:
    """Ask for the next key of receipts; False where there is none yet to replace.

    The worker makes it within a minute. Raises NoSystem where PostgreSQL does not answer.
    """
    async with connected(owners, "verification") as connection:
        done = await connection.execute("UPDATE receipt_key SET replace_at = now()")
    return bool(done != "UPDATE 0")


@asynccontextmanager
async def connected(owners: Mapping[str, str], service: str) -> AsyncIterator[Connection]:
    """Open a connection as the owner of a service's schema; raises NoSystem."""
    try:
        connection = await asyncpg.connect(owners[service], timeout=3)
    except (OSError, asyncpg.PostgresError) as error:
        raise NoSystem(f"PostgreSQL does not answer ({type(error).__name__}): is it up?") from None
    try:
        yield connection
    finally:
        await connection.close()


async def seals(connection: Connection) -> bool:
    """Tell whether the service keeps data keys."""
    return bool(await connection.fetchval("SELECT to_regclass('key_rotation') IS NOT NULL"))


async def rows_by_version(connection: Connection, purpose: str) -> dict[int, int] | None:
    """Return how many values are sealed under which version; None for keys that make digests."""
    columns = await connection.fetchval(
        "SELECT columns FROM key_purpose WHERE purpose = $1", purpose
    )
    if not columns:
        return None
    counted: dict[int, int] = {}
    for column in columns:
        table, _, name = column.partition(".")
        version = f"('x' || encode(substr({name}, 2, 4), 'hex'))::bit(32)::int"
        # Words of the service's own code, which it wrote there (libs/sealing/rotation_store.py).
        for number, rows in await connection.fetch(
            f"SELECT {version}, count(*) FROM {table}"  # noqa: S608
            f" WHERE {name} IS NOT NULL GROUP BY 1"
        ):
            counted[number] = counted.get(number, 0) + rows
    return counted


async def _of_service(owners: Mapping[str, str], service: str) -> list[KeyRow]:
    async with connected(owners, service) as connection:
        if not await seals(connection):
            return []
        keys = await connection.fetch(
            "SELECT purpose, version, retired IS NOT NULL AS retired, provider, kek_version,"
            " count(*) AS tenants FROM data_key GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
        )
        purposes = {row["purpose"] for row in keys}
        rows = {one: await rows_by_version(connection, one) for one in purposes}
    return [
        KeyRow(
            service=service,
            purpose=key["purpose"],
            version=key["version"],
            retired=key["retired"],
            tenants=key["tenants"],
            rows=_rows(rows[key["purpose"]], key["version"]),
            wrapped=f"{key['provider']}, version {key['kek_version']}",
        )
        for key in keys
    ]


def _rows(counted: Mapping[int, int] | None, version: int) -> int | None:
    return None if counted is None else counted.get(version, 0)
