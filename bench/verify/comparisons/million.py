"""What a verification costs with a million people enrolled, beside a thousand."""

import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.verify import asks
from bench.verify.apis import noop_target
from bench.verify.comparisons.found import Found, Turn, alternate, costs, ratios
from bench.verify.comparisons.stage import WIDE, Stage, open_stage, until
from bench.verify.people import People, TakeTurn, Turns, limited, sparing
from bench.verify.plan import MIDDLE, Comparison
from bench.verify.target import SYSTEM, NotAsExpected, Round
from deploy.local.process import Progress

_PARTS: Mapping[str, tuple[str, ...]] = {
    "service": ("service",),
    "postgres": ("postgres",),
    "valkey": ("valkey",),
    "system": SYSTEM,
}
_LONGEST = 60.0
_MIB = 2**20
_SIZE = """
SELECT pg_total_relation_size('verification.subject')
    + pg_total_relation_size('verification.authenticator')
"""
# After some seconds without work a core is slower than in the midst of it.
_HEAT_SECONDS = 0.4


@dataclass(frozen=True)
class Crowd:
    """People of one system: some who are asked for again and again, and anybody else."""

    stage: Stage
    again: Turns
    anybody: TakeTurn


async def million(
    folder: Path, plan: Comparison, settings: Mapping[str, str], say: Progress
) -> Found:
    """Start two systems with servers of their own, and load them in turns."""
    async with AsyncExitStack() as stack:
        few, many = [
            await stack.enter_async_context(
                open_stage(
                    folder / str(count),
                    _people(plan, count),
                    plan,
                    settings,
                    say,
                    postgres=plan.postgres,
                )
            )
            for count in (plan.few, plan.many)
        ]
        return await _compare(_crowd(few), _crowd(many), say)


async def _compare(few: Crowd, many: Crowd, say: Progress) -> Found:
    plan = many.stage.plan
    say(f"the service meets {plan.met:,} people, more than it remembers")
    await _load(many, limited(many.anybody, plan.met))
    for crowd in (few, many):
        await _load(crowd, limited(crowd.again.take_new, plan.few))
    memory = {"before": _memory(many)}
    say(f"{plan.few:,} requests to each in turns, whenever there are new codes")
    turns = {"few": _again(few), "again": _again(many), "anybody": _anybody(many)}
    found = await alternate(plan.rounds, turns)
    say("the memory is watched while more and more people are asked for")
    watched = await _load(many, many.anybody, seconds=plan.memory_seconds)
    memory |= {"after": _memory(many), "few": _memory(few)}
    asked = sum(one.tally.answers for one in (*found["again"], *found["anybody"], watched))
    tables = await many.stage.watcher.fetchval(_SIZE) / _MIB
    return _figures(found, memory, _conditions(plan, asked=asked, tables=tables))


def _people(plan: Comparison, count: int) -> People:
    return People(count, full=0, wrong=0, seed=secrets.token_bytes(32), period=plan.period)


def _crowd(stage: Stage) -> Crowd:
    # Of the many as many as there are few, spread evenly over the tables.
    every = stage.people.count // stage.plan.few
    again = Turns(range(0, stage.people.count, every), period=stage.people.period)
    return Crowd(stage, again, sparing(stage.turns.take_new, every=every))


async def _load(crowd: Crowd, take: TakeTurn, *, seconds: float = _LONGEST) -> Round:
    return await crowd.stage.first.closed(crowd.stage.taking(take), at_once=WIDE, seconds=seconds)


def _again(crowd: Crowd) -> Turn:
    async def burst() -> Round:
        await until(lambda: crowd.again.has(crowd.stage.plan.few))
        return await _burst(crowd.stage, crowd.again.take)

    return burst


def _anybody(crowd: Crowd) -> Turn:
    async def burst() -> Round:
        return await _burst(crowd.stage, crowd.anybody)

    return burst


async def _burst(stage: Stage, take: TakeTurn) -> Round:
    count = stage.plan.few
    nothing = asks.same_each_time(stage.writer)
    await noop_target(stage.running).closed(nothing, at_once=MIDDLE, seconds=_HEAT_SECONDS)
    some = stage.taking(limited(take, count))
    done = await stage.first.closed(some, at_once=MIDDLE, seconds=_LONGEST)
    if done.tally.answers != count:
        raise NotAsExpected(f"{done.tally.answers} of {count} people had a code")
    return done


def _memory(crowd: Crowd) -> float:
    return float(psutil.Process(crowd.stage.running.api.pid).memory_info().rss) / _MIB


def _figures(
    found: dict[str, list[Round]], memory: Mapping[str, float], conditions: Mapping[str, object]
) -> Found:
    rounds: dict[str, list[float]] = {}
    for name, parts in _PARTS.items():
        few = costs(found["few"], *parts)
        rounds |= {
            name: ratios(costs(found["anybody"], *parts), few),
            f"{name}_same_people": ratios(costs(found["again"], *parts), few),
            f"few_{name}_us": few,
        }
    rounds |= {
        "memory": [memory["after"] / memory["few"]],
        "memory_mib": [memory["after"]],
        "memory_growth_mib": [memory["after"] - memory["before"]],
        "few_memory_mib": [memory["few"]],
    }
    return Found(rounds, conditions)


def _conditions(plan: Comparison, *, asked: int, tables: float) -> dict[str, object]:
    return {
        "people": plan.many,
        "people_few": plan.few,
        "period_seconds": plan.period,
        "postgres": dict(plan.postgres),
        "tables_and_indexes_mib": round(tables),
        "connections": MIDDLE,
        "requests_a_round": plan.few,
        "warm": "Valkey holds everybody, filled by the service's own call and not by requests;"
        f" {plan.met} people were asked for before, so that the names in memory are as many as"
        " they become",
        "anybody": "each request another person, spread over all; the process does not remember"
        " the name, and reads it from PostgreSQL",
        "same_people": f"{plan.few} of all, spread over the tables, whose names it remembers",
        "memory_growth_over_requests": asked,
    }
