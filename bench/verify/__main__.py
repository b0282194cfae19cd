"""What one POST /v1/verify costs: processor time of every process that it needs.

python -m bench.verify [--quick] [--only NAME ...] [--people N] [--rounds N] [--set NAME=VALUE ...]:
starts servers and verification of its own, measures the table and all comparisons, and writes
bench/results/verify.json and verify.svg. With --quick it only prints, and without --only it
measures the table alone. `--set` gives verification a setting, such as traces_sampled=0.01.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import uvloop

from bench.verify import output
from bench.verify.comparisons.found import Found
from bench.verify.comparisons.order import COMPARISONS, FAILURES, compare
from bench.verify.costs import on_cores, other_cores
from bench.verify.plan import COMPARED, FULL, GLANCED_AT, QUICK, Comparison, Plan
from bench.verify.report import ends, figures, median
from bench.verify.results import Results
from bench.verify.table import measure

_TABLE = "table"
# Cores; more than that, and caches and turns on the core are shared with strangers.
_QUIET = 0.2
_BEGAN = time.monotonic()


def say(message: str) -> None:
    """Tell what is done now."""
    sys.stderr.write(f"{time.monotonic() - _BEGAN:6.1f} s  {message}\n")


class Run:
    """One call of this program: prints what is measured, and stores it where that was asked for."""

    def __init__(self, results: Results | None, overrides: Mapping[str, str]) -> None:
        self._results = results
        self._overrides = overrides
        self.failed = False

    async def everything(self, names: Sequence[str], plan: Plan, comparison: Comparison) -> None:
        """Measure what is named."""
        if _TABLE in names:
            say(f"measuring POST /v1/verify, about {plan.total_seconds:.0f} s")
            try:
                await self._table(plan)
            except FAILURES as error:
                self._not_measured(_TABLE, error)
        await compare(names, comparison, self._overrides, say=say, tell=self._tell)

    async def _table(self, plan: Plan) -> None:
        measured, surroundings = await measure(plan, self._overrides, say)
        medians, spread = figures(measured, median), figures(measured, ends)
        sys.stdout.write(output.table(medians, spread))
        if measured.foreign_cores > _QUIET:
            say(f"not a quiet machine: {measured.foreign_cores:.1f} cores did something else")
        if self._results is not None:
            output.draw(medians)
            self._results.add(medians.as_json(), spread=spread.as_json(), conditions=surroundings)

    def _tell(self, name: str, found: Found | Exception) -> None:
        if isinstance(found, Exception):
            self._not_measured(name, found)
            if self._results is not None:
                self._results.forget(name)
            return
        sys.stdout.write(output.lines(name, found))
        if self._results is not None:
            self._results.add(
                {name: output.summed_up(found, median)},
                spread={name: output.summed_up(found, ends)},
                conditions={name: found.conditions},
            )

    def _not_measured(self, name: str, error: Exception) -> None:
        say(f"{name} not measured: {error or type(error).__name__}")
        self.failed = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and measure."""
    chosen = _parser().parse_args(arguments)
    names = chosen.only or ((_TABLE,) if chosen.quick else (_TABLE, *COMPARISONS))
    plan, comparison = _plans(chosen)
    results = None if chosen.quick else Results(output.FILE, anew=not chosen.only)
    run = Run(results, _pairs(chosen.set))
    # What is measured has a core of its own; everything else, also this process, shares the rest.
    with (
        on_cores(other_cores()),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            runner.run(run.everything(names, plan, comparison))
        except FAILURES as error:
            say(f"not measured: {error}")
            return 1
        except KeyboardInterrupt:
            return 130
    return 1 if run.failed else 0


def _plans(chosen: argparse.Namespace) -> tuple[Plan, Comparison]:
    plan, comparison = (QUICK, GLANCED_AT) if chosen.quick else (FULL, COMPARED)
    rounds, people = chosen.rounds, chosen.people
    return (
        replace(plan, people=people or plan.people, rounds=rounds or plan.rounds),
        replace(
            comparison,
            many=people or comparison.many,
            rounds=rounds or comparison.rounds,
            postgres={**comparison.postgres, **_pairs(chosen.postgres)},
        ),
    )


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, stored nowhere")
    parser.add_argument("--only", action="append", choices=(_TABLE, *COMPARISONS), metavar="NAME")
    parser.add_argument("--people", type=int, help="of the table, and of the larger system")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--postgres",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of million_vs_thousand",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
