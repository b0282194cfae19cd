from uuid import uuid4

import asyncpg
import pytest

from contracts.envelope import about_application
from contracts.policy import APPLICATION_STATE, POLICY_STATE, ApplicationState, PolicyState
from contracts.vocabulary import Factor, Requirement, Service
from libs.messaging.cloud_event import InvalidEvent
from libs.postgres.pool import tenant_transaction
from tests.fixtures.services import IDENTITY_KEYS, identity_of
from tests.integration.enrollment.importing import importing, json_lines, new_manager, totp
from tests.integration.enrollment.world import World
from tests.integration.internal_matrix import (
    FORGERIES,
    assert_body_is_bound,
    assert_only_listed_callers,
    assert_refused,
    assert_taken_once,
)

IDENTITIES = {Service(name): identity_of(name) for name in IDENTITY_KEYS}
TABLES = (
    *("data_key", "subject", "enrollment", "authenticator", "reset", "outbox", "replica"),
    *("hardware_token", "known_secret"),
    *("authenticator_import", "import_part", "import_mark", "import_row"),
)


@pytest.mark.security("S12")
async def test_internal_routes_let_in_the_listed_services_only(world: World) -> None:
    await assert_only_listed_callers(world.parts.internal, Service.ENROLLMENT, IDENTITIES)
    await assert_taken_once(world.parts.internal, Service.ENROLLMENT, IDENTITIES)
    await assert_body_is_bound(world.parts.internal, Service.ENROLLMENT, IDENTITIES)


@pytest.mark.security("S12")
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_internal_routes_refuse_a_forged_token(world: World, forgery: str) -> None:
    app = world.parts.internal

    await assert_refused(app, Service.ENROLLMENT, IDENTITIES, forgery=forgery)


@pytest.mark.security("S6")
async def test_rows_are_seen_inside_their_tenant_only(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    await world.enroll(application, person)
    await world.reset(person, uuid4())
    sender = await new_manager(world, tenant=application.tenant)
    await sender.sent(json_lines(totp(serial="T1"), totp(serial="T2")))
    await importing(world, rows_at_once=1).round()
    pool = world.plumbing.app_pool

    for table in TABLES:
        count = f"SELECT count(*) FROM {table}"
        async with tenant_transaction(pool, application.tenant) as tx:
            assert await tx.fetchval(count) > 0, table
        async with tenant_transaction(pool, uuid4()) as tx:
            assert await tx.fetchval(count) == 0, table
        assert await pool.fetchval(count) == 0, table


@pytest.mark.security("S6")
async def test_the_worker_role_reads_nothing_sealed(world: World) -> None:
    for query in (
        "SELECT sealed FROM enrollment",
        "SELECT sealed FROM authenticator",
        "SELECT sealed FROM hardware_token",
        "SELECT sealed FROM import_part",
        "SELECT digest FROM known_secret",
        "SELECT file_digest FROM authenticator_import",
        "SELECT wrapped FROM data_key",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.plumbing.worker_pool.fetch(query)


@pytest.mark.security("S6")
async def test_another_tenant_finds_nothing(world: World) -> None:
    ours, theirs = await world.application(), await world.application()
    person = world.person(ours.tenant)
    begun = await world.start(ours, person)
    enrolled = await world.enroll(ours, person)
    calls: list[tuple[str, str, object]] = [
        ("GET", f"/v1/enrollments/{begun.enrollment_id}", None),
        (
            "POST",
            f"/v1/enrollments/{begun.enrollment_id}/confirmation",
            {"code": world.code(begun)},
        ),
        ("GET", f"/v1/authenticators/{enrolled.authenticator_id}", None),
        ("DELETE", f"/v1/authenticators/{enrolled.authenticator_id}", None),
        ("POST", "/v1/authenticators/search", {"subject": person.name}),
    ]

    for method, path, body in calls:
        answer = await world.ask(theirs, method, path, body)
        assert answer.status_code == 404, path

    path = f"/v1/authenticators/{enrolled.authenticator_id}"
    assert (await world.ask(ours, "GET", path)).json()["status"] == "active"
    assert world.neighbours.revoked == []


@pytest.mark.security("S6")
async def test_another_application_cannot_confirm_but_can_list(world: World) -> None:
    ours = await world.application()
    sister = await world.application(tenant=ours.tenant)
    person = world.person(ours.tenant)
    begun = await world.start(ours, person)

    answer = await world.confirm(sister, begun, world.code(begun))

    assert answer.status_code == 404
    enrolled = await world.enroll(ours, person)
    found = await world.ask(sister, "POST", "/v1/authenticators/search", {"subject": person.name})
    [one] = found.json()["authenticators"]
    assert one["authenticator_id"] == enrolled.authenticator_id


async def test_without_a_key_nothing_is_answered(world: World) -> None:
    answer = await world.public.post("/v1/enrollments", json={})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_keeps_copies_of_applications_and_policies(world: World) -> None:
    application = await world.application(factors=())
    person = world.person(application.tenant)
    body = {"subject": person.name, "factor": "totp"}
    tenant, about = application.tenant, application.application_id
    policy = PolicyState(
        application_id=about,
        version=2,
        deleted=False,
        requirement=Requirement.REQUIRED,
        factors=(Factor.TOTP,),
    )
    gone = ApplicationState(application_id=about, version=2, deleted=True, name="", keys=())
    handlers = world.parts.events.handlers()
    before = await world.ask(application, "POST", "/v1/enrollments", body)

    event = about_application(
        POLICY_STATE, policy, tenant=tenant, application_id=about, now=world.clock()
    )
    async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
        await handlers[POLICY_STATE.name](tx, event)
    allowed = await world.ask(application, "POST", "/v1/enrollments", body)
    event = about_application(
        APPLICATION_STATE, gone, tenant=tenant, application_id=about, now=world.clock()
    )
    async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
        await handlers[APPLICATION_STATE.name](tx, event)
    deleted = await world.ask(application, "POST", "/v1/enrollments", body)

    statuses = [answer.status_code for answer in (before, allowed, deleted)]
    assert statuses == [403, 201, 401]
    with pytest.raises(InvalidEvent):
        async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
            await handlers[POLICY_STATE.name](tx, event)


async def test_is_ready_without_its_neighbours(world: World) -> None:
    world.neighbours.policy_down = world.neighbours.verification_down = True

    answer = await world.internal.get("/health/ready")

    assert answer.status_code == 200
