"""Logins at full load while keys are replaced by workers that are killed at random."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from libs.sealing.data_keys import DataKeys, KeyAges
from libs.sealing.kept import Ages
from libs.sealing.key_file import add_key
from libs.sealing.rotation import Rotation
from libs.sealing.rotation_store import Kind
from libs.sealing.sealed_columns import Sealed
from libs.sealing.trouble import KeyRetired
from services.verification.domain.places import CREDENTIAL
from services.verification.use_cases.sealed import sealed_by
from tests.fixtures.rotating import (
    AT_ONCE,
    ask,
    rotation_of,
    rows_behind,
    states,
    with_small_portions,
)
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.runs import Numbers

_STEP = timedelta(seconds=30)
# As in the product, a hundred times as fast.
AGES = KeyAges(
    open=Ages(timedelta(seconds=3), timedelta(seconds=9)),
    newest=Ages(timedelta(seconds=0.1), timedelta(seconds=0.3)),
)
PACE = replace(AT_ONCE, adopted_after=timedelta(seconds=0.6), lease=timedelta(seconds=0.1))


@dataclass
class Load:
    """Logins of many people, as many at once as there are lanes, until told to stop."""

    world: World
    application: Application
    people: Sequence[Person]
    lanes: int = 8
    answers: Counter[str] = field(default_factory=Counter)

    async def run(self, stop: asyncio.Event) -> None:
        """Log everybody in once in each step of their codes, and let the steps follow at once."""
        while not stop.is_set():
            await asyncio.gather(*(self._lane(n) for n in range(self.lanes)))
            self.world.clock.forward(_STEP)

    async def _lane(self, number: int) -> None:
        for person in self.people[number :: self.lanes]:
            code = self.world.code(person)
            answer = await self.world.verify(self.application, person, code)
            said = "" if answer.status_code == 200 else f" {answer.json()['code']}"
            self.answers[f"{answer.status_code}{said}"] += 1


@dataclass
class Killings:
    """Workers that rotate keys; one after another is killed and begun anew."""

    rotations: Sequence[Rotation]
    killed: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Kill at random until asked to stop, then let nobody go on."""
        working = [asyncio.create_task(one.run(stop)) for one in self.rotations]
        for number in itertools.cycle(range(len(working))):
            await asyncio.sleep(random.uniform(0.02, 0.2))
            if stop.is_set():
                break
            working[number].cancel()
            with suppress(asyncio.CancelledError):
                await working[number]
            self.killed += 1
            working[number] = asyncio.create_task(self.rotations[number].run(stop))
        await asyncio.gather(*working)


async def rotation_run(world: World, file: Path, *, people: int, kinds: Sequence[Kind]) -> Numbers:
    """Replace keys of one kind after the other at full load; `file` is the provider's."""
    application = await world.application()
    enrolled = [await world.person(application.tenant) for _ in range(people)]
    sealed = sealed_by(world.plumbing.app_pool, world.cache)
    rotations = [rotation_of(world.plumbing, with_small_portions(sealed), PACE) for _ in range(3)]
    killings, load = Killings(rotations), Load(world, application, enrolled)
    stop = asyncio.Event()
    running = [asyncio.create_task(part.run(stop)) for part in (killings, load)]
    left = 0
    for kind in kinds:
        if kind is Kind.WRAPPING:
            add_key(file)
        left += await _replaced(world, sealed, kind)
    stop.set()
    await asyncio.gather(*running)
    return {
        "logins": load.answers.total(),
        "logins_failed": load.answers.total() - load.answers["200"],
        "rotations": len(kinds),
        "workers_killed": killings.killed,
        "rows_left_on_old_keys": left,
        "retired_keys_that_open": await _retired_that_open(world, application.tenant),
    }


async def _replaced(world: World, sealed: Sealed, kind: Kind) -> int:
    """Ask for new keys, wait until they are there; returns how many rows are left on others."""
    purposes = [*sealed.purposes, *(one.purpose for one in sealed.kept)]
    behind = await world.stored.superuser()
    try:
        await ask(behind, kind, sealed.purposes if kind is Kind.DATA else purposes)
        while True:
            if {state for _, state in await states(behind)} <= {"done", "retired"}:
                return await rows_behind(behind, sealed)
            await asyncio.sleep(0.02)
    finally:
        await behind.close()


async def _retired_that_open(world: World, tenant: UUID) -> int:
    keys = DataKeys(world.plumbing.app_pool, world.plumbing.key_provider)
    newest = await keys.newest(tenant=tenant, purpose=CREDENTIAL)
    opened = 0
    for version in range(1, newest.version):
        with suppress(KeyRetired):
            await keys.version(tenant=tenant, purpose=CREDENTIAL, version=version)
            opened += 1
    await keys.close()
    return opened
