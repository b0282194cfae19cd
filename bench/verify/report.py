"""From rounds to figures: medians, and beside them the least and the most of all rounds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.verify.load import Tally
from bench.verify.measure import Measured, Pair
from bench.verify.plan import AT_ONCE, MIDDLE
from bench.verify.target import SYSTEM

# One figure, or the two ends of a spread; and figures by name.
Figure = float | Mapping[str, float]
Table = Mapping[str, Figure]
Summary = Callable[[Sequence[float], int], Figure]
RIGHT = tuple(f"c{at_once}" for at_once in AT_ONCE)
_MIDDLE = f"c{MIDDLE}"
PARTS = (*SYSTEM, "kafka")
_KINDS = ("receipt", "wrong", "refused")


@dataclass(frozen=True)
class Figures:
    """Ratios by the name they have in the file; the rest by kind of round."""

    ratios: Mapping[str, Table]
    layers_us: Mapping[str, Table]
    latency_ms: Mapping[str, Table]
    rps: Table
    least_us: Table

    def as_json(self) -> dict[str, object]:
        """Return them under their names."""
        return {
            **self.ratios,
            "layers_us": self.layers_us,
            "latency_ms": self.latency_ms,
            "rps": self.rps,
            "least_us": self.least_us,
        }


def median(values: Sequence[float], digits: int) -> Figure:
    """Return the middle of some figures."""
    return round(statistics.median(values), digits)


def ends(values: Sequence[float], digits: int) -> Figure:
    """Return the least and the most of some figures."""
    return {"min": round(min(values), digits), "max": round(max(values), digits)}


def figures(measured: Measured, summary: Summary) -> Figures:
    """Sum all rounds up, by `median` or `ends`."""
    pairs = measured.pairs
    return Figures(
        ratios=_ratios(pairs, summary) | _beside_installed(measured, summary),
        layers_us={name: _layers(pairs[name], summary) for name in pairs},
        latency_ms={
            name: _latency(tallies, summary) for name, tallies in _service_tallies(measured).items()
        },
        rps=_rates(measured, summary),
        least_us=_least(measured, summary),
    )


def _ratios(pairs: Mapping[str, Sequence[Pair]], summary: Summary) -> dict[str, Table]:
    kinds = {"": {name: name for name in RIGHT}}
    kinds |= {f"{kind}_": {_MIDDLE: f"{kind}_{_MIDDLE}"} for kind in _KINDS}
    found: dict[str, Table] = {}
    for kind, names in kinds.items():
        service = "service_vs_noop" if not kind else f"{kind}vs_noop"
        for name, ratio in ((service, _service), (f"{kind}system_vs_noop", _system)):
            found[name] = {
                short: summary([ratio(pair) for pair in pairs[long]], 2)
                for short, long in names.items()
            }
    return found


def _beside_installed(measured: Measured, summary: Summary) -> dict[str, Table]:
    """Return the ratios to the same no-op as `pip install fastapi uvicorn` serves it."""
    found: dict[str, Table] = {}
    for name, parts in (("service", ("service",)), ("system", SYSTEM)):
        found[f"{name}_vs_installed_noop"] = {
            kind: summary(
                [
                    sum(pair.service.cost[part] for part in parts) / installed.cost["noop"]
                    for pair, installed in zip(
                        measured.pairs[kind], measured.baselines[f"installed_{kind}"], strict=True
                    )
                ],
                2,
            )
            for kind in RIGHT
        }
    return found


def _service(pair: Pair) -> float:
    return pair.service.cost["service"] / pair.noop.cost["noop"]


def _system(pair: Pair) -> float:
    return pair.service.system / pair.noop.cost["noop"]


def _layers(pairs: Sequence[Pair], summary: Summary) -> Table:
    noop = summary([pair.noop.cost["noop"] for pair in pairs], 1)
    parts = {part: summary([pair.service.cost[part] for pair in pairs], 1) for part in PARTS}
    return {"noop": noop, **parts}


def _service_tallies(measured: Measured) -> dict[str, list[Tally]]:
    closed = {
        name: [pair.service.tally for pair in pairs] for name, pairs in measured.pairs.items()
    }
    return closed | {"busy": [one.tally for one in measured.busy]}


def _latency(tallies: Sequence[Tally], summary: Summary) -> Table:
    cuts = [statistics.quantiles(one.seconds, n=100, method="inclusive") for one in tallies]
    return {f"p{n}": summary([1000 * cut[n - 1] for cut in cuts], 2) for n in (50, 99)}


def _rates(measured: Measured, summary: Summary) -> Table:
    tallies = _service_tallies(measured) | {
        f"noop_{name}": [pair.noop.tally for pair in measured.pairs[name]] for name in RIGHT
    }
    rates = {name: [one.rate for one in found] for name, found in tallies.items()}
    rates |= {f"raw_{name}": [raw.rate for raw in raws] for name, raws in measured.stores.items()}
    return {name: summary(found, 0) for name, found in rates.items()}


def _least(measured: Measured, summary: Summary) -> Table:
    servers = {
        name: summary([one.cost["noop"] for one in rounds], 1)
        for name, rounds in measured.baselines.items()
    }
    stores = {
        name: summary([one.cost for one in rounds], 1) for name, rounds in measured.stores.items()
    }
    return servers | stores
