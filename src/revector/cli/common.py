"""What the commands share: options, opening things by name, output for people and for scripts, errors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from revector._places import file_of
from revector.collection import Collection
from revector.encoders.base import TextEncoder
from revector.errors import GateRefusedError, InvalidArgumentError, RevectorError

EXIT_ERROR = 1
EXIT_REFUSED = 3

MODEL_HELP = (
    "A model folder, a hub id, sentence-transformers:FOLDER-OR-ID to run it with torch, openai:NAME for a service, "
    "or the demo's wordllama and minilm."
)

CollectionUrl = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's database file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName = Annotated[
    str,
    typer.Option("--model", help=MODEL_HELP, metavar="MODEL"),
]


class CommandGroup(TyperGroup):
    """Commands that end with one line on stderr and an exit code where something is wrong on purpose."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn the library's errors into messages."""
        try:
            return super().invoke(ctx)
        except (RevectorError, ImportError) as error:  # an extra that is not installed says how to install it
            typer.echo(f"revector: {error}", err=True)
            raise typer.Exit(EXIT_REFUSED if isinstance(error, GateRefusedError) else EXIT_ERROR) from error


@contextmanager
def opened(url: str, *encoders: TextEncoder) -> Iterator[Collection]:
    """Open a collection that exists, and close it.

    Raises
    ------
    InvalidArgumentError
        There is no such collection.
    """
    if not exists(url):
        raise InvalidArgumentError(f"there is no collection at {url}; make one with: revector init {url} --model MODEL")
    with Collection.open(url, encoders=encoders) as collection:
        yield collection


def exists(url: str) -> bool:
    """Whether a collection is there; raise `InvalidArgumentError` for the URL of something else."""
    return file_of(url).exists()


def open_encoder(name: str) -> TextEncoder:
    """Load a model by folder, hub id or source, or by the name of one of the demo's models."""
    from revector.demo.models import MODELS, fetch_model
    from revector.encoders.sources import load_encoder

    return load_encoder(str(fetch_model(name)) if name in MODELS and not Path(name).exists() else name)


def emit(value: Any, shown: RenderableType, *, as_json: bool) -> None:
    """Print a result: as JSON, or as it is shown to people."""
    if as_json:
        typer.echo(json.dumps(value, default=_jsonable, ensure_ascii=False))
    else:
        Console(highlight=False).print(shown, crop=False)  # long commands stay whole, so that they can be copied


def fields(rows: Mapping[str, str]) -> Table:
    """Show names and values in two columns; values are printed as they are."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    for name, value in rows.items():
        table.add_row(name, Text(value, overflow="fold"))
    return table


def _jsonable(value: Any) -> Any:
    """Turn what `json` does not know into what it does."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
