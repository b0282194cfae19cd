"""Logins at full load while keys are replaced by workers that are killed at random."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from libs.sealing.rotation import Rotation
from libs.sealing.rotation_store import Kind
from libs.sealing.sealed_columns import Sealed
from tests.fixtures.rotating import ask, rows_behind, states
from tests.integration.verification.conftest import Application, Person, World

_STEP = timedelta(seconds=30)


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
    seed: int
    killed: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Kill at random until asked to stop, then let nobody go on."""
        chance = random.Random(self.seed)
        working = [asyncio.create_task(one.run(stop)) for one in self.rotations]
        for number in itertools.cycle(range(len(working))):
            await asyncio.sleep(chance.uniform(0.02, 0.2))
            if stop.is_set():
                break
            working[number].cancel()
            with suppress(asyncio.CancelledError):
                await working[number]
            self.killed += 1
            working[number] = asyncio.create_task(self.rotations[number].run(stop))
        await asyncio.gather(*working)


async def finished(world: World, sealed: Sealed) -> None:
    """Return when all rotations that were asked for are over and nothing is left behind."""
    behind = await world.stored.superuser()
    try:
        while True:
            if {state for _, state in await states(behind)} <= {"done", "retired"}:
                break
            await asyncio.sleep(0.02)
        assert await rows_behind(behind, sealed) == 0
    finally:
        await behind.close()


async def ask_for(world: World, sealed: Sealed, kind: Kind) -> None:
    """Ask for new keys of all purposes of all tenants."""
    purposes = [*sealed.purposes, *(one.purpose for one in sealed.kept)]
    behind = await world.stored.superuser()
    try:
        await ask(behind, kind, sealed.purposes if kind is Kind.DATA else purposes)
    finally:
        await behind.close()
