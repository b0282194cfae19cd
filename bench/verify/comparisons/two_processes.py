"""Two processes of verification beside one: answers a second, and what each answer costs."""

import os

from bench.verify.apis import more_apis, service_target
from bench.verify.comparisons.found import Found, alternate, costs, rates, ratios, refuse_idle
from bench.verify.comparisons.stage import WIDE, Stage
from bench.verify.costs import Meter, all_cores, used
from bench.verify.target import SYSTEM, Round, Target

# One for each process, PostgreSQL, and the rest: with fewer they wait for one another.
_CORES_WANTED = 4
# Of the work that the two do together.
_LEAST_SHARE = 0.3


async def two_processes(stage: Stage) -> Found:
    """Spread the same number of connections over one process, or over two."""
    async with more_apis(stage.running.ground, {"one": {}, "two": {}}, cores=all_cores()) as apis:
        alone, beside, both = (
            service_target(stage.running, some, done=stage.drained)
            for some in ([apis["one"]], [apis["two"]], list(apis.values()))
        )
        stage.say("both processes meet everybody")
        await stage.meet_all(alone)
        await stage.meet_all(beside)
        shares = Meter({name: [api.process.pid] for name, api in apis.items()})

        async def of_one() -> Round:
            return await _closed(stage, alone)

        async def of_two() -> Round:
            before = shares.read()
            done = await _closed(stage, both)
            refuse_idle(used(before, shares.read()), least=_LEAST_SHARE)
            return done

        found = await alternate(stage.plan.rounds, {"one": of_one, "two": of_two})
    return _figures(stage, found)


async def _closed(stage: Stage, target: Target) -> Round:
    await stage.fresh_codes()
    return await target.closed(stage.right, at_once=WIDE, seconds=stage.plan.seconds)


def _figures(stage: Stage, found: dict[str, list[Round]]) -> Found:
    one, two = found["one"], found["two"]
    rounds = {
        "rps": ratios(rates(two), rates(one)),
        "service": ratios(costs(two, "service"), costs(one, "service")),
        "system": ratios(costs(two, *SYSTEM), costs(one, *SYSTEM)),
        "one_rps": rates(one),
        "two_rps": rates(two),
        "one_service_us": costs(one, "service"),
        "two_service_us": costs(two, "service"),
        "one_system_us": costs(one, *SYSTEM),
        "two_system_us": costs(two, *SYSTEM),
    }
    cores = os.cpu_count() or 1
    conditions: dict[str, object] = {
        "connections": WIDE,
        "round_seconds": stage.plan.seconds,
        "cores": cores,
        "cores_of_the_processes": "all of them; everything else has all but the first",
    }
    if cores < _CORES_WANTED:
        conditions["rps_says"] = (
            f"what {cores} cores do when two processes, the servers and the load share them, not"
            " how the service scales; with cores enough it is the cost of one answer that limits it"
        )
    return Found(rounds, conditions)
