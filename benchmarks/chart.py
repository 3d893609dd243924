"""A horizontal bar chart on a logarithmic scale, as SVG that is readable in light and in dark."""

from __future__ import annotations

import math
import textwrap
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, MARGIN, LABELS, VALUES = 820, 24, 190, 80
ROW, BAR, TITLE, AXIS, LINE = 26, 16, 34, 34, 15
CAPTION_CHARACTERS = 130

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #59636e }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #d1d9e0 }
  .bar { fill: #8fa3b8 }
  .ours { fill: #d9480f }
  .floor { fill: #c3ccd5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .page { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #3d444d }
    .bar { fill: #5c7189 }
    .ours { fill: #ff8c42 }
    .floor { fill: #3f4b59 }
  }
"""


class Panel(NamedTuple):
    """One group of bars: its title, the unit, and a value for each label."""

    title: str
    unit: str
    bars: list[tuple[str, float]]


def draw(panels: list[Panel], caption: str) -> str:
    """The chart of all panels that have bars, with the caption below."""
    parts: list[str] = []
    top = float(MARGIN)
    for panel in panels:
        if panel.bars:
            parts += draw_panel(panel, top)
            top += TITLE + ROW * len(panel.bars) + AXIS
    for line in textwrap.wrap(caption, CAPTION_CHARACTERS):
        parts.append(text(MARGIN, top, line, "small"))
        top += LINE
    height = round(top + MARGIN / 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">\n<title>{escape(caption)}</title>\n<style>{STYLE}</style>\n'
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def draw_panel(panel: Panel, top: float) -> list[str]:
    """Title, grid and bars of one panel, the shortest bar first."""
    values = [value for _, value in panel.bars]
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first -= math.log10(min(values)) - first < 0.1  # so that the shortest bar can be seen
    last = max(last, first + 1)
    left, space = MARGIN + LABELS, WIDTH - 2 * MARGIN - LABELS - VALUES
    bottom = top + TITLE + ROW * len(panel.bars)

    def across(value: float) -> float:
        return space * (math.log10(value) - first) / (last - first)

    parts = [text(MARGIN, top + 12, f"{panel.title} ({panel.unit}, lower is better)", "title")]
    for decade in range(first, last + 1):
        x = left + across(10.0**decade)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + TITLE - 6:.1f}" y2="{bottom:.1f}"/>'
        )
        parts.append(text(x, bottom + 13, f"{10.0**decade:,g}", "small", "middle"))
    for place, (label, value) in enumerate(sorted(panel.bars, key=lambda bar: bar[1])):
        y = top + TITLE + ROW * place
        parts.append(text(left - 8, y + 12.5, label, "", "end"))
        length = across(value)
        parts.append(
            f'<rect class="{kind(label)}" x="{left}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        )
        parts.append(text(left + length + 6, y + 12.5, number(value)))
    return parts


def kind(label: str) -> str:
    if label.startswith("fairlead"):
        return "ours"
    return "floor" if label.startswith("reqwest") else "bar"


def number(value: float) -> str:
    """Three digits of a figure: 0.325, 53.5, 3,682."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
