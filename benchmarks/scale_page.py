"""Make a page of what `bench_scale` measured: ``scale_page.py FIGURES.json PLOT.svg > PAGE.md``.

The plot has a panel for each measure, both axes logarithmic, and a line for each verb.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common import markdown

Rows = Sequence[Mapping[str, Any]]

MEASURES = {"seconds": "seconds", "longest write ms": "longest write, ms", "grown MB": "memory grown by, MB"}
VERBS = ("start", "run", "verify", "cutover", "rollback", "start again", "retire")
COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#555555",
)
WIDTH, HEIGHT, LEFT, TOP, LEGEND = 300, 260, 55, 30, 40


class Axis(NamedTuple):
    """A logarithmic axis: whole decades from `low` to `high`, drawn from `begin` to `end` in pixels."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], begin: float, end: float) -> Axis:
        """Take the decades that hold all values."""
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), begin, end)

    def at(self, value: float) -> float:
        """Return where a value lies."""
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def decades(self) -> list[float]:
        """Return the powers of ten to label."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def plot(rows: Rows) -> str:
    """Return the drawing."""
    panels = "".join(_panel(rows, name, title, place) for place, (name, title) in enumerate(MEASURES.items()))
    legend = "".join(
        f'<text x="{LEFT + place * 115}" y="{HEIGHT + LEGEND - 12}" fill="{colour}">■ {verb}</text>'
        for place, (verb, colour) in enumerate(zip(VERBS, COLOURS, strict=True))
    )
    size = f'width="{WIDTH * len(MEASURES)}" height="{HEIGHT + LEGEND}"'
    style = 'font-family="sans-serif" font-size="11"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{ground}{panels}{legend}</svg>\n'


def _panel(rows: Rows, name: str, title: str, place: int) -> str:
    left = place * WIDTH + LEFT
    rows = [row for row in rows if not math.isnan(row[name])]  # beside the shortest verbs there was no write
    x = Axis.around([row["documents"] for row in rows], left, (place + 1) * WIDTH - 30)
    y = Axis.around([max(row[name], 0.01) for row in rows], HEIGHT - 30, TOP)
    parts = [f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{title}</text>']
    for value in x.decades():
        parts.append(f'<text x="{x.at(value):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{value:,.0f}</text>')
    for value in y.decades():
        at = f"{y.at(value):.0f}"
        parts.append(f'<path d="M{x.begin} {at}H{x.end}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at}" text-anchor="end" dominant-baseline="middle">{value:g}</text>')
    for verb, colour in zip(VERBS, COLOURS, strict=True):
        points = [(x.at(row["documents"]), y.at(max(row[name], 0.01))) for row in rows if row["verb"] == verb]
        line = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>' for across, up in points]
    return "".join(parts)


def page(record: Mapping[str, Any]) -> str:
    """Return all tables."""
    machine = ", ".join(f"{name} {value}" for name, value in record["machine"].items())
    tables = [f"## {each['title']}\n\n{markdown(each['rows'])}\n" for each in record["contests"] if "rows" in each]
    rates = [{"what": each["title"], **each["figures"]} for each in record["contests"] if "figures" in each]
    return "\n".join([*tables, *([f"## rate\n\n{markdown(rates)}\n"] if rates else []), f"{machine}\n"])


def main() -> None:
    """Print the page, write the plot."""
    record = json.loads(Path(sys.argv[1]).read_text())
    tables = [each["rows"] for each in record["contests"] if each["title"].startswith("verbs")]
    if verbs := [row for rows in tables for row in rows]:
        Path(sys.argv[2]).write_text(plot(verbs))
    print(page(record), end="")


if __name__ == "__main__":
    main()
