"""The parts of a process that are the same in every service: relay, consumer, checks, readings."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
from starlette.types import ASGIApp

from libs.messaging.consumer import ConsumerHealth, ConsumerSettings, Handler, run_consumer
from libs.messaging.kafka import KafkaSettings, Producer
from libs.messaging.relay import RelayHealth, run_relay
from libs.process import Part
from libs.sealing.rotation import Rotation
from libs.sealing.sealed_columns import Sealed
from libs.sealing.sweep import Keyring
from libs.service.main import Roles
from libs.service.plumbing import Plumbing
from libs.service.settings import ServiceSettings
from libs.web.health import Check
from libs.web.server import http_part


@dataclass(frozen=True)
class MessagingHealth:
    """How the relay and the consumers of this process are; one consumer for each group."""

    relay: RelayHealth = field(default_factory=RelayHealth)
    consumers: dict[str, ConsumerHealth] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def readings(self) -> dict[str, float]:
        """Return what the metrics show: of all consumers the sum, and of their age the worst."""
        consumers = self.consumers.values()
        return {
            "relay_active": self.relay.active,
            "relay_backlog": self.relay.backlog,
            "relay_oldest_seconds": self.relay.oldest_age.total_seconds(),
            "relay_sent": self.relay.sent,
            "relay_failures": self.relay.failures,
            "consumer_handled": sum(one.handled for one in consumers),
            "consumer_parked": sum(one.parked for one in consumers),
            "consumer_dead": sum(one.dead for one in consumers),
            "consumer_lag": sum(one.lag for one in consumers),
            # How old this service's copies may be: it grows while Kafka is down.
            "consumer_silent_seconds": (datetime.now(UTC) - self.heard).total_seconds(),
        }

    @property
    def heard(self) -> datetime:
        """Return when the most silent consumer last asked Kafka with success, or when it began."""
        polls = [one.last_poll or self.began for one in self.consumers.values()]
        return min(polls, default=self.began)


def standard_roles(
    plumbing: Plumbing,
    settings: ServiceSettings,
    health: MessagingHealth,
    *,
    internal: ASGIApp,
    public: ASGIApp | None,
    api: Sequence[Part] = (),
    consumer: Sequence[Part] = (),
) -> Roles:
    """Return what runs in each role; `api` and `consumer` are what a service adds to its own."""
    listener = http_part(internal, host=settings.internal_host, port=settings.internal_port)
    front = [] if public is None else [http_part(public, host=settings.host, port=settings.port)]
    return {
        "every": [listener],
        "api": [*front, *api],
        "consumer": consumer,
        "relay": [_relay_part(plumbing, settings, health)],
    }


def _relay_part(plumbing: Plumbing, settings: ServiceSettings, health: MessagingHealth) -> Part:

    async def relay(stop: asyncio.Event) -> None:
        producer = Producer(_kafka(plumbing, settings))
        try:
            await run_relay(
                plumbing.worker_pool,
                producer,
                service=plumbing.service,
                stop=stop,
                health=health.relay,
            )
        finally:
            await producer.close()

    return relay


def consumer_parts(
    plumbing: Plumbing,
    settings: ServiceSettings,
    health: MessagingHealth,
    *,
    groups: Mapping[str, Sequence[str]],
    handlers: Mapping[str, Handler],
    compacted: frozenset[str],
) -> list[Part]:
    """Return the parts that hand events to the service: a consumer for each group's topics.

    `compacted` are those topics where an empty record only says that the key's state is gone.
    """
    kafka = _kafka(plumbing, settings)

    def part(group: str, topics: Sequence[str]) -> Part:
        own = health.consumers.setdefault(group, ConsumerHealth())

        async def consume(stop: asyncio.Event) -> None:
            await run_consumer(
                app_pool=plumbing.app_pool,
                worker_pool=plumbing.worker_pool,
                kafka=kafka,
                group=group,
                topics=topics,
                # All of them: what an earlier release parked under another group is still tried.
                handlers=handlers,
                stop=stop,
                health=own,
                settings=ConsumerSettings(compacted=compacted),
            )

        return consume

    return [part(group, topics) for group, topics in groups.items()]


def rotation_part(plumbing: Plumbing, sealed: Sealed) -> Part:
    """Return the part that replaces keys when an operator asks for it."""
    keyring = Keyring(
        plumbing.app_pool, plumbing.worker_pool, plumbing.data_keys, plumbing.key_provider
    )
    return Rotation(keyring, sealed).run


def database_check(plumbing: Plumbing) -> Mapping[str, Check]:
    """Return the check without which nothing works.

    Kafka is no condition: what is to be announced waits in the outbox.
    """

    async def database() -> str | None:
        try:
            await plumbing.app_pool.fetchval("SELECT 1", timeout=2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            return type(error).__name__
        return None

    return {"database": database}


def _kafka(plumbing: Plumbing, settings: ServiceSettings) -> KafkaSettings:
    return KafkaSettings(bootstrap=settings.kafka_bootstrap, client_id=plumbing.service)
