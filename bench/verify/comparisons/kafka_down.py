"""How long answers take while Kafka is frozen, beside before; and that no event is lost by it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from bench.verify.comparisons.found import Found, alternate, percentiles, ratios
from bench.verify.comparisons.stage import WIDE, Stage
from bench.verify.plan import BUSY
from bench.verify.target import NotAsExpected, Round, nothing_more
from contracts.topics import EVENTS
from libs.messaging.kafka import KafkaSettings, read_topic

_WAITING = "SELECT count(*) FROM verification.outbox"
_ANNOUNCED = "SELECT event_id FROM verification.answer WHERE at >= $1"


async def kafka_down(stage: Stage) -> Found:
    """Send the same number of requests a second with Kafka and without it, in turns."""
    began = datetime.now(UTC)
    rate = BUSY * await stage.best_rate()

    async def up() -> Round:
        done = await _arrivals(stage, rate)
        await stage.drained()
        return done

    async def down() -> Round:
        async with _frozen(stage):
            done = await _arrivals(stage, rate)
            await _refuse_announced(stage, done)
        await stage.drained()
        return done

    found = await alternate(stage.plan.rounds, {"up": up, "down": down})
    announced = await _nothing_lost(stage, since=began)
    return _figures(stage, found, rate=rate, announced=announced)


async def _arrivals(stage: Stage, rate: float) -> Round:
    await stage.fresh_codes()
    # To wait for the outbox would be to wait for Kafka.
    target = replace(stage.first, done=nothing_more)
    seconds = stage.plan.open_seconds
    return await target.arrivals(stage.right, rate=rate, at_once=WIDE, seconds=seconds)


@asynccontextmanager
async def _frozen(stage: Stage) -> AsyncIterator[None]:
    kafka = stage.running.ground.servers.kafka
    kafka.pause()
    try:
        yield
    finally:
        kafka.resume()


async def _refuse_announced(stage: Stage, done: Round) -> None:
    waiting = await stage.watcher.fetchval(_WAITING)
    if waiting < done.tally.answers or done.cost["kafka"] > 0:
        raise NotAsExpected(f"Kafka was not down: of {done.tally.answers} events {waiting} wait")
    if done.tally.unexpected:
        raise NotAsExpected(f"without Kafka: {dict(done.tally.statuses)}")


async def _nothing_lost(stage: Stage, *, since: datetime) -> int:
    expected = {row["event_id"] for row in await stage.watcher.fetch(_ANNOUNCED, since)}
    settings = KafkaSettings(stage.running.ground.servers.kafka.bootstrap_servers)
    records = read_topic(settings, EVENTS.name, start=since, follow=False)
    lost = expected - {UUID(record.headers["ce_id"]) async for record in records}
    if lost or not expected:
        raise NotAsExpected(f"of {len(expected)} events {len(lost)} are not in Kafka")
    return len(expected)


def _figures(stage: Stage, found: dict[str, list[Round]], *, rate: float, announced: int) -> Found:
    with_it, without_it = percentiles(found["up"], 99), percentiles(found["down"], 99)
    rounds = {
        "ratio": ratios(without_it, with_it),
        "up_p99_ms": with_it,
        "down_p99_ms": without_it,
        "up_p50_ms": percentiles(found["up"], 50),
        "down_p50_ms": percentiles(found["down"], 50),
    }
    conditions = {
        "requests_a_second": round(rate),
        "round_seconds": stage.plan.open_seconds,
        "down": "the broker is frozen (SIGSTOP): its connections stay open, nothing answers",
        "unexpected_answers_while_down": 0,
        "events_checked": announced,
        "events_lost": 0,
    }
    return Found(rounds, conditions)
