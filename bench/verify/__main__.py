"""What one POST /v1/verify costs: processor time of every process that it needs.

python -m bench.verify [--quick] [--people N] [--rounds N] [--set NAME=VALUE ...]: starts servers
and verification of its own and writes bench/results/verify.json and verify.svg; with --quick it
only prints. `--set` gives verification a setting, such as traces_sampled=0.01.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import asyncpg
import uvloop

from bench.verify import output
from bench.verify.conditions import conditions
from bench.verify.costs import Others, on_cores, other_cores
from bench.verify.ground import open_ground, running
from bench.verify.measure import Measuring
from bench.verify.plan import FULL, QUICK, Plan
from bench.verify.report import ends, figures, median
from bench.verify.seed import seed
from bench.verify.target import NotAsExpected
from deploy.local.process import LocalServerError

# Cores; more than that, and caches and turns on the core are shared with strangers.
_QUIET = 0.2
_BEGAN = time.monotonic()


def say(message: str) -> None:
    """Tell what is done now."""
    sys.stderr.write(f"{time.monotonic() - _BEGAN:6.1f} s  {message}\n")


async def measure(plan: Plan, overrides: Mapping[str, str], *, keep: bool) -> None:
    """Measure in a folder that is deleted afterwards; print, and store if asked to `keep`."""
    people = plan.crowd(secrets.token_bytes(32))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with open_ground(Path(folder), overrides, say) as ground:
            key = await seed(ground.place, people, say)
            watcher = await asyncpg.connect(ground.superuser_dsn)
            try:
                async with running(ground) as run:
                    measuring = Measuring(plan, run, watcher, people=people, key=key)
                    others = Others()
                    measured = await measuring.everything(say)
                    measured.foreign_cores = others.cores()
                    surroundings = conditions(plan, run, measured)
            finally:
                await watcher.close()
    medians, spread = figures(measured, median), figures(measured, ends)
    sys.stdout.write(output.table(medians, spread))
    if measured.foreign_cores > _QUIET:
        say(f"not a quiet machine: {measured.foreign_cores:.1f} cores did something else")
    if keep:
        output.write(medians, spread, surroundings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, stored nowhere")
    parser.add_argument("--people", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args(arguments)
    plan = QUICK if chosen.quick else FULL
    plan = replace(plan, people=chosen.people or plan.people, rounds=chosen.rounds or plan.rounds)
    overrides = dict(setting.split("=", 1) for setting in chosen.set)
    say(f"measuring POST /v1/verify, about {plan.total_seconds:.0f} s")
    # What is measured has a core of its own; everything else, also this process, shares the rest.
    with (
        on_cores(other_cores()),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            runner.run(measure(plan, overrides, keep=not chosen.quick))
        except (NotAsExpected, LocalServerError, TimeoutError) as error:
            say(f"not measured: {error}")
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
