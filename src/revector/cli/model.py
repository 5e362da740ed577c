"""The command that says where a model is now."""

from __future__ import annotations

from typing import Annotated

import typer

from revector.cli.common import MODEL_HELP, AsJson, CollectionUrl, open_encoder, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(model)


def model(
    collection: CollectionUrl,
    place: Annotated[str, typer.Option("--set", metavar="PATH", help=f"Where the model is now. {MODEL_HELP}")],
    same_space: Annotated[
        bool,
        typer.Option(
            "--same-space",
            help="Let it be another model by its contract, if it is proved to give what is stored: nothing is rebuilt.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say where a model of the collection is now, after its folder was moved or the database was taken elsewhere.

    The model is loaded, and is written down only if it is the same as before. A folder beside the database is written
    with its way from there, so that both can be moved together.
    """
    encoder = open_encoder(place)
    with opened(collection) as docs:
        docs.remember(encoder, same_space=same_space)
    where = shown_place(collection)
    result = {"collection": where, "space": encoder.space, "source": encoder.source}
    steps = [f"revector doctor {shell(where)}"]
    emit(result, f"{where} finds {encoder.space} at {encoder.source}", as_json=as_json, next_steps=steps)
