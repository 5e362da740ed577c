"""Make a page of what `bench_curves` measured: ``curves_page.py FIGURES.json PLOT.svg > PAGE.md``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import markdown

Rows = Sequence[Mapping[str, Any]]

COLOURS = {
    "background, 50 re-scored": "#4477aa",
    "background, 10 re-scored": "#66ccee",
    "on-read": "#228833",
    "old model gone, 50 re-scored": "#aa3377",
    "ridge-mapped mix": "#ee6677",
    "RRF": "#ccbb44",
    "calibrated merge": "#bbbbbb",
}
WIDTH, HEIGHT, LEFT, TOP, LEGEND = 430, 260, 45, 30, 44

TEMPLATE = """# Quality while documents move

nDCG@10 at every share of the documents moved, and in the phases after that; each query is asked by itself, and what a
search embeds is not stored, so that the share stays what it is. *old* and *new* are exact search with either model. The
first ways are what people try themselves: the two generations' rankings fused (RRF, standardised scores), and one index
over moved documents and all others as they are, or mapped by a ridge fitted on 5,000 pairs.

```sh
export REVECTOR_BENCH_MODELS=wordllama:minilm:bge REVECTOR_BENCH_COLLECTIONS=debian:wordnet  # folders
python benchmarks/bench_curves.py --json benchmarks/results/curves.json
python benchmarks/curves_page.py benchmarks/results/curves.json docs/curves.svg >docs/curves.md
```

![nDCG@10 by share of documents moved, for each pair of models and collection](curves.svg)
"""


def shares(row: Mapping[str, Any]) -> dict[float, float]:
    """Return the quality by share moved, without the phases."""
    return {float(name[:-1]): value for name, value in row.items() if name.endswith("%")}


def plot(pairs: Mapping[str, Rows], models: Mapping[str, Mapping[str, float]]) -> str:
    """Return the drawing: a panel for each pair, both models dashed."""
    panels = "".join(_panel(rows, title, models[title], place) for place, (title, rows) in enumerate(pairs.items()))
    high = HEIGHT * math.ceil(len(pairs) / 2)
    legend = "".join(
        f'<text x="{LEFT + place % 4 * 205}" y="{high + 16 + place // 4 * 16}" fill="{colour}">■ {name}</text>'
        for place, (name, colour) in enumerate(COLOURS.items())
    )
    size = f'width="{WIDTH * 2}" height="{high + LEGEND}"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    style = 'font-family="sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{ground}{panels}{legend}</svg>\n'


def _panel(rows: Rows, title: str, models: Mapping[str, float], place: int) -> str:
    left, top = place % 2 * WIDTH + LEFT, place // 2 * HEIGHT + TOP
    drawn = {row["way"]: shares(row) for row in rows if row["way"] in COLOURS}
    values = [value for points in drawn.values() for value in points.values()] + list(models.values())
    low, high = math.floor(20 * min(values)) / 20, math.ceil(20 * max(values)) / 20

    def at(share: float, value: float) -> str:
        across = left + share / 100 * (WIDTH - LEFT - 20)
        return f"{across:.1f},{top + (high - value) / (high - low) * (HEIGHT - TOP - 35):.1f}"

    parts = [f'<text x="{left}" y="{top - 12}" font-weight="bold">{title}</text>']
    for step in range(round(20 * low), round(20 * high) + 1):
        beside = at(0, step / 20).split(",")[1]
        parts.append(f'<text x="{left - 6}" y="{beside}" text-anchor="end">{step / 20:.2f}</text>')
    for share in (0, 25, 50, 75, 100):
        across = at(share, low).split(",")[0]
        parts.append(f'<text x="{across}" y="{top + HEIGHT - TOP - 18}" text-anchor="middle">{share} %</text>')
    for value in models.values():
        parts.append(f'<polyline points="{at(0, value)} {at(100, value)}" stroke="#888" stroke-dasharray="5 4"/>')
    for name, points in drawn.items():
        line = " ".join(at(share, value) for share, value in points.items())
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
    return "".join(parts)


def main() -> None:
    """Write the plot, and print the page."""
    record = json.loads(Path(sys.argv[1]).read_text())
    tables = {each["title"]: each["rows"] for each in record["contests"] if "rows" in each}
    models = {each["title"].partition(":")[0]: each["figures"] for each in record["contests"] if "figures" in each}
    pairs = {title.partition(":")[0]: rows for title, rows in tables.items() if title.endswith("nDCG@10")}
    Path(sys.argv[2]).write_text(plot(pairs, models))
    print(TEMPLATE)
    for title, rows in tables.items():
        pair, _, what = title.partition(": ")
        if what == "nDCG@10":
            print(f"## {pair}\n\nold {models[pair]['old']:.3f}, new {models[pair]['new']:.3f}\n")
        else:
            print(f"### {what}\n")
        print(markdown([{name: _short(value) for name, value in row.items()} for row in rows]) + "\n")
    print(", ".join(f"{name} {value}" for name, value in record["machine"].items()))


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else float(f"{value:.3g}")


if __name__ == "__main__":
    main()
