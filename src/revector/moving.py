"""Moving a collection to another store: its documents, the vectors that serve, and their space; nothing is embedded.

The new one is no collection before all of it is there: its alias is made last. Whoever was cut off does the same again,
and only what is missing is written.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from revector.backends.contracts import Backend, Document, Generation, NewDocument
from revector.encoders.sources import missing, places, remembered
from revector.errors import CancelledError, InvalidArgumentError, MigrationError
from revector.migration.asking import reconcile
from revector.migration.inputs import fields_read, hashed
from revector.migration.patience import patient

__all__ = ["Moved", "move"]

DOCUMENTS_AT_ONCE = 512
MOST_PASSES = 10
"""Each takes along what was written during the one before."""
_NOTE = "move"


@dataclass(frozen=True)
class Moved:
    """What was moved.

    Attributes
    ----------
    to : str
        Where the collection is now as well.
    documents : int
        How many it holds there.
    written : int
        How many of them this call has written.
    without_vector : int
        Those whose present text had no vector; the new place has jobs for them, which `follow` does.
    space : str
        Of the vectors.
    """

    to: str
    documents: int
    written: int
    without_vector: int
    space: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)


def move(
    source: Backend,
    serving: Generation,
    target: Backend,
    on_progress: Callable[[int, int], object] | None = None,
    stop: threading.Event | None = None,
) -> Moved:
    """Copy a collection into an empty place; see `Collection.move`."""
    if (active := source.ledger.active(source.alias)) is not None:
        raise MigrationError(
            f"migration {active.id} of {source.place} is {active.phase}; retire it, or roll it back and retire it, and "
            "move then"
        )
    if target.generations.alias(target.alias) is not None:
        raise InvalidArgumentError(f"{target.place} is a collection already; choose another place")
    generation = _begun(source, serving, target)
    written = 0
    for _ in range(MOST_PASSES):
        taken = _pass(source, serving, target, generation, on_progress, stop) + _deleted(source, target)
        written += taken
        if not taken:
            break
    else:
        raise MigrationError(
            f"{source.place} was written to during each of {MOST_PASSES} passes; let its writers rest, and say the "
            "same again"
        )
    target.index.prepare(generation)
    with target.transaction():
        target.generations.create_alias(target.alias, generation.id)
        target.ledger.notes.drop(_NOTE)
    reconcile(target, generation.id)
    without = target.generations.count_stale(generation.id)
    return Moved(target.place, target.documents.count(), written, without, str(generation.space))


def _begun(source: Backend, serving: Generation, target: Backend) -> Generation:
    """Return the generation that is filled: that of a call that was cut off, or a new one.

    Raises
    ------
    InvalidArgumentError
        Something else was begun there.
    """
    mark = {"from": source.place, "space": serving.space.fingerprint}
    with target.transaction():
        known, there = target.ledger.notes.get(_NOTE), target.generations.all()
        if known is not None and {name: known.get(name) for name in mark} != mark:
            raise InvalidArgumentError(f"{target.place} holds the beginning of another move; choose another place")
        if found := [each for each in there if known is not None and each.id == known["generation"]]:
            return found[0]
        if known is None and target.documents.count():
            raise InvalidArgumentError(f"{target.place} holds documents already; choose another place")
        generation = target.generations.create(serving.space, _written(source, serving, target))
        target.ledger.notes.keep(_NOTE, {**mark, "generation": generation.id})
    return generation


def _written(source: Backend, serving: Generation, target: Backend) -> str | None:
    """Return where the model is, as the other place writes it down."""
    written = serving.encoder_source
    if written is not None and source.folder is not None:
        likely = places(written, source.folder)
        written = next((each for each in likely if not missing(each)), likely[-1])
    return written if written is None or target.folder is None else remembered(written, target.folder)


def _pass(
    source: Backend,
    serving: Generation,
    target: Backend,
    generation: Generation,
    on_progress: Callable[[int, int], object] | None,
    stop: threading.Event | None,
) -> int:
    total, seen, written = source.documents.count(), 0, 0
    for some in source.documents.scan(DOCUMENTS_AT_ONCE):
        if stop is not None and stop.is_set():
            raise CancelledError("the move was called off; the same call goes on where it was")
        written += patient(_carry)(source, serving, target, generation, some)
        seen += len(some)
        if on_progress is not None:
            on_progress(seen, max(total, seen))
    return written


def _carry(source: Backend, serving: Generation, target: Backend, generation: Generation, some: list[Document]) -> int:
    """Write those of some documents that are not there as they are here; return how many."""
    keys = np.array([document.key for document in some], np.int64)
    found, vectors = source.generations.vectors(serving.id, keys, current=True)
    at = dict(zip(found.tolist(), vectors, strict=True))
    lacking = _lacking(target, generation, some, at.keys())
    new = [_new(document) for document in lacking]
    new, _ = hashed(target, new, fields_read([generation.space]))
    with target.transaction():
        stored = target.documents.put(new)
        given = [(document, at[old.key]) for document, old in zip(stored, lacking, strict=True) if old.key in at]
        if given:
            hashes = [document.content_hash for document, _ in given]
            rows = np.stack([vector for _, vector in given])
            target.generations.put(generation.id, [document.key for document, _ in given], hashes, rows)
    return len(lacking)


def _lacking(target: Backend, generation: Generation, some: Sequence[Document], known: Any) -> list[Document]:
    """Return the documents whose text, metadata or vector is not there, or another one."""
    there = target.documents.keys([document.id for document in some])
    same = {each.id: (each.text, each.metadata) for each in target.documents.by_key(list(there.values()))}
    stale = set(target.generations.stale_keys(generation.id, list(there.values())).tolist())
    return [
        document
        for document in some
        if same.get(document.id) != (document.text, document.metadata)
        or (document.key in known and there[document.id] in stale)
    ]


def _new(document: Document) -> NewDocument:
    return NewDocument(document.id, document.text, document.content_hash, json.dumps(document.metadata))


def _deleted(source: Backend, target: Backend) -> int:
    """Delete there what was deleted here since it was written; return how many."""
    gone, ids = [], target.documents.ids()
    while some := list(islice(ids, DOCUMENTS_AT_ONCE)):
        kept = source.documents.keys(some)
        gone += [id_ for id_ in some if id_ not in kept]
    if gone:
        target.documents.delete(gone)
    return len(gone)
