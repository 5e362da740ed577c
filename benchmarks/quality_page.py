"""Write docs/quality.md from what `bench_maps` measured: ``quality_page.py FIGURES.json … > docs/quality.md``."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

Figures = Mapping[str, Any]

TEMPLATE = Path(__file__).with_name("quality_template.md")


def main() -> None:
    """Print the page."""
    records = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    contests = [contest for record in records for contest in record["contests"]]
    titles = list(dict.fromkeys(contest["title"] for contest in contests))
    by_title = {title: [c["figures"] for c in contests if c["title"] == title] for title in titles}
    parts = {
        "tables": "\n".join(f"## {title}\n\n{absolute(each)}\n{table(each)}" for title, each in by_title.items()),
        "trials": trials(by_title),
        "costs": costs(next(iter(by_title.values())), records[0]["machine"]),
    }
    print(Template(TEMPLATE.read_text()).substitute(parts), end="")


def absolute(figures: Iterable[Figures]) -> str:
    """Say what the full re-embed and the old model reach."""
    full = next(each for each in figures if "full" in each)
    old = next(each for each in figures if each.get("map") == "the old model alone")
    reached = ", ".join(f"{value:.3f} on {name}" for name, value in full["full"].items())
    said = (
        f"{full['documents']:,} documents, {full['held_out']:,} of them held out; {full['queries']:,} queries a seed, "
        f"{full['seeds']} seeds. A full re-embed reaches {reached}; the old model alone {share(old)} of that."
    )
    return textwrap.fill(said, 120) + "\n"


def table(figures: Iterable[Figures]) -> str:
    """Return a row for each map and number of pairs, a column for each direction and set of documents."""
    columns = [(d, w) for d in ("documents", "queries") for w in ("all documents", "held-out documents")]
    cells: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for each in figures:
        if each.get("pairs"):
            row = cells.setdefault((each["map"], each["pairs"]), {})
            row[each["direction"], each["documents"]] = share(each)
    lines = [
        "| map | pairs | docs → new, all | docs → new, held out | queries → old, all | queries → old, held out |",
        "|---|---|---|---|---|---|",
    ]
    for (name, pairs), row in cells.items():
        lines.append(f"| {name} | {int(pairs):,} | " + " | ".join(row.get(column, "") for column in columns) + " |")
    return "\n".join(lines) + "\n"


def trials(by_title: Mapping[str, list[Figures]]) -> str:
    """Return how far each trial is from the local residual, a column for each case and direction."""
    found = {
        (each["trial"], title, each["direction"]): each["lift"]
        for title, figures in by_title.items()
        for each in figures
        if "trial" in each and each["documents"].startswith("held")
    }
    names = list(dict.fromkeys(name for name, _, _ in found))
    columns = [(title, direction) for title in by_title for direction in ("documents", "queries")]
    heads = [f"{title}: {'docs → new' if d == 'documents' else 'queries → old'}" for title, d in columns]
    lines = ["| instead | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name in names:
        lifts = [found.get((name, *column)) for column in columns]
        lines.append(f"| {name} | " + " | ".join("" if lift is None else difference(lift) for lift in lifts) + " |")
    return "\n".join(lines) + "\n"


def costs(figures: Iterable[Figures], machine: Mapping[str, Any]) -> str:
    """Return CPU seconds to fit and to apply the maps of the most pairs."""
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for each in figures:
        if each.get("pairs") and "vectors in the index" not in each["map"]:
            rows.setdefault((each["map"], int(each["pairs"])), {}).update(each["seconds"])
    most = max(pairs for _, pairs in rows)
    lines = [
        f"CPU time on {machine['cpu']} ({machine['isa']}), beside other work, so an upper bound; {most:,} pairs.\n",
        "| map | fit, s | a query, ms | a million documents, s |",
        "|---|---|---|---|",
    ]
    for (name, pairs), seconds in rows.items():
        if pairs == most:
            query, million = seconds.get("a query", 0) * 1e3, seconds.get("a million", 0)
            lines.append(f"| {name} | {seconds['fit']:.2f} | {query:.2f} | {million:.1f} |")
    return "\n".join(lines) + "\n"


def share(interval: Figures) -> str:
    """Return a share with its interval, without leading zeros."""
    return f"{_short(interval['value'])} [{_short(interval['low'])}, {_short(interval['high'])}]"


def difference(lift: Figures) -> str:
    """Return a relative difference in percent with its interval."""
    return f"{lift['value']:+.1%} [{lift['low']:+.1%}, {lift['high']:+.1%}]"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    main()
