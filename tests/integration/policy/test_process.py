import asyncio
import time

import pytest
from pydantic import SecretStr

from contracts.topics import LIVE_TOPICS
from libs.messaging.kafka import KafkaSettings, TopicSpec, ensure_topics
from libs.process import Part
from libs.service.settings import UnknownSettings
from services.policy.app import build
from tests.fixtures.servers import RunningServers
from tests.integration.policy.bench import Bench, Tenant

_PATIENCE_SECONDS = 30


@pytest.fixture
def environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in type(bench.settings).model_fields:
        value = getattr(bench.settings, name)
        if value is not None:
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            monkeypatch.setenv(f"WATCHWORD_POLICY_{name.upper()}", text)
    return monkeypatch


async def test_refuses_to_start_with_a_setting_it_does_not_know(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("WATCHWORD_POLICY_OPERATOR_KEY", "a typing error")

    with pytest.raises(UnknownSettings):
        async with build():
            pass


@pytest.mark.usefixtures("environment")
async def test_what_was_announced_gets_out_through_the_relay(
    bench: Bench, servers: RunningServers, tenant: Tenant
) -> None:
    topics = [TopicSpec(t.name, 1, t.compacted, t.retention) for t in LIVE_TOPICS]
    await ensure_topics(KafkaSettings(servers.kafka), topics)
    assert await bench.announced(tenant.tenant_id)

    async with build() as roles:
        assert {name: len(parts) for name, parts in roles.items()} == {
            "every": 1,
            "api": 1,
            "consumer": 6,
            "relay": 1,
        }
        await _run_until_nothing_waits(roles["relay"][0], bench, tenant)


async def _run_until_nothing_waits(relay: Part, bench: Bench, tenant: Tenant) -> None:
    stop, deadline = asyncio.Event(), time.monotonic() + _PATIENCE_SECONDS
    async with asyncio.TaskGroup() as group:
        group.create_task(_run(relay, stop))
        while await bench.announced(tenant.tenant_id):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        stop.set()


async def _run(part: Part, stop: asyncio.Event) -> None:
    await part(stop)
