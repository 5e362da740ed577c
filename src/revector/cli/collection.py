"""Commands for the collection itself: make it, fill it, search it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Optional

import typer

from revector._arguments import shown
from revector.cli.common import (
    AsJson,
    CollectionUrl,
    Encoders,
    ModelName,
    TemplateFields,
    holds_collection,
    open_encoder,
    opened,
    shown_place,
)
from revector.cli.endings import EXIT_ERROR, CommandError, shell
from revector.cli.printing import complain, emit, spinner, table
from revector.collection import Collection
from revector.errors import InvalidArgumentError, RefusedDocumentsError, RevectorError
from revector.formats.json_lines import parse_json_object
from revector.formats.rows import DocumentRow, read_documents

ROWS_A_BATCH = 256
SNIPPET_CHARACTERS = 160


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(init)
    app.command()(add)
    app.command()(search)


def init(collection: CollectionUrl, model: ModelName, template: TemplateFields = None, as_json: AsJson = False) -> None:
    """Make an empty collection that is served with a model."""
    if holds_collection(collection):
        raise CommandError(
            f"{shown_place(collection)} is there already; add documents to it, or choose another name",
            f"revector add {shell(shown_place(collection))} FILE",
        )
    encoder = open_encoder(model, template)
    with Collection.open(collection, encoder):
        pass
    place = shown_place(collection)
    made = {"collection": place, "space": encoder.space, "source": encoder.source}
    steps = [f"revector add {shell(place)} FILE"]
    emit(made, f"made {place}, served with {encoder.space}", as_json=as_json, next_steps=steps)


def add(
    collection: CollectionUrl,
    file: Annotated[
        str,
        typer.Argument(help="JSON lines, a CSV or TSV table (may be gzip), Parquet, or a folder of texts. - is stdin."),
    ] = "-",
    vectors: Annotated[
        bool,
        typer.Option(
            "--vectors", help="Take the vectors from the file, too: .parquet, .jsonl, or .npy with its rows beside it."
        ),
    ] = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Insert documents, or replace those with the same id.

    A row has an 'id' (or '_id', as in BEIR) and a 'text'; a 'title' is put before the text, unless the collection's
    template gives the model that field. Every other field, and those of an object named 'metadata', become the
    document's metadata; vectors are left out. In a folder, each .txt, .md or .rst file is a document, and its path in
    there the id. Files are UTF-8, whatever the locale says. A row that cannot be read ends the command; the batches
    before it stay. Texts that the model refuses are listed with their lines, and all others added; the exit code is 1
    then.

    With --vectors nothing is embedded: the vectors must be of the model that serves, by what the file says of them or
    by a sample that is embedded again.
    """
    if vectors:
        _add_vectors(collection, file, encoder, as_json=as_json)
        return
    refused: list[dict[str, str]] = []
    with opened(collection, encoder) as docs:
        n_added = 0
        apart = any("title" in space.template.fields for space in docs.spaces if space.template is not None)
        for batch, reasons in _added(docs, read_documents(file, title_apart=apart)):
            n_added += len(batch) - len(reasons)
            for where, id_ in ((row.where, row.id) for row in batch if row.id in reasons):
                complain(f"{where}: {id_!r} was refused: {reasons[id_]}")
                refused.append({"where": where, "id": id_, "reason": reasons[id_]})
        docs.prepare()  # a command that searches ends before it could be done behind its search
        n_documents = len(docs)
    place = shown_place(collection)
    result: dict[str, Any] = {"collection": place, "added": n_added, "documents": n_documents}
    if refused:
        result["refused"] = refused
    steps = [f"revector search {shell(place)} QUERY"]
    said = f"added {n_added:,} documents; {place} holds {n_documents:,}"
    emit(result, said, as_json=as_json, next_steps=steps)
    if refused:
        raise typer.Exit(EXIT_ERROR)


def _add_vectors(collection: str, file: str, encoder: list[str] | None, *, as_json: bool) -> None:
    with opened(collection, encoder) as docs, spinner("adding documents") as status:
        made = docs.import_vectors(file, on_progress=lambda done: status.update(f"added {done:,} documents"))
        docs.prepare()
        n_documents = len(docs)
    place = shown_place(collection)
    lacking = f", {made.without_vector:,} of them without a vector" if made.without_vector else ""
    said = f"added {made.documents:,} documents{lacking}, with vectors of {made.space}; {place} holds {n_documents:,}"
    result = {"collection": place, "added": made.documents, "documents": n_documents, **made.to_json()}
    embed = [f"revector run {shell(place)} --follow"] if made.without_vector else []
    emit(result, said, as_json=as_json, next_steps=[*embed, f"revector search {shell(place)} QUERY"])


def search(
    collection: CollectionUrl,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    where: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(
            "--where",
            metavar="FILTER",
            help="Only documents whose metadata match: tenant=a, or JSON such as "
            """'{"tenant": "a", "year": {">=": 2020}}'; of several, all must hold.""",
        ),
    ] = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Search, in whatever phase a migration is."""
    filters = [_filter(given) for given in where or ()]
    with opened(collection, encoder) as docs:
        docs.load_models()  # a command that searches ends before one could be loaded behind its search
        hits = docs.search(query, k=k, where={"and": filters} if filters else None)
    shown = table({"score": "dim", "id": "", "text": ""}, [(f"{h.score:.3f}", h.id, _snippet(h.text)) for h in hits])
    emit({"query": query, "hits": hits}, shown if hits else "no documents", as_json=as_json)
    if hits and hits[0].degraded is not None and not as_json:
        complain(f"this answer may be worse than usual: {hits[0].degraded}")


def _filter(given: str) -> dict[str, Any]:
    """Read a filter: a JSON object, or ``field=value``, where a value that is not JSON is a text."""
    if given.lstrip().startswith("{"):
        return parse_json_object("--where", given)
    field, equals, value = given.partition("=")
    if not equals:
        raise InvalidArgumentError(f"--where is {shown(given)}, expected FIELD=VALUE or a JSON object")
    try:
        return {field: json.loads(value)}
    except (ValueError, RecursionError):
        return {field: value}


def _snippet(text: str) -> str:
    if not text.strip():
        return "(its text is gone)"
    return text if len(text) <= SNIPPET_CHARACTERS else text[:SNIPPET_CHARACTERS].rsplit(" ", 1)[0] + " …"


def _added(docs: Collection, rows: Iterable[DocumentRow]) -> Iterator[tuple[list[DocumentRow], dict[str, str]]]:
    """Add documents; yield each batch with the reasons, by id, why some of it were refused."""
    n_done, began = 0, time.monotonic()
    with spinner("adding documents") as status:
        try:
            for batch in _batches(rows):
                yield batch, _add(docs, batch)
                n_done += len(batch)
                rate = n_done / max(time.monotonic() - began, 1e-9)
                status.update(f"added {n_done:,} documents, {rate:,.0f} a second")
        except RevectorError:
            if n_done:
                complain(f"revector: the first {n_done:,} documents were added before this:")
            raise


def _add(docs: Collection, batch: list[DocumentRow]) -> dict[str, str]:
    """Add documents; return by id why some were refused."""
    docs.load_models()  # a command that adds ends before one could be loaded behind its writes
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
