"""The command that makes a model folder of an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson
from revector.cli.endings import shell
from revector.cli.printing import emit, fields


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(import_model)


def import_model(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="An ONNX file, or the folder of one.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The model folder to make.")],
    pooling: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="mean|cls", help="How token states become a vector, if SOURCE does not say so."),
    ] = None,
    query_prefix: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What the model wants before every query, if SOURCE does not say so."),
    ] = None,
    max_length: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Tokens kept of a text."),
    ] = None,
    tolerance: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Largest accepted distance of a unit row from onnxruntime's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a model of the BERT family that exists as ONNX only: optimised, in half precision or quantised, too."""
    from revector.encoders.importing import folder

    made = folder.import_model(
        source,
        target,
        pooling=pooling,  # type: ignore[arg-type]  # it says itself what it accepts
        query_prefix=query_prefix,
        max_length=max_length,
        tolerance=tolerance,
    )
    compared = made.comparison
    shown = {
        "made": made.target,
        "of": made.source,
        "parameters": f"{made.parameters:,}",
        "pooling": made.pooling,
        "max length": f"{made.max_length} tokens",
        "compared": "not compared: pip install onnxruntime, and import again"
        if compared is None
        else f"{compared.texts} texts with onnxruntime: rows lie at most {compared.largest_distance:.2g} apart, "
        f"elements {compared.largest_difference:.2g}",
    }
    steps = [f"revector init COLLECTION --model {shell(str(made.target))}"]
    emit(made, fields(shown), as_json=as_json, next_steps=steps)
