"""Where the figures go: a file, a picture, and a table on the screen."""

from collections.abc import Mapping
from pathlib import Path

from bench.verify.comparisons.found import Found
from bench.verify.plot import svg
from bench.verify.report import PARTS, Figure, Figures, Summary, Table, ends, median

_RESULTS = Path(__file__).parents[1] / "results"
FILE = _RESULTS / "verify.json"
_DIGITS = 2
_RATIOS = ["service / noop", "system / noop"]


def draw(medians: Figures) -> None:
    """Store the picture of the table."""
    _RESULTS.mkdir(exist_ok=True)
    layers = {name: _numbers(table) for name, table in medians.layers_us.items()}
    title = "Processor time of one POST /v1/verify in µs, beside a FastAPI no-op"
    (_RESULTS / "verify.svg").write_text(svg(layers, title=title))


def summed_up(found: Found, summary: Summary) -> Table:
    """Return the figures of a comparison, by `median` or `ends`."""
    return {name: summary(values, _DIGITS) for name, values in found.rounds.items()}


def lines(name: str, found: Found) -> str:
    """Return the figures of a comparison for people."""
    medians, spread = summed_up(found, median), summed_up(found, ends)
    told = [f"  {one:<28}{_with_ends(medians[one], spread[one])}" for one in medians]
    return "\n".join([name, *told]) + "\n"


def table(medians: Figures, spread: Figures) -> str:
    """Return the figures in lines for people."""
    lines = [_aligned("µs, medians", ["noop", *PARTS], _RATIOS, ["req/s", "p50 ms", "p99 ms"])]
    lines += [_line(name, medians, spread) for name in medians.layers_us]
    busy, rates = _numbers(medians.latency_ms["busy"]), _numbers(medians.rps)
    least = ", ".join(f"{name} {value:.0f}" for name, value in _numbers(medians.least_us).items())
    lines += [
        f"{name}: " + ", ".join(f"{kind} {value:.2f}" for kind, value in _numbers(ratios).items())
        for name, ratios in medians.ratios.items()
        if "installed" in name
    ]
    lines += [
        f"with {rates['busy']:.0f} a second, 60 % of the highest load: p50 {busy['p50']:.1f} ms,"
        f" p99 {busy['p99']:.1f} ms",
        f"the least possible, in µs: {least}; one connection commits {rates['raw_commit']:.0f}"
        " rows a second",
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, medians: Figures, spread: Figures) -> str:
    layers = _numbers(medians.layers_us[name])
    latency, rates = _numbers(medians.latency_ms[name]), _numbers(medians.rps)
    kind, _, at_once = name.rpartition("_")
    service = f"{kind}_vs_noop" if kind else "service_vs_noop"
    system = f"{kind}_system_vs_noop" if kind else "system_vs_noop"
    return _aligned(
        name,
        [f"{layers[part]:.0f}" for part in ("noop", *PARTS)],
        [
            _with_ends(medians.ratios[ratio][at_once], spread.ratios[ratio][at_once])
            for ratio in (service, system)
        ],
        [f"{rates[name]:.0f}", f"{latency['p50']:.1f}", f"{latency['p99']:.1f}"],
    )


def _aligned(name: str, costs: list[str], ratios: list[str], rest: list[str]) -> str:
    return (
        f"{name:<12}"
        + "".join(f"{cell:>9}" for cell in costs)
        + "".join(f"{cell:>20}" for cell in ratios)
        + "".join(f"{cell:>9}" for cell in rest)
    )


def _with_ends(middle: Figure, both: Figure) -> str:
    low, high = (both["min"], both["max"]) if isinstance(both, Mapping) else (both, both)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _numbers(table: Table) -> dict[str, float]:
    return {name: value for name, value in table.items() if isinstance(value, int | float)}
