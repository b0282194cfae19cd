"""Credentials that come late, twice, or while they are being removed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx2
import pytest

from contracts.enrollment import ENROLLED, Enrolled
from contracts.envelope import about_person
from contracts.internal import REVOKE, Credential, Revoke, RevokedAuthenticator
from contracts.vocabulary import Factor
from libs.ids import new_id
from libs.postgres.pool import tenant_transaction
from libs.web.internal_client import InternalClient, Unreachable
from services.verification.gateways import Owners
from services.verification.store import claims
from services.verification.use_cases.credentials import Credentials
from services.verification.workers import ClaimWorker
from tests.fixtures.services import identity_of
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World


@dataclass(frozen=True)
class UnluckyOwners(Owners):
    """Loses the first answers, after the owner has acted; and waits where it is told to."""

    to_lose: Counter[str] = field(default_factory=Counter)
    attempts: list[UUID] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def credential(
        self, *, tenant: UUID, subject_ref: UUID, authenticator_id: UUID, attempt_id: UUID
    ) -> Credential:
        given = await super().credential(
            tenant=tenant,
            subject_ref=subject_ref,
            authenticator_id=authenticator_id,
            attempt_id=attempt_id,
        )
        self.attempts.append(attempt_id)
        self.asked.set()
        await self.may_answer.wait()
        self._lose("credential")
        return given

    async def acknowledge(self, *, tenant: UUID, authenticator_id: UUID, attempt_id: UUID) -> None:
        await super().acknowledge(
            tenant=tenant, authenticator_id=authenticator_id, attempt_id=attempt_id
        )
        self._lose("acknowledgement")

    def _lose(self, what: str) -> None:
        if self.to_lose[what] > 0:
            self.to_lose[what] -= 1
            raise Unreachable("the answer is lost")


def unlucky(world: World, **lost: int) -> tuple[Credentials, UnluckyOwners]:
    known = world.parts.events.credentials
    owners = UnluckyOwners(known.owners.policy, known.owners.enrollment, to_lose=Counter(lost))
    owners.may_answer.set()
    return replace(known, owners=owners), owners


async def wanted(world: World, tenant: UUID) -> Person:
    """Enroll somebody whose credential nobody has claimed yet."""
    claiming = world.claim_all
    world.claim_all = _nothing  # type: ignore[method-assign]
    try:
        return await world.person(tenant)
    finally:
        world.claim_all = claiming  # type: ignore[method-assign]


async def _nothing() -> None:
    """Claim nothing."""


async def revoke(world: World, person: Person, factor: Factor = Factor.TOTP) -> None:
    """Revoke as enrollment does: when this returns, it is effective."""
    one = RevokedAuthenticator(authenticator_id=person.authenticator_id, factor=factor, epoch=2)
    body = Revoke(
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        authenticators=(one,),
        reset_id=None,
    )
    transport = httpx2.ASGITransport(app=world.parts.internal)
    async with httpx2.AsyncClient(transport=transport) as http:
        client = InternalClient(
            http=http,
            identity=identity_of("enrollment"),
            audience="verification",
            base_url="http://verification",
            clock=world.clock,
        )
        answer = await client.post(REVOKE.path, body.model_dump(mode="json"))
    assert answer["effective"] is True


async def enrolled_again(
    world: World, application: Application, person: Person, factor: Factor = Factor.TOTP
) -> None:
    """Let the event of the enrollment arrive (once more)."""
    data = Enrolled(
        authenticator_id=person.authenticator_id,
        enrollment_id=new_id(),
        application_id=application.application_id,
        factor=factor,
        epoch=1,
    )
    event = about_person(
        ENROLLED,
        data,
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        now=world.clock(),
    )
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.enrolled(tx, event)


async def waiting_claims(world: World) -> int:
    return len(await world.rows("SELECT 1 FROM pending_claim"))


async def test_a_late_enrolled_does_not_revive_what_was_removed(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    await revoke(world, person)

    await enrolled_again(world, application, person)
    await world.claim_all()

    assert await waiting_claims(world) == 0
    assert (await world.verify(application, person, world.code(person))).status_code == 403
    assert (await world.events(person)).count("mfa.credential_claimed") == 1


async def test_a_removal_before_the_enrolled_wins(world: World) -> None:
    application = await world.application()
    person = await wanted(world, application.tenant)
    await revoke(world, person)

    await enrolled_again(world, application, person)
    await world.claim_all()

    assert (await world.verify(application, person, world.code(person))).status_code == 403
    assert "mfa.credential_claimed" not in await world.events(person)


async def test_a_removal_while_the_claim_is_in_flight_wins(world: World) -> None:
    application = await world.application()
    person = await wanted(world, application.tenant)
    credentials, owners = unlucky(world)
    owners.may_answer.clear()
    taken = await claims.take_due(world.plumbing.worker_pool, most=10)
    claiming = asyncio.gather(*(credentials.fulfil(claim) for claim in taken))
    await owners.asked.wait()

    await revoke(world, person)
    owners.may_answer.set()
    await claiming
    await world.claim_all()

    assert (await world.verify(application, person, world.code(person))).status_code == 403
    assert "mfa.credential_claimed" not in await world.events(person)
    [row] = await world.rows("SELECT status, sealed FROM authenticator")
    assert (row["status"], row["sealed"]) == ("removed", None)
    assert await waiting_claims(world) == 0


async def test_a_lost_answer_is_asked_for_again_in_the_name_of_the_same_attempt(
    world: World,
) -> None:
    application = await world.application()
    person = await wanted(world, application.tenant)
    credentials, owners = unlucky(world, credential=3)

    await _work_off(world, credentials, workers=1)

    assert len(owners.attempts) == 4
    assert len(set(owners.attempts)) == 1
    assert (await world.verify(application, person, world.code(person))).status_code == 200


async def test_a_lost_acknowledgement_is_repeated(world: World) -> None:
    application = await world.application()
    person = await wanted(world, application.tenant)
    credentials, owners = unlucky(world, acknowledgement=2)

    await _work_off(world, credentials, workers=1)

    assert world.owners.acknowledged == [person.authenticator_id] * 3
    assert len(owners.attempts) == 1
    assert (await world.events(person)).count("mfa.credential_claimed") == 1


async def test_two_claim_workers_take_every_claim_once(world: World) -> None:
    application = await world.application()
    crowd = [await wanted(world, application.tenant) for _ in range(30)]
    credentials, owners = unlucky(world, credential=5, acknowledgement=5)

    await _work_off(world, credentials, workers=2)

    assert len(set(owners.attempts)) == 30
    assert len(owners.attempts) == 35
    for person in crowd:
        assert await world.events(person) == ["mfa.credential_claimed"]
        answer = await world.verify(application, person, world.code(person))
        assert answer.status_code == 200


async def test_a_repeated_claim_does_not_make_a_spent_code_good_again(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code = world.code(person)
    assert (await world.verify(application, person, code)).status_code == 200
    repeated = claims.Claim(
        tenant=person.tenant,
        claim_id=world.owners.owned_by[person.authenticator_id],
        kind=claims.Kind.CREDENTIAL,
        subject_ref=person.subject_ref,
        authenticator_id=person.authenticator_id,
        traceparent=None,
        tries=2,
    )

    await world.parts.events.credentials.fulfil(repeated)

    assert (await world.verify(application, person, code)).status_code == 403


@pytest.mark.parametrize("factor", [Factor.SMS, Factor.VOICE, Factor.PASSKEY])
async def test_what_has_no_codes_is_not_claimed_and_is_buried_all_the_same(
    world: World, factor: Factor
) -> None:
    application = await world.application()
    known = await world.person(application.tenant)
    person = replace(known, authenticator_id=new_id())

    await enrolled_again(world, application, person, factor)
    waiting = await waiting_claims(world)
    await revoke(world, person, factor)
    await enrolled_again(world, application, person, factor)

    assert (waiting, await waiting_claims(world)) == (0, 0)
    [row] = await world.rows(
        "SELECT factor, status, epoch FROM authenticator WHERE id = $1", person.authenticator_id
    )
    assert row == {"factor": factor.value, "status": "removed", "epoch": 2}
    assert (await world.events(person)).count("mfa.credential_forgotten") == 1
    assert (await world.verify(application, known, world.code(known))).status_code == 200


async def _work_off(world: World, credentials: Credentials, *, workers: int) -> None:
    stop = asyncio.Event()
    running = [ClaimWorker(world.plumbing.worker_pool, credentials.fulfil) for _ in range(workers)]
    async with asyncio.TaskGroup() as group:
        for worker in running:
            group.create_task(worker.run(stop))
        await until(lambda: _none_wait(world))
        stop.set()


async def _none_wait(world: World) -> bool:
    return await waiting_claims(world) == 0
