"""Draw what readers and writers met while large collections moved: ``million_page.py FIGURES.json… >PLOT.svg``.

A panel for each run of `bench_million`: the longest latency of each stretch of time, on a logarithmic axis, over the
verbs that were at work.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scale_page import COLOURS, Axis

Rows = Sequence[Mapping[str, Any]]

LINES = {"read": "#222222", "write": "#bb5500"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 900, 170, 60, 34, 36


def panel(title: str, rows: Rows, top: int) -> str:
    """Return the drawing of one run."""
    step = rows[1]["second"] - rows[0]["second"]
    end = rows[-1]["second"] + step
    seen = [row[kind] for row in rows for kind in LINES if not math.isnan(row[kind])]
    y = Axis.around(seen, top + TOP + HEIGHT, top + TOP)

    def x(second: float) -> float:
        return LEFT + second / end * (WIDTH - LEFT - 20)

    parts = [f'<text x="{LEFT}" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    for verb, group in itertools.groupby(rows, key=lambda row: row["verb"]):
        seconds = [row["second"] for row in group]
        left, right = x(seconds[0]), x(seconds[-1] + step)
        box = f'x="{left:.1f}" y="{top + TOP}" width="{right - left:.1f}" height="{HEIGHT}"'
        parts.append(f'<rect {box} fill="{COLOURS[verb]}" fill-opacity="0.15"/>')
        parts.append(f'<text x="{left:.1f}" y="{top + TOP - 4}" fill="{COLOURS[verb]}">{verb}</text>')
    for value in y.decades():
        at = f"{y.at(value):.0f}"
        parts.append(f'<path d="M{LEFT} {at}H{WIDTH - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" text-anchor="end" dominant-baseline="middle">{value:g} ms</text>')
    parts.append(f'<text x="{WIDTH - 20}" y="{top + TOP + HEIGHT + 14}" text-anchor="end">{end:,.0f} s</text>')
    for kind, colour in LINES.items():
        points = [(x(row["second"] + step / 2), y.at(row[kind])) for row in rows if not math.isnan(row[kind])]
        line = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
    return "".join(parts)


def plot(runs: Mapping[str, Rows]) -> str:
    """Return the drawing of all runs, by their titles."""
    high = HEIGHT + TOP + GAP
    panels = "".join(panel(title, rows, place * high) for place, (title, rows) in enumerate(runs.items()))
    total = high * len(runs) + 24
    legend = "".join(
        f'<text x="{LEFT + place * 130}" y="{total - 8}" fill="{colour}">— longest {kind}</text>'
        for place, (kind, colour) in enumerate(LINES.items())
    )
    style = 'font-family="sans-serif" font-size="11"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    size = f'width="{WIDTH}" height="{total}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{ground}{panels}{legend}</svg>\n'


def courses(record: Mapping[str, Any]) -> dict[str, Rows]:
    """Return the courses in the figures of a run, by title."""
    ending = ": its course"
    return {
        each["title"].removesuffix(ending): each["rows"]
        for each in record["contests"]
        if each["title"].endswith(ending)
    }


def main() -> None:
    """Print the plot."""
    runs: dict[str, Rows] = {}
    for path in sys.argv[1:]:
        runs |= courses(json.loads(Path(path).read_text()))
    print(plot(runs), end="")


if __name__ == "__main__":
    main()
