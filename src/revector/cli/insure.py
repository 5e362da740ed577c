"""The command that puts aside what it takes to answer without the present model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, CollectionUrl, Encoders, ModelName, open_encoder, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit
from revector.formats.rows import read_texts
from revector.migration.insurance import DOCUMENTS


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(insure)


def insure(
    collection: CollectionUrl,
    model: ModelName,
    queries: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="Queries to measure with (.jsonl, .csv, .tsv: id and text); by default captured ones."),
    ] = None,
    documents: Annotated[int, typer.Option(help="Documents that are embedded with the other model.")] = DOCUMENTS,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Put aside, while the present model answers, what it takes to answer with another one once it is gone."""
    asked = None if queries is None else list(read_texts(queries).values())
    with opened(collection, encoder) as docs:
        made = docs.insure(open_encoder(model), queries=asked, documents=documents)
    steps = [f"revector doctor {shell(shown_place(collection))}"]
    emit(made, str(made), as_json=as_json, next_steps=steps)
