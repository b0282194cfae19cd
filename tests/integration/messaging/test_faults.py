from collections.abc import Callable

import pytest

from deploy.local.kafka import Kafka
from libs.messaging.kafka import KafkaSettings
from tests.fixtures.servers import Database
from tests.integration.messaging import runs
from tests.integration.messaging.bench import Bench, open_bench

Record = Callable[[str, object], None]


@pytest.mark.fault("R19")
async def test_no_commit_order_loses_or_swaps_events(bench: Bench, record_property: Record) -> None:
    numbers = await runs.commit_order_run(bench, writers=30, rounds=12, keys=8)

    record_property("numbers", numbers)
    assert numbers["written"] > 250
    assert (numbers["lost"], numbers["never_committed"], numbers["order_violations"]) == (0, 0, 0)
    assert numbers["duplicates"] == 0


@pytest.mark.fault("R18")
async def test_a_relay_that_dies_between_sending_and_deleting_loses_nothing(
    bench: Bench, record_property: Record
) -> None:
    numbers = await runs.relay_death_run(bench, deaths=3)

    record_property("numbers", numbers)
    assert (numbers["lost"], numbers["order_violations"]) == (0, 0)
    assert numbers["duplicates"] > 0


@pytest.mark.fault("R18")
async def test_two_active_relays_lose_and_swap_nothing(
    bench: Bench, record_property: Record
) -> None:
    numbers = await runs.lease_theft_run(bench, thefts=3)

    record_property("numbers", numbers)
    assert numbers["thefts"] >= 2
    assert (numbers["lost"], numbers["order_violations"]) == (0, 0)


@pytest.mark.fault("R16")
async def test_a_broker_killed_and_frozen_loses_nothing(
    database: Database, own_kafka: Kafka, record_property: Record
) -> None:
    async with open_bench(database, KafkaSettings(own_kafka.bootstrap_servers)) as bench:
        numbers = await runs.broker_fault_run(bench, own_kafka, rounds=1, frozen=6)

    record_property("numbers", numbers)
    assert (numbers["lost"], numbers["order_violations"]) == (0, 0)
    assert (numbers["without_effect"], numbers["twice"]) == (0, 0)


@pytest.mark.fault("R20")
async def test_killed_and_frozen_consumers_leave_each_effect_once(
    bench: Bench, record_property: Record
) -> None:
    numbers = await runs.zombie_run(bench, rounds=1, frozen=8)

    record_property("numbers", numbers)
    assert numbers["written"] > 100
    assert (numbers["without_effect"], numbers["twice"]) == (0, 0)


@pytest.mark.fault("R21")
async def test_repeats_and_a_whole_replay_change_nothing(
    bench: Bench, record_property: Record
) -> None:
    numbers = await runs.replay_run(bench, events=200)

    record_property("numbers", numbers)
    assert (numbers["without_effect"], numbers["twice"], numbers["changed"]) == (0, 0, 0)
    assert numbers["dropped"] >= 400
