import base64
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.e2e.people import Person, Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


def forms_of(value: str) -> set[bytes]:
    raw = value.encode()
    return {
        raw,
        quote(value, safe="").encode(),
        base64.b64encode(raw).rstrip(b"="),
        base64.b32encode(raw).rstrip(b"="),
        raw.hex().encode(),
    }


def canaries_of(tenancy: Tenancy, person: Person, name: str) -> dict[str, set[bytes]]:
    assert person.phone is not None
    secret = base64.b32decode(person.phone.secret)
    plain = {
        "e-mail": person.name,
        "secret": person.phone.secret,
        "otpauth": person.otpauth,
        "recovery key": person.recovery_key,
        "recovery key without hyphens": person.recovery_key.replace("-", "")[6:],
        "application key": tenancy.key,
        "manage key": tenancy.manage_key,
        "name of the authenticator": name,
        "label in logs": person.name.split("@")[0],
    }
    found = {what: forms_of(value) for what, value in plain.items()}
    found["raw secret"] = {secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")}
    return found


def hits(canaries: dict[str, set[bytes]], where: str, content: bytes) -> list[str]:
    return [
        f"{what} in {where}"
        for what, forms in canaries.items()
        if any(form in content for form in forms)
    ]


async def dump(tenancy: Tenancy) -> bytes:
    """Return every row of every table as text, as a backup would hold it."""
    connection = await asyncpg.connect(tenancy.system.servers.postgres.dsn("watchword"))
    tables = await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%'"
        " AND schemaname <> 'information_schema'"
    )
    rows = [
        await connection.fetchval(
            f"SELECT string_agg(t::text, E'\\n') FROM {table['schemaname']}.{table['tablename']} t"
        )
        for table in tables
    ]
    await connection.close()
    return "\n".join(str(row) for row in rows).encode()


def files(*folders: Path) -> list[Path]:
    return [file for folder in folders for file in folder.rglob("*") if file.is_file()]


@pytest.mark.security("S14")
async def test_no_secret_and_no_address_is_found_where_it_must_not_be(tenancy: Tenancy) -> None:
    name = "canary telephone of anna"
    person = await tenancy.person()
    await tenancy.enroll(person, name=name)
    await tenancy.until_decided(person, "challenge")
    canaries = canaries_of(tenancy, person, name)
    await tenancy.verify(person, person.wrong_code())
    await tenancy.verify(person, person.next_code())
    await tenancy.ask(f"/v1/{person.name}", {"subject": person.name})
    await tenancy.must(
        "/v1/recoveries",
        {"subject": person.name, "recovery_key": person.recovery_key},
        status=200,
    )
    await tenancy.events_of(person, until_type="mfa.reset_completed")

    async def told() -> bool:
        return len(await tenancy.mails_to(person)) > 0

    await until(told)
    data = tenancy.system.around.data
    found: list[str] = []
    for file in files(data / "logs", data / "traces", data / "kafka", data / "caddy"):
        found += hits(canaries, file.name, file.read_bytes())
    found += hits(canaries, "PostgreSQL", await dump(tenancy))
    found += hits(canaries, "Redis", await everything_in_redis(tenancy))

    assert found == []
    assert hits(canaries, "the test itself", person.name.encode()) != []


async def everything_in_redis(tenancy: Tenancy) -> bytes:
    async with Redis.from_url(tenancy.system.servers.valkey.url()) as redis:
        keys = [key async for key in redis.scan_iter()]
        return b"\n".join([key + str(await redis.hgetall(key)).encode() for key in keys])
