"""Taking an index file in: its vectors, and the documents that they are of, which are in a file of the user's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from revector._arguments import shown
from revector.backends.arguments import checked_documents
from revector.backends.beside.ledger_file import files_of
from revector.backends.contracts import ALIAS
from revector.backends.contracts.adoption import Adopted, TableToAdopt, Tell
from revector.backends.identified import SAMPLE, identified, require_possible
from revector.backends.index_files.formats import IndexFile, read
from revector.backends.sqlite import SqliteBackend
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, StoreError
from revector.formats.rows import read_rows

if TYPE_CHECKING:
    from revector.backends.index_files.kind import FilePlace

NOTE = "index_file"
"""Under which the ledger has what is known of the file."""
DOCUMENTS_AT_ONCE = 1_000
LABEL = "label"
"""The field of the metadata that holds a document's label, where the documents' file has none."""


class _Row(NamedTuple):
    id: str
    text: str
    metadata: dict[str, Any]
    label: int


def adopt(
    where: FilePlace,
    table: TableToAdopt,
    candidates: Sequence[TextEncoder],
    *,
    dry_run: bool,
    accept_unidentified: bool,
    tell: Tell,
) -> Adopted:
    """Make a collection of a file's vectors; see `revector.backends.contracts.adoption.AdoptingKind.adopt`.

    Raises
    ------
    InvalidArgumentError
        The files do not fit together, or the vectors are not those of a model that was given.
    StoreError
        The index file cannot be read, or was adopted already.
    """
    began = time.perf_counter()
    _require_new(where)
    tell("reading the vectors")
    dimensions = sorted({encoder.space.dimension for encoder in candidates}) or [1]
    file = read(where.scheme, where.file, dimensions[0], candidates[0].space.metric if candidates else "cosine")
    places = {label: place for place, label in enumerate(file.labels.tolist())}
    require_possible(candidates, file.vectors.shape[1], str(where.file))
    sample = [row for row in islice(_rows(table), SAMPLE) if row.label in places and row.text]
    vectors = file.vectors[[places[row.label] for row in sample]]
    tell("identifying the model")
    texts, dimension = [row.text for row in sample], file.vectors.shape[1]
    encoder, told = identified(texts, vectors, candidates, dimension, accept_unidentified=accept_unidentified)
    if not dry_run:
        _take_in(where, table, file, places, encoder, tell)
    facts = {"kind": where.scheme, "dimension": file.vectors.shape[1], "texts": table.text, **file.parameters}
    identification = None if told is None else asdict(told)
    took = time.perf_counter() - began
    return Adopted(where.url, facts, {"vectors": len(file.labels)}, identification, (), took)


def _require_new(where: FilePlace) -> None:
    if not SqliteBackend.is_there(where.ledger):
        return
    with closing(SqliteBackend.open(where.ledger)) as backend:
        if backend.generations.alias(ALIAS) is not None or backend.ledger.notes.get(NOTE) is None:
            raise StoreError(f"{where.ledger} is a collection already; release it first, or say another ?ledger=")


def _take_in(
    where: FilePlace, table: TableToAdopt, file: IndexFile, places: dict[int, int], encoder: TextEncoder, tell: Tell
) -> None:
    for left in files_of(where.ledger):  # of a call that was cut off
        with suppress(FileNotFoundError):
            left.unlink()
    with closing(SqliteBackend.open(where.ledger)) as backend:
        note = {"label": table.vector or LABEL, "parameters": file.parameters}
        backend.ledger.notes.keep(NOTE, note)
        generation = backend.generations.create(encoder.space, encoder.source)
        rows, taken = _rows(table), 0
        while some := list(islice(rows, DOCUMENTS_AT_ONCE)):
            new = checked_documents([r.id for r in some], [r.text for r in some], [r.metadata for r in some])
            known = [place for place, row in enumerate(some) if row.label in places]
            with backend.transaction():
                documents = backend.documents.put(new)
                backend.generations.put(
                    generation.id,
                    [documents[place].key for place in known],
                    [documents[place].content_hash for place in known],
                    file.vectors[[places[some[place].label] for place in known]],
                )
            taken += len(some)
            tell(f"{taken:,} documents")
        with backend.transaction():
            backend.generations.create_alias(ALIAS, generation.id)


def _rows(table: TableToAdopt) -> Iterator[_Row]:
    """Yield the documents of the user's file; raise `InvalidArgumentError` for one that is none."""
    fields = tuple(field for text in table.text for field in text.split(","))
    for place, (where, row) in enumerate(read_rows(table.table, ((table.id,), fields))):
        given = row.get(table.id)
        if isinstance(given, bool) or not isinstance(given, (str, int)):
            raise InvalidArgumentError(f"{where}: {table.id!r} is {shown(given)}, expected a string or an integer")
        found = [row.get(field) for field in fields]
        text = "\n\n".join(each for each in found if isinstance(each, str) and each)
        metadata = {name: value for name, value in row.items() if name not in (table.id, *fields)}
        yield _Row(str(given), text, {LABEL: place, **metadata}, _label(where, row, table.vector, place))


def _label(where: str, row: Any, field: str | None, place: int) -> int:
    if field is None:
        return place
    try:
        return int(row[field])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{where}: {field!r} is {shown(row.get(field))}, expected a label") from error


def labels_of(metadata: Sequence[dict[str, Any]], field: str) -> list[int | None]:
    """Return the labels of documents; ``None`` for those that were added since."""
    found = [fields.get(field) for fields in metadata]
    return [int(value) if isinstance(value, (int, str, np.integer)) else None for value in found]
