"""The figures as a picture: what a request costs, layer by layer, beside the no-op."""

from collections.abc import Mapping, Sequence

from bench.verify.target import SYSTEM

_COLOURS = {
    "noop": "#9aa5b1",
    "service": "#1f5fa8",
    "postgres": "#6fa8dc",
    "valkey": "#e0912f",
    "relay": "#7a9a3a",
}
_PROCESSES = {
    "noop": "FastAPI no-op",
    "service": "verification",
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "relay": "relay to Kafka",
}
_TITLES = {"c1": "1 connection", "c32": "32", "c128": "128", "wrong_c32": "32, wrong codes"}
_TITLES |= {"receipt_c32": "32, with a receipt"}
_TITLES |= {"refused_c32": "32, no guess left"}
_LEFT, _TOP, _BAR, _GAP, _GROUP_GAP, _HEIGHT = 60, 70, 46, 8, 44, 300
Layers = Mapping[str, float]


def svg(groups: Mapping[str, Layers], *, title: str) -> str:
    """Return bars for each group: the no-op, and the parts of the system on one another."""
    highest = max(sum(layers[part] for part in SYSTEM) for layers in groups.values())
    top = _round_up(highest)
    width = _LEFT + len(groups) * (2 * _BAR + _GAP + _GROUP_GAP) + 20
    parts = [_text(_LEFT, 24, title, size=15), *_legend(), *_axis(top, width)]
    for place, (name, layers) in enumerate(groups.items()):
        left = _LEFT + _GROUP_GAP / 2 + place * (2 * _BAR + _GAP + _GROUP_GAP)
        parts += _bar(left, [("noop", layers["noop"])], top)
        stack = [(part, layers[part]) for part in SYSTEM]
        parts += _bar(left + _BAR + _GAP, stack, top)
        middle = left + _BAR + _GAP / 2
        parts.append(_text(middle, _TOP + _HEIGHT + 18, _TITLES.get(name, name), anchor="middle"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _HEIGHT + 34}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bar(left: float, stack: Sequence[tuple[str, float]], top: float) -> list[str]:
    drawn, below = [], 0.0
    for part, value in stack:
        height = _HEIGHT * value / top
        below += height
        drawn.append(
            f'<rect x="{left:.1f}" y="{_TOP + _HEIGHT - below:.1f}" width="{_BAR}"'
            f' height="{height:.1f}" fill="{_COLOURS[part]}">'
            f"<title>{_PROCESSES[part]}: {value:.0f} µs</title></rect>"
        )
    total = sum(value for _, value in stack)
    above = _TOP + _HEIGHT - below - 4
    return [*drawn, _text(left + _BAR / 2, above, f"{total:.0f}", anchor="middle")]


def _axis(top: float, width: float) -> list[str]:
    lines = []
    for quarter in range(5):
        height = _TOP + _HEIGHT * (1 - quarter / 4)
        lines.append(
            f'<line x1="{_LEFT}" x2="{width - 10}" y1="{height:.1f}" y2="{height:.1f}"'
            ' stroke="#ddd"/>'
        )
        lines.append(_text(_LEFT - 6, height + 4, f"{top * quarter / 4:.0f}", anchor="end"))
    return lines


def _legend() -> list[str]:
    drawn = []
    for place, (part, colour) in enumerate(_COLOURS.items()):
        left = _LEFT + place * 120
        drawn.append(f'<rect x="{left}" y="36" width="12" height="12" fill="{colour}"/>')
        drawn.append(_text(left + 17, 46, _PROCESSES[part]))
    return drawn


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{words}</text>"


def _round_up(value: float) -> float:
    for step in (40, 60, 80, 100, 140, 200, 300, 400, 600, 800, 1000, 2000, 4000, 8000):
        if value <= step:
            return step
    return value
