"""An address is claimed for one event by one message, also where that message was forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from contracts.vocabulary import Language
from libs.messaging.cloud_event import CloudEvent
from libs.service.parts import MessagingHealth
from libs.web.api_keys import digest_of
from services.policy.app import Listeners
from services.policy.app import assemble as assemble_policy
from services.policy.settings import Settings as PolicySettings
from tests.fixtures.services import MakeDatabase, TestClock, plumbing_for
from tests.integration.notification.smtp_simulator import HANG_UP, SmtpSimulator
from tests.integration.notification.world import (
    Person,
    PolicySimulator,
    World,
    running_world,
    settings_for,
)

SENT, PENDING = ("sent", None), ("pending", None)
NOT_GIVEN = ("suppressed", "no_address")
_OPERATOR_KEY = "an operator's key"


async def test_a_message_claims_with_its_own_id_for_its_event(world: World) -> None:
    person = world.person()
    event = world.enrolled(person)
    await world.hear(event)

    await world.deliver_due()

    [claim], message = world.policy.claims, await world.message(person)
    assert (claim.tenant, claim.subject_ref) == (person.tenant, person.subject_ref)
    assert (claim.caused_by, claim.attempt_id) == (event.id, message["id"])


@pytest.mark.parametrize("verdict", ["250 taken", "550 never", HANG_UP])
async def test_what_has_ended_is_acknowledged(world: World, verdict: str) -> None:
    person = world.person()
    event = world.enrolled(person)
    await world.hear(event)
    world.smtp.verdict = "451 try again"
    await world.deliver_due()
    assert world.policy.acknowledged == []  # the next try has to ask again
    world.smtp.verdict = verdict

    await world.try_again()

    [said], message = world.policy.acknowledged, await world.message(person)
    assert (said.tenant, said.caused_by, said.attempt_id) == (
        person.tenant,
        event.id,
        message["id"],
    )


async def test_an_address_that_no_mail_can_go_to_is_acknowledged(world: World) -> None:
    await world.hear(world.enrolled(world.person(email=None)))

    await world.deliver_due()

    assert len(world.policy.acknowledged) == 1


async def test_an_acknowledgement_that_is_lost_changes_nothing(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.policy.acknowledges = False

    await world.deliver_due()
    await world.try_again()

    assert await world.state(person) == SENT
    assert await world.events(person) == ["mfa.notification_sent"]
    assert len(world.smtp.delivered) == 1


@pytest.mark.fault("R21")
@pytest.mark.parametrize("status", [409, 410])
async def test_without_the_claim_nothing_is_sent(world: World, status: int) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.policy.status = status

    await world.deliver_due()
    world.policy.status = 200
    await world.try_again()

    assert await world.state(person) == NOT_GIVEN
    assert await world.events(person) == ["mfa.notification_suppressed"]
    assert (len(world.policy.claims), world.smtp.connections) == (1, 0)
    assert world.policy.acknowledged == []


@dataclass(frozen=True)
class RealPolicy:
    """Policy itself, with one person."""

    listeners: Listeners
    person: Person


@pytest.fixture
async def policy(service_database: MakeDatabase) -> AsyncIterator[RealPolicy]:
    stored = await service_database("policy")
    nowhere = "http://nowhere"
    settings = PolicySettings(
        app_dsn=SecretStr(""),
        worker_dsn=SecretStr(""),
        owner_dsn=SecretStr(""),
        kafka_bootstrap="127.0.0.1:9",
        key_file=Path("unused"),
        identity_key_file=Path("unused"),
        identity_public_keys_file=Path("unused"),
        port=1,
        internal_port=1,
        operator_key_digest=digest_of(_OPERATOR_KEY),
        verification_url=nowhere,
        enrollment_url=nowhere,
        recovery_url=nowhere,
    )
    async with plumbing_for(stored, clock=TestClock()) as plumbing:
        listeners = assemble_policy(plumbing, settings, health=MessagingHealth())
        yield RealPolicy(listeners, await _anna(listeners))


async def _anna(listeners: Listeners) -> Person:
    transport = httpx2.ASGITransport(listeners.public)
    async with httpx2.AsyncClient(transport=transport, base_url="http://policy") as http:

        async def post(key: str, path: str, body: dict[str, str]) -> dict[str, str]:
            headers = {"Authorization": f"Bearer {key}"}
            answer = await http.post(path, headers=headers, json=body)
            assert answer.status_code == 201, answer.text
            made: dict[str, str] = answer.json()
            return made

        tenant = await post(_OPERATOR_KEY, "/v1/tenants", {"name": "A university"})
        body = {"subject": "anna", "email": "anna@example.org", "language": Language.DUTCH.value}
        subject = await post(tenant["key"], "/v1/subjects", body)
    return Person(UUID(tenant["tenant_id"]), UUID(subject["subject_ref"]), body["email"])


@asynccontextmanager
async def _worlds(
    service_database: MakeDatabase, smtp: SmtpSimulator, policy: RealPolicy, *, number: int
) -> AsyncIterator[list[World]]:
    """Run notification on databases that know nothing of one another."""
    async with AsyncExitStack() as stack:
        worlds = []
        for _ in range(number):
            stored = await service_database("notification")
            inside = {"policy": policy.listeners.internal}
            settings, clock = settings_for(stored, smtp), TestClock()
            simulator = PolicySimulator()
            running = running_world(stored, smtp, simulator, clock, settings, inside=inside)
            worlds.append(await stack.enter_async_context(running))
        yield worlds


@pytest.mark.fault("R21")
async def test_a_topic_replayed_at_once_into_an_empty_database_sends_nothing_more(
    service_database: MakeDatabase, smtp: SmtpSimulator, policy: RealPolicy
) -> None:
    async with _worlds(service_database, smtp, policy, number=2) as (before, after):
        events = [before.enrolled(policy.person), before.reset_completed(policy.person)]
        await _hear_all(before, events)
        await before.deliver_due()
        assert [one.recipient for one in smtp.delivered] == ["anna@example.org"] * 2

        await _hear_all(before, [msgspec.structs.replace(event, sequence=7) for event in events])
        await before.try_again()
        await _hear_all(after, events)
        await after.deliver_due()
        await after.try_again()

        assert (len(smtp.delivered), smtp.connections) == (2, 2)
        states = await after.rows("SELECT status, reason FROM message")
        assert states == [{"status": "suppressed", "reason": "no_address"}] * 2


@pytest.mark.fault("R21")
async def test_of_two_messages_for_one_event_at_once_one_is_sent(
    service_database: MakeDatabase, smtp: SmtpSimulator, policy: RealPolicy
) -> None:
    async with _worlds(service_database, smtp, policy, number=2) as worlds:
        events = [worlds[0].enrolled(policy.person) for _ in range(10)]
        for world in worlds:
            await _hear_all(world, events)

        await asyncio.gather(*(world.deliver_due() for world in worlds))
        await asyncio.gather(*(world.try_again() for world in worlds))

    assert len(smtp.delivered) == len(events)


async def test_a_later_try_gets_the_address_again(
    service_database: MakeDatabase, smtp: SmtpSimulator, policy: RealPolicy
) -> None:
    async with _worlds(service_database, smtp, policy, number=1) as (world,):
        await world.hear(world.enrolled(policy.person))
        smtp.rcpt = "450 greylisted"
        await world.deliver_due()
        assert await world.state(policy.person) == PENDING
        smtp.rcpt = "250 ok"

        await world.try_again()

        assert await world.state(policy.person) == SENT


async def _hear_all(world: World, events: list[CloudEvent]) -> None:
    for event in events:
        await world.hear(event)
