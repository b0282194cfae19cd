"""Many imported people wait to be read: policies and keys of applications do not wait with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from contracts.envelope import about_application, about_person
from contracts.policy import (
    APPLICATION_STATE,
    POLICY_STATE,
    SUBJECT_STATE,
    ApplicationState,
    PolicyState,
    SubjectState,
)
from contracts.topics import APPLICATIONS, COMPACTED, LIVE_TOPICS, POLICIES, SUBJECTS
from contracts.vocabulary import Factor, Language, Requirement, Service
from libs.ids import new_id
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.copies import copy_of
from libs.messaging.kafka import KafkaSettings, Message, Producer, Record, TopicSpec, ensure_topics
from libs.messaging.parking import park
from libs.postgres.pool import Connection, tenant_transaction
from libs.service.parts import MessagingHealth, consumer_parts
from services.verification.consumer import GROUPS
from tests.fixtures.servers import RunningServers
from tests.integration.messaging.bench import until, value_of
from tests.integration.verification.conftest import World, settings_for

_PEOPLE = 5_000
# A handler is given up after 20 s: what arrives before then was behind none of them.
_AT_ONCE_SECONDS = 10.0


@dataclass
class Held:
    """A handler that ends when it is let go."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    done: int = 0

    async def __call__(self, _tx: Connection, _event: CloudEvent) -> None:
        self.reached.set()
        await self.let_go.wait()
        self.done += 1


async def test_a_policy_and_a_key_do_not_wait_behind_an_import(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    tenant, application_id, held = uuid4(), new_id(), Held()
    policy, application = _policy(tenant, application_id), _application(tenant, application_id)
    await _ensure_topics(servers)
    await _send(servers, SUBJECTS.name, *(_person(tenant) for _ in range(_PEOPLE)))

    async with _consuming(world, servers, held, tmp_path):
        await asyncio.wait_for(held.reached.wait(), 60)
        await _send(servers, POLICIES.name, policy)
        await _send(servers, APPLICATIONS.name, application)

        async def both_are_here() -> bool:
            async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
                topics = POLICIES.name, APPLICATIONS.name
                return all([await copy_of(tx, topic, policy.key) for topic in topics])

        await until(both_are_here, within=_AT_ONCE_SECONDS)
        assert held.done == 0


async def test_a_policy_that_an_earlier_release_parked_is_still_tried(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    tenant, application_id = uuid4(), new_id()
    policy = _policy(tenant, application_id)
    record = Record(POLICIES.name, 0, 7, policy.key, value_of(policy), {}, datetime.now(UTC))
    await _ensure_topics(servers)

    async with _consuming(world, servers, Held(), tmp_path) as prefix:
        group = f"{prefix}.{Service.VERIFICATION}"
        await park(world.plumbing.worker_pool, group, record, tenant)

        async def it_is_here() -> bool:
            async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
                return await copy_of(tx, POLICIES.name, policy.key) is not None

        await until(it_is_here)


@asynccontextmanager
async def _consuming(
    world: World, servers: RunningServers, held: Held, folder: Path
) -> AsyncIterator[str]:
    settings = settings_for(world.stored, servers.valkey_url, folder).model_copy(
        update={"kafka_bootstrap": servers.kafka}
    )
    # Those of another test have the same names.
    mine = uuid4().hex
    parts = consumer_parts(
        world.plumbing,
        settings,
        MessagingHealth(),
        groups={f"{mine}.{group}": topics for group, topics in GROUPS.items()},
        handlers={**world.parts.events.handlers(), SUBJECT_STATE.name: held},
        compacted=COMPACTED,
    )
    stop = asyncio.Event()
    running = [asyncio.ensure_future(part(stop)) for part in parts]
    try:
        yield mine
    finally:
        stop.set()
        held.let_go.set()
        await asyncio.gather(*running)


async def _ensure_topics(servers: RunningServers) -> None:
    specs = [TopicSpec(t.name, t.partitions, t.compacted, t.retention) for t in LIVE_TOPICS]
    await ensure_topics(KafkaSettings(servers.kafka), specs)


async def _send(servers: RunningServers, topic: str, *events: CloudEvent) -> None:
    producer = Producer(KafkaSettings(servers.kafka))
    try:
        sent = await producer.send(
            [Message(topic, event.key.encode(), value_of(event)) for event in events]
        )
    finally:
        await producer.close()
    assert all(sent)


def _person(tenant: UUID) -> CloudEvent:
    subject = uuid4()
    state = SubjectState(
        subject_ref=subject,
        version=1,
        deleted=False,
        user_type="student",
        groups=(),
        language=Language.ENGLISH,
    )
    now = datetime.now(UTC)
    return about_person(SUBJECT_STATE, state, tenant=tenant, subject_ref=subject, now=now)


def _policy(tenant: UUID, application_id: UUID) -> CloudEvent:
    state = PolicyState(
        application_id=application_id,
        version=1,
        deleted=False,
        requirement=Requirement.REQUIRED,
        factors=(Factor.TOTP,),
    )
    about = {"tenant": tenant, "application_id": application_id}
    return about_application(POLICY_STATE, state, **about, now=datetime.now(UTC))


def _application(tenant: UUID, application_id: UUID) -> CloudEvent:
    state = ApplicationState(
        application_id=application_id, version=1, deleted=False, name="Test", keys=()
    )
    about = {"tenant": tenant, "application_id": application_id}
    return about_application(APPLICATION_STATE, state, **about, now=datetime.now(UTC))
