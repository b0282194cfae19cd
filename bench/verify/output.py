"""Where the figures go: a file, a picture, and a table on the screen."""

import json
from collections.abc import Mapping
from pathlib import Path

from bench.verify.plot import svg
from bench.verify.report import PARTS, RIGHT, Figure, Figures, Table

RESULTS = Path(__file__).parents[1] / "results"


def write(medians: Figures, spread: Figures, conditions: Mapping[str, object]) -> None:
    """Store the medians, under `spread` the ends, and the picture."""
    RESULTS.mkdir(exist_ok=True)
    content = {**medians.as_json(), "spread": spread.as_json(), "conditions": conditions}
    (RESULTS / "verify.json").write_text(json.dumps(content, indent=2) + "\n")
    layers = {name: _numbers(table) for name, table in medians.layers_us.items()}
    title = "Processor time of one POST /v1/verify in µs, beside a FastAPI no-op"
    (RESULTS / "verify.svg").write_text(svg(layers, title=title))


def table(medians: Figures, spread: Figures) -> str:
    """Return the figures in lines for people."""
    head = ["", "noop", *PARTS, "service x", "system x", "req/s", "p50 ms", "p99 ms"]
    lines = ["".join(f"{word:>13}" if place else f"{word:<14}" for place, word in enumerate(head))]
    for name in medians.layers_us:
        lines.append(_line(name, medians, spread))
    busy = _numbers(medians.latency_ms["busy"])
    lines.append(f"at 60 % of the highest load: p50 {busy['p50']:.1f} ms, p99 {busy['p99']:.1f} ms")
    least = ", ".join(f"{name} {value:.0f}" for name, value in _numbers(medians.least_us).items())
    lines.append(f"the least possible, in µs: {least}")
    return "\n".join(lines) + "\n"


def _line(name: str, medians: Figures, spread: Figures) -> str:
    layers = _numbers(medians.layers_us[name])
    latency, rates = _numbers(medians.latency_ms[name]), _numbers(medians.rps)
    kind, _, at_once = name.rpartition("_")
    service = "service_vs_noop" if name in RIGHT else f"{kind}_vs_noop"
    system = "system_vs_noop" if name in RIGHT else f"{kind}_system_vs_noop"
    cells = [
        *(f"{layers[part]:.0f}" for part in ("noop", *PARTS)),
        _with_ends(medians.ratios[service][at_once], spread.ratios[service][at_once]),
        _with_ends(medians.ratios[system][at_once], spread.ratios[system][at_once]),
        f"{rates[name]:.0f}",
        f"{latency['p50']:.1f}",
        f"{latency['p99']:.1f}",
    ]
    return f"{name:<14}" + "".join(f"{cell:>13}" for cell in cells)


def _with_ends(middle: Figure, both: Figure) -> str:
    low, high = (both["min"], both["max"]) if isinstance(both, Mapping) else (both, both)
    return f"{middle:.2f} {low:.1f}-{high:.1f}"


def _numbers(table: Table) -> dict[str, float]:
    return {name: value for name, value in table.items() if isinstance(value, int | float)}
