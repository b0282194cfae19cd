import asyncio
from base64 import b32decode, b64decode
from uuid import uuid4

import pytest

from contracts.internal import CLAIM_CREDENTIAL, Credential
from contracts.vocabulary import Service
from libs.sealing.seal import SealBroken
from services.enrollment.domain.places import SECRET
from tests.integration.enrollment.things import Enrolled, until
from tests.integration.enrollment.world import World


async def _enrolled(world: World) -> Enrolled:
    application = await world.application()
    return await world.enroll(application, world.person(application.tenant))


async def _sealed(world: World, about: Enrolled) -> object:
    [row] = await world.rows(
        "SELECT sealed FROM authenticator WHERE id = $1", about.authenticator_id
    )
    return row["sealed"]


async def test_the_first_attempt_gets_the_credential(world: World) -> None:
    about = await _enrolled(world)

    credential = await world.claim(about, uuid4())

    assert isinstance(credential, Credential)
    assert b64decode(credential.secret) == b32decode(about.secret)
    assert (credential.factor, credential.epoch) == ("totp", 1)
    assert (credential.algorithm, credential.digits, credential.period) == ("SHA1", 6, 30)


@pytest.mark.requirement("E2")
async def test_the_code_that_confirmed_is_spent(world: World) -> None:
    about = await _enrolled(world)

    credential = await world.claim(about, uuid4())

    assert isinstance(credential, Credential)
    assert credential.last_step == about.step


async def test_repeating_the_attempt_gets_the_same(world: World) -> None:
    about, attempt = await _enrolled(world), uuid4()

    first = await world.claim(about, attempt)
    again = await world.claim(about, attempt)

    assert isinstance(first, Credential)
    assert again == first


async def test_another_attempt_gets_nothing(world: World) -> None:
    about, attempt, other = await _enrolled(world), uuid4(), uuid4()
    await world.claim(about, attempt)

    assert await world.claim(about, other) == 409
    assert await world.acknowledge(about, other) == 409
    assert isinstance(await world.claim(about, attempt), Credential)


async def test_of_attempts_at_once_one_gets_it(world: World) -> None:
    about = await _enrolled(world)

    answers = await asyncio.gather(*(world.claim(about, uuid4()) for _ in range(8)))

    assert sum(isinstance(answer, Credential) for answer in answers) == 1
    assert answers.count(409) == 7


async def test_a_claim_waits_for_the_one_before_it(world: World) -> None:
    about = await _enrolled(world)
    before = await world.stored.superuser()

    async def waits() -> bool:
        activity = await world.rows(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return len(activity) > 0

    async with before.transaction():
        await before.execute(
            "UPDATE authenticator SET claimed_by = $2 WHERE id = $1",
            about.authenticator_id,
            uuid4(),
        )
        claiming = asyncio.create_task(world.claim(about, uuid4()))
        await until(waits)
    await before.close()

    assert await claiming == 409


async def test_the_acknowledgement_erases_the_secret(world: World) -> None:
    about, attempt = await _enrolled(world), uuid4()
    await world.claim(about, attempt)
    assert await _sealed(world, about) is not None

    assert await world.acknowledge(about, attempt) == 200
    assert await world.acknowledge(about, attempt) == 200

    assert await _sealed(world, about) is None
    assert await world.claim(about, attempt) == 410
    assert await world.claim(about, uuid4()) == 409
    rows = await world.rows(
        "SELECT sealed FROM enrollment WHERE authenticator_id = $1", about.authenticator_id
    )
    assert [row["sealed"] for row in rows] == [None]


async def test_an_unclaimed_credential_cannot_be_acknowledged(world: World) -> None:
    about = await _enrolled(world)

    assert await world.acknowledge(about, uuid4()) == 409

    assert await _sealed(world, about) is not None


async def test_what_was_removed_is_gone(world: World) -> None:
    application = await world.application()
    about = await world.enroll(application, world.person(application.tenant))
    attempt = uuid4()
    await world.claim(about, attempt)

    await world.ask(application, "DELETE", f"/v1/authenticators/{about.authenticator_id}")

    assert await world.claim(about, attempt) == 410
    assert await world.claim(about, uuid4()) == 410
    assert await world.acknowledge(about, attempt) == 200


async def test_what_is_unknown_is_not_found(world: World) -> None:
    about = await _enrolled(world)
    stranger = Enrolled(about.person, str(uuid4()), "", secret="", step=0)

    assert await world.claim(stranger, uuid4()) == 404
    assert await world.acknowledge(stranger, uuid4()) == 404
    # The right authenticator under another subject.
    assert await world.claim(about, uuid4(), subject_ref=uuid4()) == 404
    assert isinstance(await world.claim(about, uuid4()), Credential)


async def test_a_claim_without_a_key_is_refused_and_can_be_repeated(world: World) -> None:
    about, attempt = await _enrolled(world), uuid4()
    body: dict[str, object] = {
        "tenant": str(about.person.tenant),
        "subject_ref": str(about.person.subject_ref),
        "authenticator_id": about.authenticator_id,
        "attempt_id": str(attempt),
        "public_key": "bm90IGEga2V5",
    }

    answer = await world.call(CLAIM_CREDENTIAL, Service.VERIFICATION, body)

    assert answer.status_code == 422
    assert isinstance(await world.claim(about, attempt), Credential)


@pytest.mark.security("S9")
async def test_a_secret_in_another_row_does_not_open(world: World) -> None:
    one, other = await _enrolled(world), await _enrolled(world)
    stolen = await _sealed(world, one)
    key = await world.rows(
        "SELECT * FROM data_key WHERE tenant_id = $1 AND purpose = $2", one.person.tenant, SECRET
    )
    await world.rows(
        "UPDATE authenticator SET sealed = $2 WHERE id = $1", other.authenticator_id, stolen
    )

    with pytest.raises(SealBroken):
        await world.claim(other, uuid4())

    assert len(key) == 1
