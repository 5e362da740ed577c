"""A rehearsal from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.assess import JUDGED_HELP
from revector.cli.common import NICENESS, AsJson, CollectionUrl, Encoders, behind_searches, opened, shown_place
from revector.cli.endings import EXIT_REFUSED, shell
from revector.cli.printing import emit, fields
from revector.cli.progress import show_progress, show_seconds
from revector.formats.judgements import load_judgements
from revector.migration.rehearsal import Rehearsal


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(rehearse)


def rehearse(
    collection: CollectionUrl,
    nice: Annotated[int, typer.Option(min=0, max=19, help="How far to stand back behind other processes.")] = NICENESS,
    judged: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help=f"{JUDGED_HELP} Then the verdict of the model against itself is given as well."),
    ] = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Embed everything again by the present model, beside what serves, compare, and throw it away; 3 if it differs."""
    given = None if judged is None else load_judgements(judged)
    with behind_searches(nice), opened(collection, encoder) as docs, show_progress() as on_progress:
        found = docs.rehearse(on_progress, queries=given)
    steps = [f"revector start {shell(shown_place(collection))} --model MODEL"] if found.passed else []
    emit({**found.to_json(), "next_steps": steps}, fields(_rows(found)), as_json=as_json)
    if not found.passed:
        raise typer.Exit(EXIT_REFUSED)


def _rows(found: Rehearsal) -> dict[str, str]:
    equal = f"{found.identical:,} of {found.compared:,} vectors are equal in every bit"
    return {
        "documents": f"{found.documents:,}, {found.failed:,} of them could not be embedded",
        "vectors": f"{equal}; lowest cosine {found.lowest_cosine:.6f}; digest {found.digest[:16]}",
        "searches": f"{found.same_hits:.1%} of the hits are the same",
        **({"verdict": found.verdict} if found.verdict else {}),
        "time": f"{show_seconds(found.seconds)}, expected {show_seconds(found.planned_seconds)}",
        "storage": f"{found.bytes / 1e6:,.1f} MB more, expected at most {found.planned_bytes / 1e6:,.1f} MB",
        "outcome": "; ".join(found.reasons) or "passed; it has been thrown away",
    }
