"""The slowest answers of a busy service beside the middle one of a server that does nothing."""

from bench.verify import asks
from bench.verify.apis import noop_target
from bench.verify.comparisons.found import Found, alternate, percentiles, ratios
from bench.verify.comparisons.stage import WIDE, Stage
from bench.verify.plan import BUSY
from bench.verify.target import Round


async def busy(stage: Stage) -> Found:
    """Send both the same number of requests a second, 60 % of what the service can answer."""
    rate = BUSY * await stage.best_rate()
    seconds = stage.plan.open_seconds
    nothing, noop = asks.same_each_time(stage.writer), noop_target(stage.running)

    async def of_noop() -> Round:
        return await noop.arrivals(nothing, rate=rate, at_once=WIDE, seconds=seconds)

    async def of_service() -> Round:
        await stage.fresh_codes()
        return await stage.first.arrivals(stage.right, rate=rate, at_once=WIDE, seconds=seconds)

    found = await alternate(stage.plan.rounds, {"noop": of_noop, "service": of_service})
    middle, slowest = percentiles(found["noop"], 50), percentiles(found["service"], 99)
    rounds = {
        "ratio": ratios(slowest, middle),
        "service_p99_ms": slowest,
        "service_p50_ms": percentiles(found["service"], 50),
        "noop_p50_ms": middle,
        "noop_p99_ms": percentiles(found["noop"], 99),
    }
    return Found(rounds, {"requests_a_second": round(rate), "round_seconds": seconds})
