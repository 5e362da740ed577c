"""Commands for the collection itself: make it, fill it, search it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from revector.cli.common import AsJson, CollectionUrl, ModelName, emit, exists, open_encoder, opened
from revector.collection import Collection
from revector.demo.corpus import parse_json_object, read_json_lines, text_of_row
from revector.errors import InvalidArgumentError

ROWS_A_BATCH = 256
SNIPPET_CHARACTERS = 160

Row = tuple[str, str, dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(init)
    app.command()(add)
    app.command()(search)


def init(collection: CollectionUrl, model: ModelName, as_json: AsJson = False) -> None:
    """Make an empty collection that is served with a model."""
    if exists(collection):
        raise InvalidArgumentError(f"{collection} is there already; add documents to it, or choose another name")
    encoder = open_encoder(model)
    with Collection.open(collection, encoder):
        pass
    made = {"collection": collection, "space": encoder.space, "source": encoder.source}
    emit(made, f"made {collection}, served with {encoder.space}", as_json=as_json)


def add(
    collection: CollectionUrl,
    file: Annotated[str, typer.Argument(help="JSON lines with id, text, metadata; - reads stdin.")] = "-",
    as_json: AsJson = False,
) -> None:
    """Insert documents, or replace those with the same id."""
    rows = _rows(file)
    with opened(collection) as docs, Console(stderr=True).status("adding documents") as status:
        n_added = 0
        for batch in _batches(rows):
            ids, texts, metadata = (list(column) for column in zip(*batch, strict=True))
            docs.upsert(ids, texts, metadata)
            n_added += len(batch)
            status.update(f"added {n_added:,} documents")
        n_documents = len(docs)
    result = {"collection": collection, "added": n_added, "documents": n_documents}
    emit(result, f"added {n_added:,} documents; {collection} holds {n_documents:,}", as_json=as_json)


def search(
    collection: CollectionUrl,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Search, in whatever phase a migration is."""
    with opened(collection) as docs:
        hits = docs.search(query, k=k)
    table = Table(box=None, pad_edge=False)
    for column in ("score", "id", "text"):
        table.add_column(column, style="dim" if column == "score" else None, overflow="fold")
    for hit in hits:
        table.add_row(f"{hit.score:.3f}", hit.id, _snippet(hit.text))
    emit({"query": query, "hits": hits}, table if hits else "no documents", as_json=as_json)


def _snippet(text: str) -> str:
    return text if len(text) <= SNIPPET_CHARACTERS else text[:SNIPPET_CHARACTERS].rsplit(" ", 1)[0] + " …"


def _rows(file: str) -> Iterator[Row]:
    """Yield id, text and metadata of each row of a file, or of stdin."""
    for where, row in _stdin_lines() if file == "-" else read_json_lines(Path(file)):
        metadata = row.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise InvalidArgumentError(f"{where}: 'metadata' is {metadata!r}, expected an object")
        yield (*text_of_row(where, row), metadata)


def _stdin_lines() -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(sys.stdin, start=1):
        if line.strip():
            yield f"stdin:{number}", parse_json_object(f"stdin:{number}", line)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: dict[str, Row] = {}  # of rows with the same id, the last one counts
    for row in rows:
        batch[row[0]] = row
        if len(batch) == ROWS_A_BATCH:
            yield list(batch.values())
            batch = {}
    if batch:
        yield list(batch.values())
