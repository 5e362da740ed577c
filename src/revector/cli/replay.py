"""The command that asks queries of both generations of a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, CollectionUrl, Encoders, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, fields
from revector.search.replay import Replay, Side

SHOWN_QUERIES = 5


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(replay)


def replay(
    collection: CollectionUrl,
    queries: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="Queries with ids (JSON lines, .csv or .tsv); by default those that were captured."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Documents a query.")] = 10,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Ask captured queries of both generations, and report what differs: documents found, their order, latency."""
    from revector.formats.rows import read_texts

    given = None if queries is None else list(read_texts(queries).values())
    with opened(collection, encoder) as docs:
        found = docs.replay(given, k)
    emit(found, fields(_rows(found)), as_json=as_json, next_steps=[f"revector status {shell(shown_place(collection))}"])


def _rows(found: Replay) -> dict[str, str]:
    different = [each for each in found.queries if each.overlap < 1][:SHOWN_QUERIES]
    rows = {
        "queries": f"{len(found.queries):,}",
        "in common": f"{found.overlap:.1%} of the nearest {found.k}",
        "rank-biased overlap": f"{found.rank_biased_overlap:.3f}",
        "old": _side(found.old),
        "new": _side(found.new),
    }
    if different:
        rows["most different"] = "\n".join(f"{each.overlap:.0%}  {each.query}" for each in different)
    return rows


def _side(side: Side) -> str:
    return (
        f"{side.model}, {side.vectors:,} vectors: {side.p50_ms:.1f} ms in the median, {side.p99_ms:.1f} ms at the 99th "
        f"percentile; {side.empty:,} queries found nothing"
    )
