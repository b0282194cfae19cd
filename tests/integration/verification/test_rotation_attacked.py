"""What an attack on the replacing of keys found."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from libs.sealing.data_keys import DataKeys
from libs.sealing.providers import KeyProvider, Wrapped
from libs.sealing.rotation_store import Kind
from libs.sealing.sealed_columns import Sealed
from libs.sealing.trouble import KeyDestroyed
from services.verification.domain.places import CREDENTIAL
from services.verification.reserve import Cache, open_redis
from services.verification.use_cases.sealed import sealed_by
from tests.fixtures.rotating import AT_ONCE, ask, rotation_of, states, work_through
from tests.integration.verification.test_key_rotation import Rotating, rotating

__all__ = ["rotating"]
pytestmark = pytest.mark.fault("R29")


async def test_a_copy_of_a_key_that_was_destroyed_is_read_again(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    person = await world.person(application.tenant)
    first = await world.verify(application, person, world.code(person, steps=-1))
    # Redis is told nothing.
    nowhere = open_redis("redis://127.0.0.1:9", timeout=timedelta(milliseconds=50))
    budget = world.parts.door.verify.guesses._budget
    rotation = rotation_of(
        world.plumbing, sealed_by(world.plumbing.app_pool, Cache(nowhere, budget))
    )
    await rotating.ask()
    await work_through(rotation)
    await rotating.behind.execute(
        "UPDATE data_key SET retired = retired - $1::interval", AT_ONCE.kept_for
    )
    await rotating.behind.execute("UPDATE key_rotation SET due = now()")
    await work_through(rotation)
    await world.plumbing.data_keys.close()
    await nowhere.aclose()

    after = await world.verify(application, person, world.code(person))

    assert (first.status_code, after.status_code) == (200, 200), after.text


async def test_the_rotation_of_a_tenant_that_is_destroyed_ends(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    await world.person(application.tenant)
    await ask(rotating.behind, Kind.DATA, [CREDENTIAL])
    rotation = rotation_of(world.plumbing, rotating.sealed)
    for _ in range(2):
        await rotation.round()
    await rotating.behind.execute("DELETE FROM data_key WHERE tenant_id = $1", application.tenant)

    await work_through(rotation)

    assert {state for _, state in await states(rotating.behind)} == {"done"}


@dataclass(frozen=True)
class _Destroying:
    """A provider during whose answer a tenant's keys are destroyed."""

    provider: KeyProvider
    rotating: Rotating
    name: str

    async def newest_version(self) -> int:
        return await self.provider.newest_version()

    async def unwrap(self, wrapped: Wrapped, *, place: Sequence[str]) -> bytes:
        return await self.provider.unwrap(wrapped, place=place)

    async def wrap(self, key: bytes, *, place: Sequence[str]) -> Wrapped:
        await self.rotating.behind.execute("DELETE FROM data_key")
        return await self.provider.wrap(key, place=place)


async def test_what_is_destroyed_gets_no_new_key(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    await world.person(application.tenant)
    provider = world.plumbing.key_provider
    await ask(rotating.behind, Kind.DATA, [CREDENTIAL])
    destroying = _Destroying(provider, rotating, provider.name)

    await rotation_of(replace(world.plumbing, key_provider=destroying), rotating.sealed).round()

    with pytest.raises(KeyDestroyed):
        await DataKeys(world.plumbing.app_pool, provider).newest(
            tenant=application.tenant, purpose=CREDENTIAL
        )


async def test_who_is_asked_to_stop_stops_between_portions(rotating: Rotating) -> None:
    world, everybody = rotating.world, 12
    application = await world.application()
    for _ in range(everybody):
        await world.person(application.tenant)
    await ask(rotating.behind, Kind.DATA, [CREDENTIAL])
    small = Sealed([replace(one, at_once=1) for one in rotating.sealed.columns])
    pace = replace(AT_ONCE, between_portions=timedelta(milliseconds=50))
    rotation, stop = rotation_of(world.plumbing, small, pace), asyncio.Event()

    working = asyncio.create_task(rotation.run(stop))
    async with asyncio.timeout(20):
        while not await rotating.behind.fetchval("SELECT resealed FROM key_rotation"):  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    stop.set()
    await working

    moved = await rotating.behind.fetchval("SELECT resealed FROM key_rotation")
    assert 0 < moved < everybody
    await work_through(rotation_of(world.plumbing, small))
    assert {state for _, state in await states(rotating.behind)} == {"retired"}
