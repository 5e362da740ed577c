"""Adopting a user's collection: what is looked at, what is refused, and how its points are taken in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.beside.backend import BesideBackend
from revector.backends.beside.ledger_file import LedgerFile, files_of
from revector.backends.beside.places import Place, place_of
from revector.backends.beside.points import COLLECTION
from revector.backends.beside.source import ADOPTED, Source
from revector.backends.beside.store import VectorStore
from revector.backends.contracts import ALIAS
from revector.backends.contracts.adoption import Adopted, TableToAdopt, Tell
from revector.backends.identified import SAMPLE, identified, require_possible
from revector.backends.sqlite.generations import GenerationRecords
from revector.backends.sqlite.schema import METADATA, VERSION
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, StoreError

if TYPE_CHECKING:
    from revector.backends.beside.kind import BesideKind

POINTS_A_SLICE = 1_000
_ID = "id"


def adopt(
    kind: type[BesideKind],
    place: str,
    table: TableToAdopt,
    candidates: Sequence[TextEncoder],
    *,
    dry_run: bool,
    accept_unidentified: bool,
    tell: Tell,
) -> Adopted:
    """Make a collection of a user's points. See `revector.backends.contracts.adoption.AdoptingKind.adopt`.

    Raises
    ------
    InvalidArgumentError
        The collection cannot be adopted so, or its vectors are not those of a model that was given.
    StoreError
        There is a collection of that name, or the store refuses.
    """
    began, where = time.perf_counter(), _place(kind, place, table)
    with closing(kind.connect(where.store)) as store:
        collection = _collection(store, table, where)
        found = store.describe(collection)
        fields = tuple(field for text in table.text for field in text.split(","))
        source = Source(collection, where.name, fields, found["metric"])
        _require_adoptable(source, found, table)
        require_possible(candidates, found["dimension"], source.collection)
        tell("identifying the model")
        sample = _sample(store, source, found["dimension"])
        encoder, told = identified(*sample, candidates, found["dimension"], accept_unidentified=accept_unidentified)
        if _is_taken(where):
            raise StoreError(f"{where.url} is a collection already; choose another name, or release it first")
    contents = {"points": found.pop("points"), "sample with a text": len(sample[0])}
    if not dry_run:
        _adopt(kind, where, source, encoder, tell)
    facts = {"kind": "collection", "texts": table.text, "alias": source.alias, **found}
    took = time.perf_counter() - began
    return Adopted(where.url, facts, contents, None if told is None else asdict(told), (), took)


def _place(kind: type[BesideKind], place: str, table: TableToAdopt) -> Place:
    """Return the place of the new collection, whose name is in the URL, or said, or made of that of the user's."""
    url, _, fragment = place.partition("#")
    if fragment and table.name is not None:
        raise InvalidArgumentError("the collection is named twice, in the URL and by its own option; name it once")
    if table.vector is not None:
        if kind.vector_option is None:
            raise InvalidArgumentError("a point has one vector in this store; leave out --vector")
        url = f"{url}{'&' if '?' in url else '?'}{kind.vector_option}={table.vector}"
    name = fragment or table.name
    with closing(kind.connect(place_of(f"{url}#{name or table.table}", kind.secrets).store)) as store:
        if name is None:
            needs_another = store.capabilities.aliases and store.aliased(table.table) is None
            name = f"{table.table}_live" if needs_another else table.table
    return place_of(f"{url}#{name}", kind.secrets)


def _collection(store: VectorStore, table: TableToAdopt, where: Place) -> str:
    """Return the collection that is adopted: the one that is named, or that an alias of that name leads to."""
    collection = store.aliased(table.table) or table.table
    there = store.aliased(where.name) if store.capabilities.aliases else None
    if there is not None and there != collection:
        raise InvalidArgumentError(
            f"the alias {where.name} leads to {there}, not to {collection}; name the collection otherwise (--name)"
        )
    if store.capabilities.aliases and where.name in store.names():
        raise InvalidArgumentError(
            f"{where.name} is a collection, and readers need an alias, which has another name; say it with --name"
        )
    return collection


def _require_adoptable(source: Source, found: dict[str, Any], table: TableToAdopt) -> None:
    if table.id != _ID:
        raise InvalidArgumentError(f"a point has an id of its own in this store; say --id {_ID}, not {table.id}")
    if table.updated is not None:
        raise InvalidArgumentError("a point does not say when it was changed; leave out --updated")
    if missing := [field for field in source.text if found["fields"] and field not in found["fields"]]:
        raise InvalidArgumentError(
            f"no point of the sample has the field {', '.join(missing)}; there are: {', '.join(found['fields'])}"
        )


def _sample(store: VectorStore, source: Source, dimension: int) -> tuple[list[str], NDArray[np.float32]]:
    """Return the texts and vectors of some points that have a text."""
    texts: list[str] = []
    rows: list[NDArray[np.float32]] = []
    for page in store.scan(source.collection, batch=SAMPLE, vectors=True):
        assert page.vectors is not None
        for payload, vector in zip(page.payloads, page.vectors, strict=True):
            if text := source.text_of(payload):
                texts.append(text)
                rows.append(vector)
        if len(texts) >= SAMPLE:
            break
    return texts[:SAMPLE], np.array(rows[:SAMPLE], np.float32).reshape(len(texts[:SAMPLE]), dimension)


def _is_taken(where: Place) -> bool:
    """Whether there is a collection already; what an adoption that was cut off has left is none."""
    if not where.ledger.exists() or not where.ledger.stat().st_size:
        return False
    with closing(LedgerFile(where.ledger, where.url)) as database:
        database.ensure_schema("store", VERSION, METADATA)
        return database.note(ADOPTED) is None or GenerationRecords(database).alias(ALIAS) is not None


def _adopt(kind: type[BesideKind], where: Place, source: Source, encoder: TextEncoder, tell: Tell) -> None:
    for left in files_of(where.ledger):
        with suppress(FileNotFoundError):
            left.unlink()
    with closing(LedgerFile(where.ledger, where.url)) as database, database.transaction():
        database.ensure_schema("store", VERSION, METADATA)
        database.keep_note(ADOPTED, source.as_note())
        first = GenerationRecords(database).create(encoder.space, encoder.source)
        database.keep_note(f"{COLLECTION}{first.id}", source.collection)
    with closing(kind.opened(where)) as backend:
        _take_in(backend, source, first.id, tell)
        backend.generations.create_alias(ALIAS, first.id)


def _take_in(backend: BesideBackend, source: Source, generation: int, tell: Tell) -> None:
    """Note every point that is there, a page a transaction."""
    taken = 0
    for page in backend.store.scan(source.collection, batch=POINTS_A_SLICE):
        new = [source.document_of(id_, payload) for id_, payload in zip(page.ids, page.payloads, strict=True)]
        with backend.database.transaction() as connection:
            documents = backend.documents.take_in(new, seen_in=generation)
            backend.generations.note(connection, generation, [document.key for document in documents])
        taken += len(new)
        tell(f"{taken:,} points")
