import base64
import logging
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest

from contracts.vocabulary import Service
from libs.postgres.pool import tenant_transaction
from tests.fixtures.services import IDENTITY_KEYS, identity_of
from tests.integration.internal_matrix import assert_only_listed_callers
from tests.integration.notification.smtp_simulator import HANG_UP
from tests.integration.notification.world import World

IDENTITIES = {Service(name): identity_of(name) for name in IDENTITY_KEYS}


@pytest.mark.security("S12")
async def test_there_is_no_internal_route(world: World) -> None:
    await assert_only_listed_callers(world.parts.internal, Service.NOTIFICATION, IDENTITIES)


@pytest.mark.security("S6")
async def test_rows_are_seen_inside_their_tenant_only(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    await world.deliver_due()
    pool = world.plumbing.app_pool

    for table in ("message", "outbox"):
        count = f"SELECT count(*) FROM {table}"
        async with tenant_transaction(pool, person.tenant) as tx:
            assert await tx.fetchval(count) == 1, table
        async with tenant_transaction(pool, uuid4()) as tx:
            assert await tx.fetchval(count) == 0, table
        assert await pool.fetchval(count) == 0, table


@pytest.mark.security("S6")
async def test_no_tenant_writes_into_another(world: World) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant_transaction(world.plumbing.app_pool, uuid4()) as tx:
            await tx.execute(
                "INSERT INTO message (tenant_id, id, caused_by, subject_ref, template, happened)"
                " VALUES ($1, $1, $1, $1, 'authenticator_added', now())",
                uuid4(),
            )


@pytest.mark.security("S6")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE message SET status = 'pending'",
        "UPDATE message SET ended = now()",
        "TRUNCATE message",
    ],
)
async def test_the_worker_takes_and_forgets_messages_and_does_nothing_else(
    world: World, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.plumbing.worker_pool.execute(statement)


@pytest.mark.security("S14")
async def test_an_address_stands_in_no_row_and_no_log_line(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = f"canary{uuid4().hex}@example.org"
    world.policy.contacts.clear()
    for change in (
        {},
        {"rcpt": f"550 <{canary}> is unknown"},
        {"rcpt": f"450 <{canary}> is greylisted"},
        {"greeting": f"421 not for {canary}"},
        {"verdict": HANG_UP},
        {"verdict": f"what, {canary}?"},
        {"mail": HANG_UP},
    ):
        good = {name: getattr(world.smtp, name) for name in change}
        vars(world.smtp).update(change)
        await world.hear(world.enrolled(world.person(email=canary)))
        await world.deliver_due()
        vars(world.smtp).update(good)
    assert world.smtp.delivered[0].recipient == canary

    said = caplog.text + str(caplog.records) + "".join(capsys.readouterr())
    said += await _everything_stored(world)

    raw = canary.encode()
    for form in (canary, quote(canary), raw.hex(), base64.b64encode(raw).decode()):
        assert form not in said


async def _everything_stored(world: World) -> str:
    tables = await world.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'notification'"
    )
    rows = [
        await world.rows(f"SELECT to_jsonb(t)::text AS row FROM {table['table_name']} t")
        for table in tables
    ]
    payloads = await world.rows("SELECT convert_from(payload, 'UTF8') AS payload FROM outbox")
    assert payloads
    return str(rows) + str(payloads)
