"""The migration to roles: whoever managed a tenant before owns it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Service
from libs.postgres.migrate import migrate
from libs.postgres.pool import Pool, open_pool
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import PASSWORD
from tests.integration.policy.bench import MIGRATIONS, service_database

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_BEFORE_ROLES = ("0001_policy.py", "0003_rules.py")


@pytest.fixture
async def old(servers: RunningServers, tmp_path: Path) -> AsyncIterator[tuple[Pool, str]]:
    """Policy's database as the release before roles left it."""
    async with service_database(servers, Service.POLICY) as name:
        dsn = servers.dsn(name, "policy_owner", PASSWORD)
        for file in _BEFORE_ROLES:
            copyfile(MIGRATIONS / file, tmp_path / file)
        await asyncio.to_thread(migrate, dsn, schema="policy", folder=tmp_path)
        owner = await open_pool(dsn, name="test")
        yield owner, dsn
        await owner.close()


@pytest.mark.requirement("C1")
async def test_who_managed_a_tenant_by_its_first_application_owns_it(
    old: tuple[Pool, str],
) -> None:
    owner, dsn = old
    tenant = await _tenant(owner)
    first, second = await _application(owner, tenant, 0), await _application(owner, tenant, 1)
    keys = {
        await _key(owner, tenant, first, ["manage"]): "owner",
        await _key(owner, tenant, first, ["manage"], revoked=True): "owner",
        await _key(owner, tenant, first, ["verify"]): "application",
        await _key(owner, tenant, second, ["manage"]): "application",
    }

    await asyncio.to_thread(migrate, dsn, schema="policy", folder=MIGRATIONS)

    rows = await owner.fetch("SELECT key_id, role, holder FROM application_key")
    assert {row["key_id"]: row["role"] for row in rows} == keys
    assert {row["holder"] for row in rows} == {None}


@pytest.mark.requirement("C1")
async def test_a_tenant_that_managed_otherwise_has_an_owner_too(old: tuple[Pool, str]) -> None:
    owner, dsn = old
    tenant = await _tenant(owner)
    first, second = await _application(owner, tenant, 0), await _application(owner, tenant, 1)
    await _key(owner, tenant, first, ["manage"], revoked=True)
    newer = await _key(owner, tenant, second, ["manage"], day=3)
    older = await _key(owner, tenant, second, ["manage", "verify"], day=2)

    await asyncio.to_thread(migrate, dsn, schema="policy", folder=MIGRATIONS)

    rows = await owner.fetch("SELECT key_id, role FROM application_key WHERE NOT revoked")
    assert {row["key_id"]: row["role"] for row in rows} == {newer: "application", older: "owner"}


async def _tenant(owner: Pool) -> UUID:
    made = uuid4()
    await owner.execute("INSERT INTO tenant VALUES ($1, 'A university', $2)", made, _BEGAN)
    return made


async def _application(owner: Pool, tenant: UUID, day: int) -> UUID:
    made, created = uuid4(), _BEGAN + timedelta(day)
    await owner.execute(
        "INSERT INTO application VALUES ($1, $2, 'Mail', 1, $3)", tenant, made, created
    )
    return made


async def _key(
    owner: Pool,
    tenant: UUID,
    application: UUID,
    scopes: list[str],
    *,
    revoked: bool = False,
    day: int = 1,
) -> UUID:
    made = uuid4()
    await owner.execute(
        "INSERT INTO application_key"
        " (tenant_id, key_id, application_id, digest, scopes, mode, revoked, created)"
        " VALUES ($1, $2, $3, $4, $5, 'live', $6, $7)",
        tenant,
        made,
        application,
        uuid4().hex,
        scopes,
        revoked,
        _BEGAN + timedelta(day),
    )
    return made
