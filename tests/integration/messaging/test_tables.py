from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from libs.messaging import relay
from libs.messaging.inbox import first_time, forget_handled
from libs.postgres.pool import tenant_transaction
from tests.integration.messaging.bench import TENANT, Bench, event_of

FOREIGN = UUID(int=8)
WALLED = ("event_order", "outbox", "inbox", "parked", "replica")


async def _fill(bench: Bench) -> None:
    await bench.announce(event_of("ann"), event_of("bob", tenant=FOREIGN))
    for tenant in (TENANT, FOREIGN):
        async with tenant_transaction(bench.app, tenant) as tx:
            await first_time(tx, consumer="c", message=str(tenant), tenant_id=tenant)
            await tx.execute(
                "INSERT INTO replica (tenant_id, topic, key, version, deleted, state)"
                " VALUES ($1, 't', 'k', 1, false, '{}')",
                tenant,
            )
        await bench.worker.execute(
            "INSERT INTO parked VALUES ('c', 't', 'k', 0, $1, $2, '', 0, now(), '')",
            int(tenant) % 8,
            tenant,
        )


@pytest.mark.security("S7")
@pytest.mark.parametrize("table", WALLED)
async def test_the_app_role_sees_one_tenant_or_nothing(bench: Bench, table: str) -> None:
    await _fill(bench)

    count = f"SELECT count(*) FROM {table}"
    outside = await bench.app.fetchval(count)
    async with tenant_transaction(bench.app, TENANT) as tx:
        inside = await tx.fetchval(count)
        foreign = await tx.fetchval(f"{count} WHERE tenant_id <> $1", TENANT)
    worker = await bench.worker.fetchval(count)

    assert (outside, inside, foreign, worker) == (0, 1, 0, 2)


@pytest.mark.security("S7")
async def test_the_app_role_writes_for_its_own_tenant_only(bench: Bench) -> None:
    async with tenant_transaction(bench.app, TENANT) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await first_time(tx, consumer="c", message="m", tenant_id=FOREIGN)


async def test_the_app_role_cannot_touch_the_lease_or_take_events_back(bench: Bench) -> None:
    for statement in ("SELECT FROM relay_lease", "DELETE FROM outbox", "DELETE FROM inbox"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bench.app.execute(statement)


async def test_the_inbox_forgets_what_is_older_than_it_must_remember(bench: Bench) -> None:
    await bench.worker.execute(
        "INSERT INTO inbox SELECT 'c', n, NULL, now() - interval '2 days'"
        " FROM generate_series(1, 10005) AS n"
    )
    await bench.worker.execute("INSERT INTO inbox VALUES ('c', 'young', NULL)")

    assert await forget_handled(bench.worker, older_than=timedelta(days=1)) == 10_005
    assert await bench.worker.fetchval("SELECT message FROM inbox") == "young"


async def test_reading_a_long_backlog_does_not_sort_it(bench: Bench) -> None:
    plan = f"EXPLAIN {relay._READ.replace('$1', chr(39) * 2).replace('$2', '500')}"
    async with bench.worker.acquire() as connection:
        await connection.execute(relay._READ_BY_KEY)
        lines = [row[0] for row in await connection.fetch(plan)]

    assert "Index Scan using outbox_pkey" in "\n".join(lines)
    assert "Sort" not in "\n".join(lines)
