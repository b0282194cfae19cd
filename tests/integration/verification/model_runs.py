"""Runs the model: examples by Hypothesis, on real servers, in a thread with a loop of its own."""

import asyncio
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fixtures.services import ServiceDatabase
from tests.integration.verification.model import Machine, opened
from tests.integration.verification.runs import Numbers


async def model_run(stored: ServiceDatabase, folder: Path, *, examples: int, steps: int) -> Numbers:
    """Try so many examples of so many steps; raises AssertionError with the shortest that fails."""
    return await asyncio.to_thread(_run, stored, folder, examples, steps)


def _run(stored: ServiceDatabase, folder: Path, examples: int, steps: int) -> Numbers:
    numbers: Counter[str] = Counter(examples=examples)
    with asyncio.Runner() as runner:
        opening = opened(stored, folder)
        Machine.ground = runner.run(opening.__aenter__())
        Machine.runner, Machine.seen = runner, numbers
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    # Shrinking on servers with a clock takes minutes; the steps are printed anyway.
                    phases=(Phase.generate,),
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
    return dict(numbers)
