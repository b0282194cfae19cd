"""All comparisons by name, and their running one after another."""

import secrets
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.verify.comparisons.busy import busy
from bench.verify.comparisons.cluster import cluster
from bench.verify.comparisons.floor import floor
from bench.verify.comparisons.found import Found
from bench.verify.comparisons.kafka_down import kafka_down
from bench.verify.comparisons.million import million
from bench.verify.comparisons.stage import Stage, open_stage
from bench.verify.comparisons.telemetry import telemetry
from bench.verify.comparisons.two_processes import two_processes
from bench.verify.costs import Others
from bench.verify.people import People
from bench.verify.plan import Comparison
from bench.verify.target import NotAsExpected
from deploy.local.process import LocalServerError, Progress

# On the same servers, in this order: what leaves most behind in the tables comes last.
_ON_ONE_STAGE: Mapping[str, Callable[[Stage], Coroutine[None, None, Found]]] = {
    "busy_p99_vs_noop_p50": busy,
    "floor_vs_noop": floor,
    "telemetry_on_vs_off": telemetry,
    "cluster_vs_single": cluster,
    "two_processes_vs_one": two_processes,
    "kafka_down_p99": kafka_down,
}
_MILLION = "million_vs_thousand"
COMPARISONS = (*_ON_ONE_STAGE, _MILLION)
# What ends one measurement and not the others.
FAILURES = (NotAsExpected, LocalServerError, TimeoutError)
Tell = Callable[[str, Found | Exception], None]


async def compare(
    names: Sequence[str],
    plan: Comparison,
    settings: Mapping[str, str],
    *,
    say: Progress,
    tell: Tell,
) -> None:
    """Make these comparisons, and tell of each what it found or why it found nothing."""
    together = [name for name in _ON_ONE_STAGE if name in names]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if together:
            people = People(plan.people, 0, 0, secrets.token_bytes(32), plan.period)
            async with open_stage(Path(folder) / "one", people, plan, settings, say) as stage:
                say("the service meets everybody")
                await stage.meet_all(stage.first)
                for name in together:
                    say(name)
                    tell(name, await _tried(_ON_ONE_STAGE[name](stage)))
        if _MILLION in names:
            say(_MILLION)
            tell(_MILLION, await _tried(million(Path(folder) / "two", plan, settings, say)))


async def _tried(comparison: Coroutine[None, None, Found]) -> Found | Exception:
    others = Others()
    try:
        found = await comparison
    except FAILURES as error:
        return error
    # More than a few hundredths, and the machine was not quiet.
    return replace(
        found, conditions={**found.conditions, "foreign_cores": round(others.cores(), 2)}
    )
