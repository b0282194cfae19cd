"""Who may ask verification from inside, and what its database roles can see."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from contracts.vocabulary import Service
from libs.postgres.pool import tenant_transaction
from tests.fixtures.services import IDENTITY_KEYS, identity_of
from tests.integration.internal_matrix import (
    FORGERIES,
    assert_body_is_bound,
    assert_only_listed_callers,
    assert_refused,
    assert_taken_once,
)
from tests.integration.verification.conftest import World
from tests.integration.verification.skipping import STRANGER, nudging, skip

IDENTITIES = {Service(name): identity_of(name) for name in IDENTITY_KEYS}
# Filled by one person's enrollment and login, and another one's putting it off.
FILLED = (
    "data_key",
    "subject",
    "authenticator",
    "answer",
    "device",
    "skip",
    "skip_answer",
    "outbox",
    "event_order",
    "replica",
)
# Tables of no tenant: nothing in them belongs to one, or the row names it for the worker only.
OF_NOBODY = {"relay_lease", "internal_call", "alembic_version", "promotion"}
SETTLE_MAY = {
    "subject": {
        *("tenant_id", "id", "lookup", "deleted", "cache_version"),
        *("spent", "spent_at", "consecutive"),
        *("recovery_spent", "recovery_spent_at", "recovery_consecutive"),
        *("failed_at", "recovery_failed_at"),
    },
    "authenticator": {
        "tenant_id",
        "period",
        "fences",
        "id",
        "subject_ref",
        "factor",
        "status",
        "epoch",
        "last_step",
        "used",
    },
    "replica": {"tenant_id", "topic", "key", "version", "deleted"},
}
SETTLE_SEES = {*SETTLE_MAY, "event_order", "outbox", "answer", "promotion"}


@pytest.mark.security("S12")
async def test_internal_routes_let_in_the_listed_services_only(world: World) -> None:
    await assert_only_listed_callers(world.parts.internal, Service.VERIFICATION, IDENTITIES)
    await assert_taken_once(world.parts.internal, Service.VERIFICATION, IDENTITIES)
    await assert_body_is_bound(world.parts.internal, Service.VERIFICATION, IDENTITIES)


@pytest.mark.security("S12")
async def test_internal_routes_refuse_every_forged_token(world: World) -> None:
    for forgery in FORGERIES:
        await assert_refused(
            world.parts.internal, Service.VERIFICATION, IDENTITIES, forgery=forgery
        )


@pytest.mark.security("S6")
async def test_rows_are_seen_inside_their_tenant_only(world: World) -> None:
    tenant = await _log_in(world)
    pool = world.plumbing.app_pool

    for table in await _tables(world, "verification_app"):
        count = f"SELECT count(*) FROM {table}"
        async with tenant_transaction(pool, tenant) as tx:
            assert bool(await tx.fetchval(count)) or table not in FILLED, table
        async with tenant_transaction(pool, uuid4()) as tx:
            assert await tx.fetchval(count) == 0, table
        assert await pool.fetchval(count) == 0, table


@pytest.mark.security("S6")
async def test_the_app_role_cannot_write_rows_of_another_tenant(world: World) -> None:
    ours = await _log_in(world)

    async with tenant_transaction(world.plumbing.app_pool, uuid4()) as tx:
        changed = await tx.execute("UPDATE authenticator SET last_step = -1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute("INSERT INTO subject (tenant_id, id) VALUES ($1, $2)", ours, uuid4())

    assert changed == "UPDATE 0"


@pytest.mark.security("S6")
async def test_the_settle_role_sees_neither_secrets_nor_other_tables(world: World) -> None:
    await _log_in(world)
    everything = await world.rows(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'verification'"
    )
    settle = await asyncpg.connect(world.stored.dsn("verification_settle"))
    try:
        for row in everything:
            table, column = str(row["table_name"]), str(row["column_name"])
            query = f'SELECT "{column}" FROM {table}'
            if column in SETTLE_MAY.get(table, {column}) and table in SETTLE_SEES:
                assert await settle.fetch(query), (table, column)
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await settle.fetch(query)
        for statement in (
            "UPDATE authenticator SET status = 'active'",
            "UPDATE authenticator SET epoch = 1",
            "UPDATE outbox SET type = 'x'",
            "UPDATE answer SET idempotency_key = 'x'",
            "UPDATE replica SET version = 1",
            "UPDATE replica SET deleted = true",
            "DELETE FROM subject",
            "DELETE FROM outbox",
            "INSERT INTO subject (tenant_id, id) VALUES (gen_random_uuid(), gen_random_uuid())",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await settle.execute(statement)
    finally:
        await settle.close()


@pytest.mark.security("S6")
async def test_the_worker_role_reads_nothing_sealed(world: World) -> None:
    for query in (
        "SELECT sealed FROM authenticator",
        "SELECT lookup FROM subject",
        "SELECT wrapped FROM data_key",
        "SELECT lookup FROM skip",
        "SELECT request FROM skip_answer",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.plumbing.worker_pool.fetch(query)


async def _log_in(world: World) -> UUID:
    application = await world.application(rules=(nudging(1),))
    await skip(world, application, STRANGER, key=uuid4().hex)
    person = await world.person(application.tenant)
    answer = await world.public.post(
        "/v1/verify",
        json={
            "subject": person.name,
            "code": world.code(person),
            "device": {"remember": True},
            "receipt": {"nonce": "nonce-of-a-login"},
        },
        headers={
            "Authorization": f"Bearer {application.key}",
            "Idempotency-Key": uuid4().hex,
        },
    )
    assert answer.status_code == 200
    return application.tenant


async def _tables(world: World, role: str) -> list[str]:
    rows = await world.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'verification'::regnamespace"
        " AND relkind = 'r' AND has_table_privilege($1, oid, 'SELECT')",
        role,
    )
    found = [str(row["relname"]) for row in rows]
    assert set(FILLED) <= set(found)
    return [table for table in found if table not in OF_NOBODY]
