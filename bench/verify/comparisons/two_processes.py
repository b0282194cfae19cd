"""Two processes of verification beside one: answers a second, and what each answer costs."""

import os

from bench.verify.apis import more_apis, service_target
from bench.verify.comparisons.found import Found, Turn, alternate, costs, rates, ratios, refuse_idle
from bench.verify.comparisons.stage import WIDE, Stage
from bench.verify.costs import Meter, all_cores, used
from bench.verify.target import SYSTEM, Round, Target

# One for each process, PostgreSQL, and the rest: with fewer they wait for one another.
_CORES_WANTED = 4
# Of the work that the two do together.
_LEAST_SHARE = 0.3


async def two_processes(stage: Stage) -> Found:
    """Ask one process on so many connections, then two on as many each, and as many together."""
    async with more_apis(stage.running.ground, {"one": {}, "two": {}}, cores=all_cores()) as apis:
        alone, beside, both = (
            service_target(stage.running, some, done=stage.drained)
            for some in ([apis["one"]], [apis["two"]], list(apis.values()))
        )
        stage.say("both processes meet everybody")
        await stage.meet_all(alone)
        await stage.meet_all(beside)
        shares = Meter({name: [api.process.pid] for name, api in apis.items()})

        async def of_both(at_once: int) -> Round:
            before = shares.read()
            done = await _closed(stage, both, at_once)
            refuse_idle(used(before, shares.read()), least=_LEAST_SHARE)
            return done

        turns: dict[str, Turn] = {
            "one": lambda: _closed(stage, alone, WIDE),
            "two": lambda: of_both(2 * WIDE),
            "two_halves": lambda: of_both(WIDE),
        }
        return _figures(stage, await alternate(stage.plan.rounds, turns))


async def _closed(stage: Stage, target: Target, at_once: int) -> Round:
    await stage.fresh_codes()
    return await target.closed(stage.right, at_once=at_once, seconds=stage.plan.seconds)


def _figures(stage: Stage, found: dict[str, list[Round]]) -> Found:
    one, parts = found["one"], {"service": ("service",), "system": SYSTEM}
    rounds = {"rps": ratios(rates(found["two"]), rates(one))}
    rounds |= {
        name: ratios(costs(found["two"], *some), costs(one, *some)) for name, some in parts.items()
    }
    rounds |= {
        f"{name}_same_connections": ratios(costs(found["two_halves"], *some), costs(one, *some))
        for name, some in parts.items()
    }
    for name, of_name in found.items():
        rounds[f"{name}_rps"] = rates(of_name)
        rounds |= {f"{name}_{part}_us": costs(of_name, *some) for part, some in parts.items()}
    return Found(rounds, _conditions(stage))


def _conditions(stage: Stage) -> dict[str, object]:
    cores = os.cpu_count() or 1
    conditions: dict[str, object] = {
        "connections": {"one": WIDE, "two": 2 * WIDE, "two_halves": WIDE},
        "round_seconds": stage.plan.seconds,
        "cores": cores,
        "cores_of_the_processes": "all of them; everything else has all but the first",
    }
    if cores < _CORES_WANTED:
        conditions["rps_says"] = (
            f"what {cores} cores do when two processes, the servers and the load share them, not"
            " how the service scales; with cores enough it is the cost of one answer that limits it"
        )
    return conditions
