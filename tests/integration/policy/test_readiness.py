"""What policy learns from the stream: who has enrolled what, and who logs in how often."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.envelope import about_person
from contracts.topics import EVENTS
from contracts.verification import VERIFIED, Verified
from contracts.vocabulary import Factor
from libs.messaging.kafka import KafkaSettings, Message, Producer, TopicSpec, ensure_topics
from libs.postgres.pool import tenant_transaction
from services.policy import workers
from services.policy.domain.subject import erased_subject
from services.policy.store.logins import LoginDay, add_logins, forget_logins
from services.policy.store.readiness import forget_readiness
from services.policy.store.subjects import erase_subject, lock_subject
from services.policy.workers import count_logins
from tests.fixtures.servers import RunningServers
from tests.integration.messaging.bench import until
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.surveying import enrolled, has, logged_in, person, removed, told
from tools.samples import record_value

_DAY = date(2026, 11, 28)


async def factors_of(bench: Bench, subject: UUID) -> list[str]:
    rows = await bench.owner.fetch(
        "SELECT factor FROM enrolled WHERE subject_ref = $1 AND NOT removed ORDER BY factor",
        subject,
    )
    return [row["factor"] for row in rows]


async def logins_of(bench: Bench, tenant: Tenant) -> int:
    count: int = await bench.owner.fetchval(
        "SELECT coalesce(sum(logins), 0)::bigint FROM login_day WHERE tenant_id = $1",
        tenant.tenant_id,
    )
    return count


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 1, 0, 0)])
async def test_what_is_removed_stays_removed_in_whatever_order_it_is_heard(
    bench: Bench, tenant: Tenant, order: tuple[int, ...]
) -> None:
    subject, authenticator, now = await person(tenant), uuid4(), bench.plumbing.clock()
    events = [
        enrolled(tenant, subject, authenticator, Factor.TOTP, now=now),
        removed(tenant, subject, authenticator, Factor.TOTP, now=now),
    ]

    for number in order:
        await told(bench, events[number])

    assert await factors_of(bench, subject) == []


async def test_of_a_deleted_person_nothing_is_left_and_nothing_is_noted(
    bench: Bench, tenant: Tenant
) -> None:
    subject = await person(tenant)
    await has(bench, tenant, subject, Factor.TOTP, Factor.SMS)
    await logged_in(bench, tenant, subject, tenant.application_id, Factor.TOTP, 3)
    assert await factors_of(bench, subject) == ["sms", "totp"]

    await tenant.api("DELETE", f"/v1/subjects/{subject}")
    await has(bench, tenant, subject, Factor.TOTP)
    day = bench.plumbing.clock().date()
    login = LoginDay(tenant.tenant_id, subject, tenant.application_id, day, "totp")
    await add_logins(bench.plumbing.worker_pool, (uuid4().hex, 0), [(0, login)], following=1)

    for table in ("enrolled", "login_day"):
        count = f"SELECT count(*) FROM {table} WHERE subject_ref = $1"
        assert await bench.owner.fetchval(count, subject) == 0, table


async def test_of_whoever_is_deleted_in_this_moment_nothing_is_noted(
    bench: Bench, tenant: Tenant
) -> None:
    subject, now = await person(tenant), bench.plumbing.clock()
    event = enrolled(tenant, subject, uuid4(), Factor.TOTP, now=now)
    async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
        stored = await lock_subject(tx, tenant.tenant_id, subject)
        assert stored is not None
        await erase_subject(tx, tenant.tenant_id, erased_subject(stored), now=now)
        await forget_readiness(tx, tenant.tenant_id, [subject])
        noting = asyncio.create_task(told(bench, event))
        await until(lambda: _somebody_waits(bench))
    await noting

    assert await factors_of(bench, subject) == []


async def _somebody_waits(bench: Bench) -> bool:
    return bool(
        await bench.owner.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    )


async def test_a_record_counts_once_however_often_it_is_read(bench: Bench, tenant: Tenant) -> None:
    pool, place = bench.plumbing.worker_pool, (uuid4().hex, 3)
    login = LoginDay(tenant.tenant_id, uuid4(), uuid4(), _DAY, "totp")

    counted = [
        await add_logins(pool, place, [(offset, login) for offset in offsets], following=following)
        for offsets, following in (
            ([5, 7], 8),
            ([5, 7], 8),
            ([7, 8], 9),
            ([], 12),
            ([11], 12),
            ([12], 13),
        )
    ]

    assert counted == [2, 0, 1, 0, 0, 1]
    assert await logins_of(bench, tenant) == 4


async def test_two_readers_of_one_partition_count_each_record_once(
    bench: Bench, tenant: Tenant
) -> None:
    pool, place = bench.plumbing.worker_pool, (uuid4().hex, 0)
    login = LoginDay(tenant.tenant_id, uuid4(), uuid4(), _DAY, "totp")
    batches = [[(offset, login) for offset in range(n, n + 10)] for n in range(0, 100, 10)]

    for batch in batches:
        following = batch[-1][0] + 1
        await asyncio.gather(
            *(add_logins(pool, place, batch, following=following) for _ in range(4))
        )

    assert await logins_of(bench, tenant) == 100


async def test_old_logins_are_forgotten(bench: Bench, tenant: Tenant) -> None:
    subject = uuid4()
    now = bench.plumbing.clock()
    for days in (1, 89, 91):
        at = now - timedelta(days=days)
        await logged_in(bench, tenant, subject, uuid4(), Factor.TOTP, 1, at=at)

    before = (now - timedelta(days=90)).date()
    while await forget_logins(bench.plumbing.worker_pool, before=before):
        pass

    assert await logins_of(bench, tenant) == 2


@pytest.mark.parametrize("counted_before", [0, 10_000])
async def test_logins_are_counted_from_the_stream_also_where_its_topic_was_made_anew(
    bench: Bench,
    tenant: Tenant,
    servers: RunningServers,
    counted_before: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = KafkaSettings(bootstrap=servers.kafka, client_id="test")
    topic = f"{EVENTS.name}.{uuid4().hex}"
    await ensure_topics(kafka, [TopicSpec(topic, partitions=2, compacted=False, retention=None)])
    monkeypatch.setattr(workers, "_LOGINS", topic)
    monkeypatch.setattr(workers, "EVENTS", type(EVENTS)(topic, "", 2, None, (), ()))
    if counted_before:
        # Of a topic of this name, which somebody has deleted since.
        for partition in range(2):
            await add_logins(
                bench.plumbing.worker_pool, (topic, partition), [], following=counted_before
            )
    people = [uuid4() for _ in range(20)]
    producer = Producer(kafka)
    await producer.send([_verified(tenant, subject, topic, bench) for subject in people * 5])
    await producer.send([_noise(tenant, topic)])

    stop = asyncio.Event()
    clock, pool = bench.plumbing.clock, bench.plumbing.worker_pool
    counting = asyncio.create_task(count_logins(kafka, pool, clock, stop))

    async def counted() -> bool:
        return await logins_of(bench, tenant) >= 100

    await until(counted)
    stop.set()
    await counting
    await producer.close()

    assert await logins_of(bench, tenant) == 100


def _verified(tenant: Tenant, subject: UUID, topic: str, bench: Bench) -> Message:
    data = Verified(
        application_id=tenant.application_id,
        authenticator_id=uuid4(),
        factor=Factor.TOTP,
        acr="urn:watchword:acr:second-factor",
        amr=("otp",),
    )
    now = bench.plumbing.clock()
    event = about_person(VERIFIED, data, tenant=tenant.tenant_id, subject_ref=subject, now=now)
    value = record_value(event, sequence=1)
    return Message(topic, event.key.encode(), value, (("ce_type", event.type.encode()),))


def _noise(tenant: Tenant, topic: str) -> Message:
    key = f"{tenant.tenant_id}/x".encode()
    return Message(topic, key, b"{", (("ce_type", VERIFIED.name.encode()),))
