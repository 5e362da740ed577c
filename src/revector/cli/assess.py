"""The command that says whether a new model is worth it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from revector.cli.common import AsJson, CollectionUrl, Encoders, ModelName, open_encoder, opened
from revector.cli.endings import EXIT_REFUSED
from revector.cli.printing import emit
from revector.formats.judgements import load_judgements

JUDGED_HELP = (
    "Judged queries: a folder in the layout of BEIR or TREC, rows of query, document and grade (JSON lines, CSV), or a "
    "log of clicks."
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(assess)


def assess(
    collection: CollectionUrl,
    model: ModelName,
    judged: Annotated[
        Path,
        typer.Option(help=JUDGED_HELP),
    ],
    min_lift: Annotated[float, typer.Option(help="Least lift on nDCG@10 that is worth a migration.")] = 0.0,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Compare the serving model with a new one on judged queries; exit with 3 unless the verdict is to migrate."""
    from revector.evaluation.verdict import Decision

    given = load_judgements(judged)
    with opened(collection, encoder) as docs:
        verdict = docs.assess(open_encoder(model), given.queries, given.qrels, min_lift=min_lift)
    emit(verdict, str(verdict), as_json=as_json)
    if verdict.decision is not Decision.MIGRATE:
        raise typer.Exit(EXIT_REFUSED)
