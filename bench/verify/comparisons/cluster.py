"""Verification on a Redis Cluster of three masters, beside one Valkey."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from bench.verify.apis import more_apis, service_target
from bench.verify.comparisons.found import Found, alternate, costs, ratios, refuse_idle
from bench.verify.comparisons.stage import Stage
from bench.verify.costs import Meter, used
from bench.verify.fill import fill_cache
from bench.verify.plan import MIDDLE
from bench.verify.target import NotAsExpected, Round, Target
from deploy.local.valkey import Valkey
from tests.integration.verification.grounds import own_cluster

_MASTERS = 3
_PARTS = ("service", "valkey")
# Slots are shared out evenly, and so is the work: a third each, more or less.
_LEAST_SHARE = 0.2


async def cluster(stage: Stage) -> Found:
    """Ask a process with a cluster, and one with a single Valkey, in turns."""
    async with _filled_cluster(stage) as nodes:
        url = nodes[0].url().replace("redis://", "redis+cluster://")
        async with more_apis(stage.running.ground, {"cluster": {"redis_url": url}}) as apis:
            pids = [node.pid for node in nodes]
            own = service_target(
                stage.running, list(apis.values()), done=stage.drained, valkey=pids
            )
            stage.say("the process with the cluster meets everybody")
            await stage.meet_all(own)
            shares = Meter({str(pid): [pid] for pid in pids})

            async def of_cluster() -> Round:
                before = shares.read()
                done = await _closed(stage, own)
                refuse_idle(used(before, shares.read()), least=_LEAST_SHARE)
                return done

            async def of_single() -> Round:
                return await _closed(stage, stage.first)

            turns = {"single": of_single, "cluster": of_cluster}
            return _figures(stage, await alternate(stage.plan.rounds, turns))


@asynccontextmanager
async def _filled_cluster(stage: Stage) -> AsyncIterator[Sequence[Valkey]]:
    folder = stage.running.ground.around.data / "cluster"
    async with own_cluster(folder, masters=_MASTERS) as nodes:
        url = nodes[0].url().replace("redis://", "redis+cluster://")
        await fill_cache(stage.watcher, url, stage.say)
        kept = [await _size(node) for node in nodes]
        if sum(kept) != stage.people.count:
            raise NotAsExpected(f"the masters know {kept} of {stage.people.count} people")
        yield nodes


async def _size(node: Valkey) -> int:
    async with Redis.from_url(node.url()) as redis:
        return int(await redis.dbsize())


async def _closed(stage: Stage, target: Target) -> Round:
    await stage.fresh_codes()
    return await target.closed(stage.right, at_once=MIDDLE, seconds=stage.plan.seconds)


def _figures(stage: Stage, found: dict[str, list[Round]]) -> Found:
    single, many = found["single"], found["cluster"]
    rounds = {
        "service_and_valkey": ratios(costs(many, *_PARTS), costs(single, *_PARTS)),
        **{part: ratios(costs(many, part), costs(single, part)) for part in _PARTS},
        **{f"single_{part}_us": costs(single, part) for part in _PARTS},
        **{f"cluster_{part}_us": costs(many, part) for part in _PARTS},
    }
    conditions = {
        "connections": MIDDLE,
        "round_seconds": stage.plan.seconds,
        "masters": _MASTERS,
        "replicas": 0,
    }
    return Found(rounds, conditions)
