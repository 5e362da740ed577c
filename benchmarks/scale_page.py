"""Make a page of what `bench_scale` measured: ``scale_page.py FIGURES.json PLOT.svg > PAGE.md``.

The plot has a panel for each measure, both axes logarithmic, and a line for each verb; what bounds a measure is dashed.
It is made of the verbs of a real model where there are such.
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
BEYOND_MB, LONGEST_WRITE_MS = 150.0, 500.0
COLOURS = {
    "start": "#4477aa",
    "run": "#ee6677",
    "verify": "#228833",
    "cutover": "#ccbb44",
    "rollback": "#66ccee",
    "retire": "#aa3377",
}
WIDTH, HEIGHT, LEFT, TOP, LEGEND = 300, 260, 55, 30, 40
LEAST = 0.1
UNTOLD = ("writes", "failed writes", "error")


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
        f'<text x="{LEFT + place * 90}" y="{HEIGHT + LEGEND - 12}" fill="{colour}">■ {verb}</text>'
        for place, (verb, colour) in enumerate(COLOURS.items())
    )
    dashed = f"dashed: {LONGEST_WRITE_MS:g} ms; {BEYOND_MB:g} MB, and with the graph"
    legend += f'<text x="{LEFT + len(COLOURS) * 90}" y="{HEIGHT + LEGEND - 12}" fill="#888">{dashed}</text>'
    size = f'width="{WIDTH * len(MEASURES)}" height="{HEIGHT + LEGEND}"'
    style = 'font-family="sans-serif" font-size="11"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{ground}{panels}{legend}</svg>\n'


def _bounds(rows: Rows, name: str) -> list[list[tuple[float, float]]]:
    """Return lines of (documents, value) that a measure is not to cross."""
    sizes = sorted({row["documents"] for row in rows})
    if name == "longest write ms":
        return [[(n, LONGEST_WRITE_MS) for n in sizes]]
    if name == "grown MB":
        graphs = [max(row["graph MB"] for row in rows if row["documents"] == n) for n in sizes]
        return [[(n, BEYOND_MB) for n in sizes], [(n, BEYOND_MB + mb) for n, mb in zip(sizes, graphs, strict=True)]]
    return []


def _panel(rows: Rows, name: str, title: str, place: int) -> str:
    left = place * WIDTH + LEFT
    bounds = _bounds(rows, name)
    rows = [row for row in rows if not math.isnan(row[name])]  # beside the shortest verbs there was no write
    x = Axis.around([row["documents"] for row in rows], left, (place + 1) * WIDTH - 30)
    values = [max(row[name], LEAST) for row in rows] + [value for bound in bounds for _, value in bound]
    y = Axis.around(values, HEIGHT - 30, TOP)
    parts = [f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{title}</text>']
    for value in x.decades():
        parts.append(f'<text x="{x.at(value):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{value:,.0f}</text>')
    for value in y.decades():
        at = f"{y.at(value):.0f}"
        parts.append(f'<path d="M{x.begin} {at}H{x.end}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at}" text-anchor="end" dominant-baseline="middle">{value:g}</text>')
    parts += [_line(x, y, bound, "#888", ' stroke-dasharray="5 4"') for bound in bounds]
    for verb, colour in COLOURS.items():
        points = [(row["documents"], max(row[name], LEAST)) for row in rows if row["verb"] == verb]
        parts.append(_line(x, y, points, colour))
        parts += [f'<circle cx="{x.at(n):.1f}" cy="{y.at(v):.1f}" r="3" fill="{colour}"/>' for n, v in points]
    return "".join(parts)


def _line(x: Axis, y: Axis, points: Sequence[tuple[float, float]], colour: str, style: str = "") -> str:
    line = " ".join(f"{x.at(across):.1f},{y.at(up):.1f}" for across, up in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{style}/>'


def table(rows: Rows) -> str:
    """Return rows as Markdown, with three digits; how many writes there were, and failed, is left to the figures."""
    return markdown([{name: _short(value) for name, value in row.items() if name not in UNTOLD} for row in rows])


def _short(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def verbs_of(record: Mapping[str, Any]) -> dict[str, Rows]:
    """Return the rows of all sizes by what the collections are made of; verbs that come again are left out."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in record["contests"]:
        if each["title"].startswith("verbs at "):
            made_of = each["title"].rpartition(", ")[2]
            found.setdefault(made_of, []).extend(row for row in each["rows"] if row["verb"] in COLOURS)
    return {made_of: sorted(rows, key=lambda row: row["documents"]) for made_of, rows in found.items()}


def page(record: Mapping[str, Any]) -> str:
    """Return all tables."""
    tables = [f"## verbs, {made_of}\n\n{table(rows)}\n" for made_of, rows in verbs_of(record).items()]
    others = [each for each in record["contests"] if "rows" in each and not each["title"].startswith("verbs at ")]
    tables += [f"## {each['title']}\n\n{table(each['rows'])}\n" for each in others]
    rates = [{"what": each["title"], **each["figures"]} for each in record["contests"] if "figures" in each]
    machine = ", ".join(f"{name} {value}" for name, value in record["machine"].items())
    return "\n".join([*tables, *([f"## rate\n\n{markdown(rates)}\n"] if rates else []), f"{machine}\n"])


def main() -> None:
    """Print the page, write the plot."""
    record = json.loads(Path(sys.argv[1]).read_text())
    found = verbs_of(record)
    real = {made_of: rows for made_of, rows in found.items() if not made_of.startswith("free encoder")}
    if found:
        Path(sys.argv[2]).write_text(plot(next(iter((real or found).values()))))
    print(page(record), end="")


if __name__ == "__main__":
    main()
