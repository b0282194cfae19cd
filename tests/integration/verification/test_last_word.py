"""PostgreSQL has the last word: what the cache believes cannot make it say yes."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.envelope import about_person
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.vocabulary import Language, Scope
from libs.postgres.pool import tenant_transaction
from libs.web.internal_client import Refused
from services.verification.store import claims
from tests.integration.verification.conftest import Application, Person, World, reason_of

REASONS = (Scope.VERIFY, Scope.VERIFY_REASONS)


async def with_warm_cache(world: World) -> tuple[Application, Person]:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    accepted = await world.verify(application, person, world.code(person, steps=-1))
    assert accepted.status_code == 200
    return application, person


async def change(world: World, statement: str, *arguments: object) -> None:
    connection = await world.stored.superuser()
    await connection.execute(statement, *arguments)
    await connection.close()


@pytest.mark.security("S2")
@pytest.mark.fault("R5")
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE subject SET consecutive = 50 WHERE id = $1", "over_limit"),
        ("UPDATE subject SET spent = 10, spent_at = now() WHERE id = $1", "over_limit"),
        ("UPDATE authenticator SET epoch = epoch + 1 WHERE subject_ref = $1", "revoked"),
        (
            "UPDATE authenticator SET status = 'removed', sealed = NULL WHERE subject_ref = $1",
            "revoked",
        ),
    ],
)
async def test_a_right_code_is_refused_where_only_postgresql_knows_why(
    world: World, statement: str, reason: str
) -> None:
    application, person = await with_warm_cache(world)
    await change(world, statement, person.subject_ref)

    answer = await world.verify(application, person, world.code(person))

    assert (answer.status_code, reason_of(answer)) == (403, reason)
    assert (await world.events(person)).count("mfa.verified") == 1


@pytest.mark.security("S6")
async def test_an_idempotency_key_of_another_application_says_nothing(world: World) -> None:
    application, person = await with_warm_cache(world)
    other = await world.application(tenant=application.tenant, scopes=REASONS)
    code, key = world.code(person), uuid4().hex
    await world.verify(application, person, code, idempotency_key=key)

    answer = await world.verify(other, person, code, idempotency_key=key)

    assert (answer.status_code, reason_of(answer)) == (403, "replayed")


async def test_a_repeat_minutes_later_gets_the_first_answer_and_costs_no_guess(
    world: World,
) -> None:
    application, person = await with_warm_cache(world)
    code, key = world.code(person), uuid4().hex
    first = await world.verify(application, person, code, idempotency_key=key)

    world.clock.forward(timedelta(minutes=14))
    again = await world.verify(application, person, code, idempotency_key=key)

    assert again.json()["event_id"] == first.json()["event_id"]
    rows = await world.rows("SELECT consecutive FROM subject WHERE id = $1", person.subject_ref)
    assert rows == [{"consecutive": 0}]


@pytest.mark.fault("R15")
async def test_a_locked_row_delays_nobody_else_and_commits_nothing_later(world: World) -> None:
    application, person = await with_warm_cache(world)
    neighbour_app, neighbour = await with_warm_cache(world)
    holder = await world.stored.superuser()
    async with holder.transaction():
        await holder.execute("SELECT 1 FROM subject WHERE id = $1 FOR UPDATE", person.subject_ref)
        stuck, other = await asyncio.gather(
            world.verify(application, person, world.code(person)),
            world.verify(neighbour_app, neighbour, world.code(neighbour)),
        )
    await holder.close()
    repeated = await world.verify(application, person, world.code(person))

    assert (stuck.status_code, other.status_code) == (503, 200)
    assert repeated.status_code == 200
    assert (await world.events(person)).count("mfa.verified") == 2


async def test_an_older_state_of_a_subject_changes_nothing(world: World) -> None:
    application, person = await with_warm_cache(world)

    for version, deleted in ((3, False), (2, True)):
        await hear_of(world, person, version=version, deleted=deleted)

    assert (await world.verify(application, person, world.code(person))).status_code == 200


async def test_a_deleted_subject_keeps_no_secret_and_no_access(world: World) -> None:
    application, person = await with_warm_cache(world)

    await hear_of(world, person, version=2, deleted=True)

    answer = await world.verify(application, person, world.code(person))
    rows = await world.rows(
        "SELECT status, sealed FROM authenticator WHERE subject_ref = $1", person.subject_ref
    )
    assert answer.status_code == 403
    assert rows == [{"status": "removed", "sealed": None}]
    assert (await world.events(person))[-1] == "mfa.credential_forgotten"


async def test_a_claim_that_is_refused_for_a_while_is_not_given_up(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    authenticator = uuid4()
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await claims.want_credential(
            tx,
            tenant=application.tenant,
            subject=person.subject_ref,
            authenticator_id=authenticator,
            traceparent=None,
        )
    (claim,) = await claims.take_due(world.plumbing.worker_pool, most=5)
    world.owners.refuse_with = 401

    with pytest.raises(Refused):
        await world.parts.events.credentials.fulfil(claim)

    assert len(await world.rows("SELECT id FROM pending_claim")) == 1


@pytest.mark.security("S9")
async def test_the_narrow_role_cannot_look_up_applications(world: World) -> None:
    connection = await world.stored.superuser()
    allowed = await connection.fetchval(
        "SELECT has_function_privilege('verification_settle', 'application_by_id(text)', 'EXECUTE')"
    )
    await connection.close()

    assert allowed is False


async def hear_of(world: World, person: Person, *, version: int, deleted: bool) -> None:
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=version,
        deleted=deleted,
        user_type=None,
        groups=(),
        language=Language.ENGLISH,
    )
    event = about_person(
        SUBJECT_STATE,
        state,
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        now=world.clock(),
    )
    handler = world.parts.events.handlers()[SUBJECT_STATE.name]
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await handler(tx, event)
