"""R28: the provider of keys is away, slow, refuses, or a tenant's keys are destroyed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from libs.postgres.pool import Pool
from libs.sealing.data_keys import DataKeys
from libs.sealing.providers import KeyProvider
from libs.sealing.vault_transit import TransitKey, VaultTransit
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.fixtures.vault import TOKEN, SimulatedVault
from tests.integration.verification.conftest import Application, Person, World, running_world

MINUTE = 60.0


@dataclass
class Locked:
    """A verification whose keys Vault wraps, and the clock by which open keys get old."""

    world: World
    vault: SimulatedVault
    clock: "KeyClock"

    async def somebody(self) -> tuple[Application, Person]:
        """Return an application and somebody who has just logged in."""
        application = await self.world.application()
        person = await self.world.person(application.tenant)
        assert (await self.log_in(application, person)).status_code == 200
        return application, person

    async def asked(self, times: int) -> None:
        """Return when Vault was asked so often."""
        async with asyncio.timeout(10):
            while True:
                if len(self.vault.asked) >= times:
                    return
                await asyncio.sleep(0.001)

    async def log_in(self, application: Application, person: Person) -> httpx2.Response:
        """Log in with the next code."""
        self.world.clock.forward(timedelta(seconds=30))
        return await self.world.verify(application, person, self.world.code(person))


@dataclass
class KeyClock:
    """Seconds that only the test lets pass."""

    now: float = 0.0
    made: list[DataKeys] = field(default_factory=list)

    def keys(self, pool: Pool, provider: KeyProvider) -> DataKeys:
        """Return data keys that get old by this clock."""
        self.made.append(DataKeys(pool, provider, time=lambda: self.now))
        return self.made[-1]


@pytest.fixture
async def locked(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path
) -> AsyncIterator[Locked]:
    stored = await service_database("verification")
    vault, clock = SimulatedVault(), KeyClock()
    (tmp_path / "token").write_text(TOKEN)
    at = TransitKey("https://vault.test", "transit", "watchword", tmp_path / "token")
    async with httpx2.AsyncClient(transport=vault) as http:
        opened = running_world(
            stored,
            servers.valkey_url,
            tmp_path,
            patience=timedelta(seconds=10),
            provider=VaultTransit(http, at),
            keys=clock.keys,
        )
        async with opened as world:
            yield Locked(world, vault, clock)


@pytest.mark.fault("R28")
@pytest.mark.parametrize(("minutes", "status"), [(1, 200), (14, 200), (15, 503), (20, 503)])
async def test_logins_go_on_for_15_minutes_without_vault(
    locked: Locked, minutes: int, status: int
) -> None:
    application, person = await locked.somebody()
    locked.vault.down = True

    locked.clock.now += minutes * MINUTE
    answer = await locked.log_in(application, person)

    assert answer.status_code == status
    if status == 503:
        assert answer.json()["code"] == "keys_unavailable"
        assert answer.headers["Retry-After"] == "1"
    locked.vault.down = False
    assert (await locked.log_in(application, person)).status_code == 200


@pytest.mark.fault("R28")
async def test_decisions_say_what_is_wrong_with_keys_too(locked: Locked) -> None:
    application, person = await locked.somebody()
    locked.vault.down = True

    locked.clock.now += 15 * MINUTE
    answer = await locked.world.decide(application, person.name)

    assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")


@pytest.mark.fault("R28")
async def test_a_slow_vault_delays_nobody_whose_key_is_open(locked: Locked) -> None:
    application, person = await locked.somebody()
    locked.vault.slow = asyncio.Event()
    asked = len(locked.vault.asked)

    locked.clock.now += 6 * MINUTE
    answers = [await locked.log_in(application, person) for _ in range(3)]
    await locked.asked(asked + 2)
    answers += [await locked.log_in(application, person) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    # One question for each key, however many logins.
    assert len(locked.vault.asked) == asked + 2
    locked.vault.slow.set()


@pytest.mark.fault("R28")
async def test_who_comes_first_waits_for_a_slow_vault(locked: Locked) -> None:
    application, person = await locked.somebody()
    await locked.clock.made[0].close()
    asked, locked.vault.slow = len(locked.vault.asked), asyncio.Event()
    logging_in = asyncio.create_task(locked.log_in(application, person))
    await locked.asked(asked + 1)

    locked.vault.slow.set()

    assert (await logging_in).status_code == 200


@pytest.mark.fault("R28")
async def test_a_version_that_vault_opens_no_more_is_said_to_be_refused(locked: Locked) -> None:
    application, person = await locked.somebody()
    locked.vault.rotate()
    locked.vault.min_decryption_version = 2

    locked.clock.now += 15 * MINUTE
    answer = await locked.log_in(application, person)

    assert (answer.status_code, answer.json()["code"]) == (503, "key_refused")


@pytest.mark.fault("R28")
async def test_destroyed_keys_of_a_tenant_open_nothing_and_no_others_are_made(
    locked: Locked,
) -> None:
    application, person = await locked.somebody()
    other, stranger = await locked.somebody()
    await locked.world.rows("DELETE FROM data_key WHERE tenant_id = $1", application.tenant)

    locked.clock.now += 15 * MINUTE
    answer = await locked.log_in(application, person)

    assert (answer.status_code, answer.json()["code"]) == (503, "key_destroyed")
    keys = "SELECT count(*) AS keys FROM data_key WHERE tenant_id = $1"
    assert await locked.world.rows(keys, application.tenant) == [{"keys": 0}]
    assert (await locked.log_in(other, stranger)).status_code == 200


@pytest.mark.fault("R28")
async def test_nothing_is_claimed_or_stored_in_clear_without_vault(locked: Locked) -> None:
    application = await locked.world.application()
    locked.vault.down = True

    with pytest.raises(OSError, match="Vault"):
        await locked.world.person(application.tenant)

    assert await locked.world.rows("SELECT * FROM authenticator") == []
    assert await locked.world.rows("SELECT * FROM data_key") == []
    locked.vault.down = False
    await locked.world.rows("UPDATE pending_claim SET due = now()")
    await locked.world.claim_all()
    stored = await locked.world.rows("SELECT count(*) AS n FROM authenticator")
    assert stored == [{"n": 1}]


@pytest.mark.fault("R28")
async def test_a_guess_that_no_key_could_judge_costs_nothing(locked: Locked) -> None:
    application, person = await locked.somebody()
    locked.vault.down = True
    # Of the keys only the credential's is gone: a guess is charged before it is opened.
    locked.clock.now += 14 * MINUTE
    await locked.log_in(application, person)
    await locked.clock.made[0]._open.close()

    answers = [await locked.log_in(application, person) for _ in range(15)]

    assert {answer.status_code for answer in answers} == {503}
    locked.vault.down = False
    assert (await locked.log_in(application, person)).status_code == 200
