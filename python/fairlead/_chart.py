"""What a simulation showed, over time, as SVG that is readable in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN, LABELS, LEGEND = 860, 150, 24, 56, 30
COLOURS = ("#8fa3b8", "#c08a2d", "#d9480f", "#2f7d5b", "#6f5bb5", "#3f4b59", "#b5517f", "#1f77b4")

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #59636e }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #d1d9e0 }
  .ill { fill: #cf222e; opacity: 0.08 }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .page { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #3d444d }
    .ill { fill: #ff7b72; opacity: 0.14 }
  }
"""


class Line(NamedTuple):
    """One curve: its name and a value for each span of time."""

    name: str
    values: list[float]


class Panel(NamedTuple):
    """Curves that share a scale."""

    title: str
    lines: list[Line]
    is_logarithmic: bool = False


def draw(told: dict[str, Any], names: dict[str, str]) -> str:
    """The chart of what `_core._simulate` told; `names` are those of the policies."""
    policies: dict[str, Any] = told["policies"]
    spans = {policy: summary["spans"] for policy, summary in policies.items()}
    failed = [
        Line(names[policy], [100 * span["failed"] / max(span["calls"], 1) for span in own])
        for policy, own in spans.items()
    ]
    slowest = [Line(names[policy], [span["p99"] for span in own]) for policy, own in spans.items()]
    written = policies["written"]
    length = told["seconds"] / max(len(written["spans"]), 1) or 1.0
    asked = [
        Line(upstream["name"], [span["requests"][place] / length for span in written["spans"]])
        for place, upstream in enumerate(written["upstreams"])
        if upstream["requests"]
    ]
    panels = [
        Panel("calls that failed, in %", failed),
        Panel("99 of 100 calls ended within, in seconds (logarithmic)", slowest, is_logarithmic=True),
        Panel(f"requests a second with {names['written']}, by deployment", asked),
    ]
    height = MARGIN + len(panels) * (HEIGHT + LEGEND + 54)
    title = "A simulated outage: " + ", ".join(names.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, MARGIN + number * (HEIGHT + LEGEND + 54), told["phases"], told["seconds"])
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: float, phases: Sequence[dict[str, float]], seconds: float) -> Iterable[str]:
    left, right, bottom = MARGIN + LABELS, WIDTH - MARGIN, top + LEGEND + 20 + HEIGHT
    scale = _Scale.of(panel)
    ends = max(seconds, 1e-9)

    def across(at: float) -> float:
        return left + (right - left) * min(max(at / ends, 0.0), 1.0)

    def up(value: float) -> float:
        return bottom - HEIGHT * scale.share(value)

    yield _text(MARGIN, top + 12, panel.title, "title")
    x: float = left
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        yield f'<rect x="{x:.1f}" y="{top + 22:.1f}" width="10" height="10" rx="2" fill="{colour}"/>'
        yield _text(x + 15, top + 31, line.name)
        x += 40 + 6.6 * len(line.name)
    for phase in phases:
        start, end = across(phase["from"]), across(phase["to"])
        yield (
            f'<rect class="ill" x="{start:.1f}" y="{bottom - HEIGHT:.1f}" width="{max(end - start, 0):.1f}" '
            f'height="{HEIGHT}"/>'
        )
    for mark in scale.marks:
        y = up(mark)
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(left - 8, y + 4, f"{mark:,g}", "small", "end")
    for share in range(5):
        at = ends * share / 4
        yield _text(across(at), bottom + 15, _clock(at), "small", "middle")
    for number, line in enumerate(panel.lines):
        step = ends / max(len(line.values), 1)
        points = " ".join(
            f"{across((place + 0.5) * step):.1f},{up(value):.1f}" for place, value in enumerate(line.values)
        )
        yield f'<polyline class="line" stroke="{COLOURS[number % len(COLOURS)]}" points="{points}"/>'


class _Scale(NamedTuple):
    """From values to a share of the height."""

    lowest: float
    highest: float
    marks: list[float]
    is_logarithmic: bool

    @classmethod
    def of(cls, panel: Panel) -> _Scale:
        values = [value for line in panel.lines for value in line.values]
        most = max(values, default=0.0)
        if panel.is_logarithmic:
            least = min((value for value in values if value > 0), default=1.0)
            first, last = math.floor(math.log10(least)), math.ceil(math.log10(max(most, least)))
            last = max(last, first + 1)
            return cls(10.0**first, 10.0**last, [10.0**power for power in range(first, last + 1)], True)
        step = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
        step = next(step * part for part in (0.25, 0.5, 1, 2.5) if most <= 5 * step * part)
        count = max(math.ceil(most / step - 1e-9), 1)
        return cls(0.0, step * count, [step * number for number in range(count + 1)], False)

    def share(self, value: float) -> float:
        if not self.is_logarithmic:
            return value / self.highest
        value = max(value, self.lowest)
        return math.log(value / self.lowest) / math.log(self.highest / self.lowest)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )


def _text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
