"""What the commands share: options, opening things by name, output for people and for scripts, errors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console, RenderableType
from rich.table import Table
from typer.core import TyperGroup

from revector.collection import Collection
from revector.encoders.base import TextEncoder
from revector.errors import GateRefusedError, InvalidArgumentError, RevectorError

EXIT_ERROR = 1
EXIT_REFUSED = 3

CollectionUrl = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's database file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName = Annotated[
    str,
    typer.Option("--model", help="A model folder, a hub id, or the demo's wordllama and minilm.", metavar="MODEL"),
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
    """Whether a collection is there; one on a server is asked when it is opened."""
    return "://" in url or Path(url).exists()


def open_encoder(name: str) -> TextEncoder:
    """Load a model by folder, by hub id, or by the name of one of the demo's models."""
    from revector.demo.models import MODELS, fetch_model
    from revector.encoders.native import Encoder

    return Encoder.from_pretrained(fetch_model(name) if name in MODELS and not Path(name).exists() else name)


def emit(value: Any, shown: RenderableType, *, as_json: bool) -> None:
    """Print a result: as JSON, or as it is shown to people."""
    if as_json:
        typer.echo(json.dumps(plain(value), ensure_ascii=False))
    else:
        Console().print(shown, crop=False)


def plain(value: Any) -> Any:
    """Turn dataclasses, enums, arrays and paths into plain JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def fields_table(value: Any, *, title: str | None = None) -> Table:
    """Show the fields of a dataclass or mapping, those without a value left out."""
    table = Table(title=title, show_header=False, box=None, title_justify="left", title_style="bold")
    for name, item in plain(value).items():
        if item not in (None, [], {}):
            table.add_row(f"[dim]{name.replace('_', ' ')}[/dim]", _cell(item))
    return table


def _cell(item: Any) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:,.4g}" if abs(item) < 1e4 else f"{item:,.0f}"
    if isinstance(item, dict):
        return ", ".join(f"{key} {_cell(part)}" for key, part in item.items())
    if isinstance(item, list):
        return "\n".join(_cell(part) for part in item)
    return f"{item:,}" if isinstance(item, int) else str(item)
