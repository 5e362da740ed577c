"""Commands for the collection itself: make it, fill it, search it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from revector.cli.common import EXIT_ERROR, AsJson, CollectionUrl, ModelName, emit, exists, open_encoder, opened
from revector.collection import Collection
from revector.errors import InvalidArgumentError, RefusedDocumentsError
from revector.formats.rows import DocumentRow, read_documents

ROWS_A_BATCH = 256
SNIPPET_CHARACTERS = 160


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
    file: Annotated[str, typer.Argument(help="JSON lines, or a CSV or TSV table; may be gzip. - reads stdin.")] = "-",
    as_json: AsJson = False,
) -> None:
    """Insert documents, or replace those with the same id.

    A row has an 'id' (or '_id', as in BEIR) and a 'text'; a 'title' is put before the text. Every other field, and
    those of an object named 'metadata', become the document's metadata. Files are UTF-8, whatever the locale says. A
    row that cannot be read ends the command; the batches before it stay. Texts that the model refuses are listed with
    their lines, and all others added; the exit code is 1 then.
    """
    rows = read_documents(file)
    refused: list[dict[str, str]] = []
    with opened(collection) as docs, Console(stderr=True).status("adding documents") as status:
        n_added = 0
        for batch in _batches(rows):
            reasons = _add(docs, batch)
            n_added += len(batch) - len(reasons)
            for where, id_ in ((row.where, row.id) for row in batch if row.id in reasons):
                typer.echo(f"{where}: {id_!r} was refused: {reasons[id_]}", err=True)
                refused.append({"where": where, "id": id_, "reason": reasons[id_]})
            status.update(f"added {n_added:,} documents")
        n_documents = len(docs)
    result: dict[str, Any] = {"collection": collection, "added": n_added, "documents": n_documents}
    if refused:
        result["refused"] = refused
    emit(result, f"added {n_added:,} documents; {collection} holds {n_documents:,}", as_json=as_json)
    if refused:
        raise typer.Exit(EXIT_ERROR)


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


def _add(docs: Collection, batch: list[DocumentRow]) -> dict[str, str]:
    """Add documents; return by id why some were refused."""
    try:
        docs.upsert([row.id for row in batch], [row.text for row in batch], [row.metadata for row in batch])
    except RefusedDocumentsError as error:
        return error.refused
    return {}


def _batches(rows: Iterable[DocumentRow]) -> Iterator[list[DocumentRow]]:
    batch: dict[str, DocumentRow] = {}  # of rows with the same id, the last one counts
    for row in rows:
        batch[row.id] = row
        if len(batch) == ROWS_A_BATCH:
            yield list(batch.values())
            batch = {}
    if batch:
        yield list(batch.values())
