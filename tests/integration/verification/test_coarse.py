"""Limits over many subjects: one source, tenant, application, or what the caller names."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from contracts.vocabulary import Scope
from services.verification.domain.coarse import Limit, Limits
from services.verification.script_calls import CacheDown
from tests.fixtures.servers import RunningServers
from tests.integration.verification.conftest import (
    Application,
    Person,
    World,
    reason_of,
    running_world,
)

REASONS = (Scope.VERIFY, Scope.VERIFY_REASONS)
WIDE = Limit(10_000, 100_000)
SOURCE = "203.0.113.7"


async def guess(
    world: World, application: Application, person: Person, code: str, **more: object
) -> httpx2.Response:
    return await world.public.post(
        "/v1/verify",
        json={"subject": person.name, "code": code, **more},
        headers={"Authorization": f"Bearer {application.key}"},
    )


def limit(world: World, **limits: Limit) -> None:
    """Give this process other limits."""
    wanted = {"tenant": WIDE, "application": WIDE, "source": WIDE, **limits}
    object.__setattr__(world.parts.door.verify, "limits", Limits(**wanted))


@pytest.fixture
async def second(world: World, servers: RunningServers, tmp_path: Path) -> AsyncIterator[World]:
    """Another process on the same database and Redis."""
    async with running_world(world.stored, servers.valkey_url, tmp_path) as other:
        yield other


@pytest.mark.security("S2")
async def test_a_source_that_tries_one_code_on_many_is_stopped(world: World, second: World) -> None:
    application = await world.application(scopes=REASONS)
    crowd = [await world.person(application.tenant) for _ in range(60)]
    for process in (world, second):
        limit(process, source=Limit(20, 40))

    answers = await asyncio.gather(
        *(
            guess(process, application, person, process.wrong_code(person), source=SOURCE)
            for process, half in ((world, crowd[:30]), (second, crowd[30:]))
            for person in half
        )
    )
    elsewhere = await guess(
        world, application, crowd[0], world.code(crowd[0]), source="2001:db8::1"
    )

    assert Counter(map(reason_of, answers)) == {"wrong_code": 20, "limit": 40}
    failed = [(await world.events(person)).count("mfa.verification_failed") for person in crowd]
    assert sum(failed) == 20
    assert elsewhere.status_code == 200


@pytest.mark.parametrize("of", ["tenant", "application"])
@pytest.mark.security("S2")
async def test_a_tenant_and_an_application_have_limits_of_their_own(world: World, of: str) -> None:
    application = await world.application(scopes=REASONS)
    crowd = [await world.person(application.tenant) for _ in range(15)]
    limit(world, **{of: Limit(10, 20)})

    reasons = Counter(
        [
            reason_of(await guess(world, application, person, world.wrong_code(person)))
            for person in crowd
        ]
    )
    other = await world.application(
        scopes=REASONS, tenant=application.tenant if of == "application" else None
    )
    unhurt = await world.person(other.tenant)

    assert reasons == {"wrong_code": 10, "limit": 5}
    assert (await guess(world, other, unhurt, world.code(unhurt))).status_code == 200


async def test_right_codes_use_no_limit_up(world: World) -> None:
    application = await world.application(scopes=REASONS)
    crowd = [await world.person(application.tenant) for _ in range(40)]
    limit(world, source=Limit(10, 10))

    answers = [
        await guess(world, application, person, world.code(person), source=SOURCE)
        for person in crowd
    ]

    assert {answer.status_code for answer in answers} == {200}


async def test_what_is_left_of_a_lease_goes_back(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)

    await guess(world, application, person, world.code(person))
    await world.parts.coarse._return(float("inf"))

    keys = await world.redis.keys(f"b:?/{application.tenant}*")
    levels = [float(await world.redis.hget(key, "s") or -1) for key in keys]
    assert len(levels) == 2
    assert all(0 <= level < 0.1 for level in levels)


@pytest.mark.security("S2")
async def test_a_caller_may_name_limits(world: World) -> None:
    application = await world.application(scopes=REASONS)
    crowd = [await world.person(application.tenant) for _ in range(6)]
    own = [{"name": "form-7", "guesses": 4, "seconds": 3600}]

    reasons = [
        reason_of(await guess(world, application, person, world.wrong_code(person), limits=own))
        for person in crowd
    ]
    other = [{"name": "form-8", "guesses": 4, "seconds": 3600}]
    answer = await guess(world, application, crowd[5], world.code(crowd[5]), limits=other)

    assert reasons == ["wrong_code"] * 4 + ["limit"] * 2
    assert answer.status_code == 200


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "more",
    [
        {"source": "nowhere"},
        {"source": 5},
        {"source": "203.0.113.7 "},
        {"limits": [{"name": "a b", "guesses": 1, "seconds": 1}]},
        {"limits": [{"name": "a", "guesses": 0, "seconds": 1}]},
        {"limits": [{"name": "a", "guesses": "1", "seconds": 1}]},
        {"limits": [{"name": "a", "guesses": 1, "seconds": 1, "x": 1}]},
        {"limits": [{"name": str(n), "guesses": 1, "seconds": 1} for n in range(5)]},
    ],
)
async def test_malformed_limits_are_refused(world: World, more: dict[str, object]) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await guess(world, application, person, world.code(person), **more)

    assert answer.status_code == 422
    assert "203.0.113.7" not in answer.text


@pytest.mark.security("S14")
async def test_no_address_and_no_name_lies_in_redis(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    own = [{"name": "form-of-ann", "guesses": 4, "seconds": 3600}]

    await guess(world, application, person, world.wrong_code(person), source=SOURCE, limits=own)

    keys = " ".join(map(str, await world.redis.keys("b:*")))
    assert keys.count(str(application.tenant)) >= 4
    assert SOURCE not in keys
    assert "form-of-ann" not in keys


async def test_without_redis_there_are_no_such_limits(world: World) -> None:
    application = await world.application(scopes=REASONS)
    crowd = [await world.person(application.tenant) for _ in range(12)]
    limit(world, tenant=Limit(10, 10))
    world.cache._is_safe = False

    async def away(*_places: object, **_named: object) -> int:
        raise CacheDown("away")

    world.cache.charge_coarse = away  # type: ignore[method-assign]
    reasons = Counter(
        [
            reason_of(await guess(world, application, person, world.wrong_code(person)))
            for person in crowd
        ]
    )

    assert reasons == {"wrong_code": 12}


@pytest.mark.fault("R35")
async def test_a_flood_at_one_locked_person_uses_no_limit_up(world: World) -> None:
    application = await world.application(scopes=REASONS)
    locked, other = [await world.person(application.tenant) for _ in range(2)]
    await world.rows(
        "UPDATE subject SET consecutive = 50 WHERE id = $1 RETURNING id", locked.subject_ref
    )
    limit(world, tenant=Limit(10, 10))

    flood = [
        reason_of(await guess(world, application, locked, world.wrong_code(locked)))
        for _ in range(30)
    ]

    assert set(flood) == {"locked"}
    assert (await guess(world, application, other, world.code(other))).status_code == 200


@pytest.mark.fault("R12")
async def test_an_outage_uses_no_limit_up(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    await guess(world, application, person, world.code(person, steps=-1))
    limit(world, tenant=Limit(10, 10))

    async def down(*_places: object) -> None:
        raise OSError("down")

    settler = world.parts.settler
    settle, settler.settle = settler.settle, down  # type: ignore[method-assign, assignment]
    outage = [await guess(world, application, person, world.wrong_code(person)) for _ in range(30)]
    settler.settle = settle  # type: ignore[method-assign]
    application = await world.application(scopes=REASONS, tenant=application.tenant)
    other = await world.person(application.tenant)

    assert {answer.status_code for answer in outage} <= {503, 403}
    assert (await guess(world, application, other, world.code(other))).status_code == 200
