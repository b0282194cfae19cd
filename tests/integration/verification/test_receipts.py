"""Receipts: repeated to the byte, checked without us, signed by keys that rotate."""

import json
import sys
from asyncio import gather
from asyncio.subprocess import PIPE, create_subprocess_exec
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import KeySetSerialization

from contracts.policy import PolicyState
from contracts.topics import POLICIES
from contracts.vocabulary import Factor, Requirement
from examples.check_receipt import Expected, ReceiptRefusedError, check
from libs.messaging.copies import save_copy
from libs.postgres.pool import tenant_transaction
from libs.sealing.seal import SealBroken
from tests.integration.verification.conftest import (
    SLOWLY,
    Application,
    Person,
    World,
    running_world,
)
from tests.integration.verification.processes import url_of

ROOT = Path(__file__).parents[3]
NONCE = "5f8a-nonce-of-a-login"
ISSUER = "https://watchword.invalid"


async def ask(
    world: World,
    application: Application,
    person: Person,
    *,
    nonce: object = NONCE,
    code: str | None = None,
    key: str | None = None,
    slowly: bool = False,
) -> httpx2.Response:
    """Verify with a receipt; `slowly`: by the app behind the fast lane."""
    headers = {"Authorization": f"Bearer {application.key}"}
    headers |= {"Idempotency-Key": key} if key else {}
    headers |= {"Content-Type": "application/json"}
    body = {
        "subject": person.name,
        "code": code or world.code(person),
        "receipt": {"nonce": nonce},
    }
    headers |= SLOWLY if slowly else {}
    return await world.public.post("/v1/verify", content=json.dumps(body), headers=headers)


async def published(world: World) -> KeySetSerialization:
    answer = await world.public.get("/v1/receipts/keys")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=3600")
    keys: KeySetSerialization = answer.json()
    return keys


def expected(application: Application, person: Person) -> Expected:
    return Expected(ISSUER, str(application.application_id), person.name, NONCE)


def kid_of(receipt: str) -> str:
    return str(jws.extract_compact(receipt.encode()).headers()["kid"])


async def change_policy(world: World, application: Application) -> None:
    state = PolicyState(
        application_id=application.application_id,
        version=2,
        deleted=False,
        requirement=Requirement.REQUIRED,
        factors=(Factor.TOTP,),
    )
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await save_copy(
            tx,
            tenant=application.tenant,
            topic=POLICIES.name,
            key=f"{application.tenant}/{application.application_id}",
            state=state.model_dump(mode="json"),
        )
    world.parts.door.directory.forget()


@pytest.mark.requirement("F5")
@pytest.mark.parametrize("slowly", [False, True])
async def test_the_example_checks_a_receipt_without_us(
    world: World, tmp_path: Path, slowly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = await ask(world, application, person, slowly=slowly)
    (tmp_path / "keys.json").write_text(json.dumps(await published(world)))

    process = await create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples/check_receipt.py"), str(tmp_path / "keys.json")),
        *("--issuer", ISSUER, "--application", str(application.application_id)),
        *("--subject", person.name, "--nonce", NONCE),
        stdin=PIPE,
        stdout=PIPE,
    )
    printed, _ = await process.communicate(answer.json()["receipt"].encode())

    assert process.returncode == 0
    claims = json.loads(printed)
    assert claims["jti"] == answer.json()["event_id"]
    assert claims["policy_version"] == 1


async def test_who_asks_for_no_receipt_gets_none(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await world.verify(application, person, world.code(person))

    assert "receipt" not in answer.json()
    assert await world.rows("SELECT 1 FROM receipt_key") == []


@pytest.mark.fault("R10")
@pytest.mark.parametrize("slowly", [False, True])
async def test_a_repeat_is_the_same_bytes_whatever_changed_meanwhile(
    world: World, tmp_path: Path, slowly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    another = await world.person(application.tenant)
    key = uuid4().hex
    await replace_key(world)
    world.clock.forward(timedelta(hours=23, minutes=50))
    code = world.code(person)
    first = await ask(world, application, person, code=code, key=key)
    await change_policy(world, application)
    world.clock.forward(timedelta(minutes=14))
    newer = (await ask(world, application, another)).json()["receipt"]

    again = [
        await ask(world, application, person, code=code, key=key, slowly=slowly) for _ in range(2)
    ]
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        again.append(await ask(other, application, person, code=code, key=key))

    assert first.status_code == 200
    assert kid_of(newer) != kid_of(first.json()["receipt"])
    assert {answer.content for answer in again} == {first.content}


@pytest.mark.fault("R10")
async def test_parallel_repeats_get_one_receipt(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex

    answers = await gather(*(ask(world, application, person, code=code, key=key) for _ in range(8)))

    assert len({answer.content for answer in answers}) == 1
    assert answers[0].status_code == 200


@pytest.mark.parametrize("nonce", ["another-nonce", None])
async def test_another_receipt_is_another_request(world: World, nonce: str | None) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    await ask(world, application, person, code=code, key=key)

    if nonce is None:
        answer = await world.verify(application, person, code, idempotency_key=key)
    else:
        answer = await ask(world, application, person, code=code, key=key, nonce=nonce)

    assert answer.json()["code"] == "idempotency_key_reused"


@pytest.mark.security("S4")
@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize(
    "nonce", ["short12", "x" * 129, "with space", "Zürich-nonce", 12345678, None]
)
async def test_refuses_other_nonces(world: World, nonce: object, slowly: bool) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await ask(world, application, person, nonce=nonce, slowly=slowly)

    assert answer.status_code == 422
    assert "mfa.verified" not in await world.events(person)


@pytest.mark.security("S6")
async def test_a_receipt_of_another_application_proves_nothing(world: World) -> None:
    ours = await world.application()
    theirs = await world.application(tenant=ours.tenant)
    person = await world.person(ours.tenant)
    receipt = (await ask(world, theirs, person)).json()["receipt"]

    with pytest.raises(ReceiptRefusedError, match="aud"):
        check(receipt, await published(world), expected=expected(ours, person), now=world.clock())


@pytest.mark.fault("R29")
async def test_a_new_key_is_published_a_day_before_it_signs(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    old = (await ask(world, application, person)).json()["receipt"]
    saved = await published(world)
    await replace_key(world)

    both = await published(world)
    world.clock.forward(timedelta(hours=23, minutes=58))
    before = (await ask(world, application, person)).json()["receipt"]
    world.clock.forward(timedelta(minutes=2))
    after = (await ask(world, application, person)).json()["receipt"]

    assert kid_of(old) == kid_of(before) == saved["keys"][0]["kid"]
    assert [key["kid"] for key in both["keys"]] == [kid_of(old), kid_of(after)]
    check(after, both, expected=expected(application, person), now=world.clock())


@pytest.mark.fault("R29")
async def test_a_replaced_key_stays_until_its_last_receipt_has_expired(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    await published(world)
    await replace_key(world)
    world.clock.forward(timedelta(hours=23, minutes=58))
    receipt = (await ask(world, application, person)).json()["receipt"]

    world.clock.forward(timedelta(minutes=6))
    await world.parts.receipts.rotate()
    keys = await published(world)
    world.clock.forward(timedelta(hours=2))
    await world.parts.receipts.rotate()
    later = await published(world)

    at = world.clock() - timedelta(hours=2, minutes=4)
    check(receipt, keys, expected=expected(application, person), now=at)
    assert kid_of(receipt) not in [key["kid"] for key in later["keys"]]
    assert len(later["keys"]) == 1


@pytest.mark.fault("R29")
async def test_keys_are_replaced_after_a_month_by_one_of_several_workers(world: World) -> None:
    await gather(*(world.parts.receipts.rotate() for _ in range(5)))
    world.clock.forward(timedelta(days=28, hours=23))
    await world.parts.receipts.rotate()
    assert len((await published(world))["keys"]) == 1

    world.clock.forward(timedelta(hours=2))
    await gather(*(world.parts.receipts.rotate() for _ in range(5)))

    assert len((await published(world))["keys"]) == 2


@pytest.mark.security("S9")
async def test_private_keys_are_sealed_and_open_in_their_own_row_only(world: World) -> None:
    await published(world)
    rows = await world.rows("SELECT sealed FROM receipt_key")
    assert b'"d"' not in bytes(rows[0]["sealed"])  # type: ignore[call-overload]
    connection = await world.stored.superuser()
    await connection.execute("UPDATE receipt_key SET key_id = 'other'")
    await connection.close()
    world.clock.forward(timedelta(minutes=2))

    with pytest.raises(SealBroken):
        await world.parts.receipts.keys()


async def replace_key(world: World) -> None:
    """Ask for a new key, as an operator does, and let the worker make it."""
    await world.parts.receipts.keys()
    connection = await world.stored.superuser()
    await connection.execute("UPDATE receipt_key SET replace_at = $1", world.clock())
    await connection.close()
    await world.parts.receipts.rotate()
    world.clock.forward(timedelta(minutes=1))
