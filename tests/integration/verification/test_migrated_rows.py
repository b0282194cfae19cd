"""What the migrations make of rows that are there already."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.postgres.migrate import migrate
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ROOT, ServiceDatabase, drop_database, make_database

_FOLDER = ROOT / "services" / "verification" / "migrations"


@pytest.fixture
async def before(servers: RunningServers, tmp_path: Path) -> AsyncIterator[ServiceDatabase]:
    """Make a database as it was before skips."""
    stored = ServiceDatabase(servers, f"m{uuid4().hex[:12]}", "verification")
    await make_database(servers, stored.database, ["verification"])
    for migration in sorted(_FOLDER.glob("000[1-7]_*.py")):
        shutil.copy(migration, tmp_path)
    migrate(stored.dsn("verification_owner"), schema="verification", folder=tmp_path)
    yield stored
    await drop_database(servers, stored.database)


async def test_what_was_not_kept_is_not_known(before: ServiceDatabase) -> None:
    tenant, connection = uuid4(), await before.superuser()
    people = {"typed": uuid4(), "grouped": uuid4(), "nothing": uuid4()}
    for name, subject in people.items():
        await connection.execute(
            "INSERT INTO subject (tenant_id, id, user_type, groups) VALUES ($1, $2, $3, $4)",
            *(tenant, subject),
            "staff" if name == "typed" else None,
            ["a"] if name == "grouped" else [],
        )
    for owner, factors in (("typed", ["totp"]), ("grouped", ["totp", "hotp"])):
        for factor in factors:
            await connection.execute(
                "INSERT INTO authenticator (tenant_id, id, subject_ref, factor, status, epoch,"
                " sealed) VALUES ($1, $2, $3, $4, 'active', 1, 'x')",
                *(tenant, uuid4(), people[owner], factor),
            )
        await connection.execute(
            "INSERT INTO device (tenant_id, id, application_id, subject_ref, key_version,"
            " remembered_at, rotated_at, expires) VALUES ($1, $2, $2, $3, 1, now(), now(), now())",
            *(tenant, uuid4(), people[owner]),
        )

    migrate(before.dsn("verification_owner"), schema="verification", folder=_FOLDER)

    known = await connection.fetch("SELECT id FROM subject WHERE attributes_known")
    devices = await connection.fetch("SELECT subject_ref, factor FROM device")
    await connection.close()
    assert {row["id"] for row in known} == {people["typed"], people["grouped"]}
    trusted: dict[UUID, str | None] = {row["subject_ref"]: row["factor"] for row in devices}
    assert trusted == {people["typed"]: "totp", people["grouped"]: None}
