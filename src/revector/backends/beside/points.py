"""The points of documents in the physical collections of a store: one collection a generation.

In collections of our own a point has the key of its document for an id; in one that was adopted the user's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from revector.backends.beside.ledger_file import LedgerFile, Written
from revector.backends.beside.source import Source, payload_of
from revector.backends.beside.store import VectorStore
from revector.backends.contracts.order import PRIORITY_UPDATED
from revector.backends.sqlite.sampling import as_json
from revector.errors import StoreError
from revector.ledger.dialect import enqueue_from, turn_of
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

__all__ = ["COLLECTION", "Point", "Points"]

COLLECTION = "collection:"
"""The note of this name and a generation says which collection has its vectors."""
UNSURE = "unsure"
"""Stands in place of the content hash of a vector that was being written by somebody who died."""
_POINTS_A_CALL = 500

# In the order of the keys that were asked for; only where the ledger knows a vector.
_NAMED = """
SELECT documents.key, documents.id FROM json_each(:keys) AS wanted
CROSS JOIN vectors ON vectors.document_key = wanted.value AND vectors.generation = :generation
CROSS JOIN documents ON documents.key = wanted.value
"""
# The braces: how a point's id is looked up among the documents, and how it is spelled.
_KEYS_OF = """
SELECT {named}, documents.key FROM json_each(:ids) AS wanted
CROSS JOIN documents ON {match}
CROSS JOIN vectors ON vectors.document_key = documents.key AND vectors.generation = :generation
"""
_EXISTING = "SELECT {named} FROM json_each(:ids) AS wanted CROSS JOIN documents ON {match}"
_DOUBT = """
UPDATE vectors SET content_hash = :unsure WHERE generation = :generation AND document_key IN (
    SELECT documents.key FROM json_each(:ids) AS wanted CROSS JOIN documents ON {match}
)
"""
_BY_KEY = {"named": "CAST(documents.key AS TEXT)", "match": "documents.key = CAST(wanted.value AS INTEGER)"}
_BY_ID = {"named": "documents.id", "match": "documents.id = wanted.value"}
_ASK_AGAIN = enqueue_from(
    f"""
    SELECT :generation, documents.key, documents.content_hash, {PRIORITY_UPDATED},
        {turn_of("documents.key", ":generation")}
    FROM vectors JOIN documents ON documents.key = vectors.document_key
    WHERE vectors.generation = :generation AND vectors.content_hash = '{UNSURE}'
    """
)


class Point(NamedTuple):
    """A document, as its points hold it."""

    key: int
    id: str
    text: str
    metadata_json: str


class Points:
    """What is written to, read from and deleted in the store for documents of the ledger.

    Parameters
    ----------
    database : LedgerFile
        The ledger.
    store : VectorStore
    name : str
        Of the collection, after which physical ones are named.
    source : Source or None
        What the collection was adopted from.
    """

    def __init__(self, database: LedgerFile, store: VectorStore, name: str, source: Source | None) -> None:
        self.database, self.store, self.name, self.source = database, store, name, source
        self._collections: dict[int, str] = {}
        spelled = _BY_KEY if source is None else _BY_ID
        self._keys_of, self._existing = _KEYS_OF.format(**spelled), _EXISTING.format(**spelled)
        self._doubt = _DOUBT.format(**spelled)

    @property
    def alias(self) -> str:
        """The name under which readers of the store find the collection that serves, where it has aliases."""
        return self.name if self.source is None else self.source.alias

    def collection(self, generation: int) -> str:
        """Return the physical collection of a generation; raise `StoreError` if it has none."""
        if generation not in self._collections:
            name = self.database.note(f"{COLLECTION}{generation}")
            if name is None:
                raise StoreError(f"generation {generation} has no collection in {self.store.url}; it may be retired")
            self._collections[generation] = name
        return self._collections[generation]

    def make(self, generation: int, space: EmbeddingSpace, like: str | None) -> None:
        """Make the collection of a new generation, inside the transaction that makes the generation.

        Raises
        ------
        StoreError
            The store holds points under that name, which the ledger knows nothing of.
        """
        name = f"{self.name}_rv{generation}"
        if name in self.store.names():
            if self.store.count(name):
                raise StoreError(
                    f"{self.store.url} has a collection {name} with points that {self.database.path} knows nothing of; "
                    "drop it, or name the collection otherwise"
                )
            self.store.drop(name)  # left by a call that was cut off, perhaps for another model
        self.store.create(name, space.dimension, self._metric(space), like=like)
        self.database.keep_note(f"{COLLECTION}{generation}", name)

    def write(
        self,
        generation: int,
        space: EmbeddingSpace,
        points: Sequence[Point],
        matrix: NDArray[np.float32],
        serving: int | None,
    ) -> None:
        """Write the points of documents, with their payloads, inside a transaction of the ledger.

        In a collection that was adopted, other vectors of the points are those of the generation that serves.
        """
        ids = [self.id_of(point.key, point.id) for point in points]
        payloads = [payload_of(self.source, p.id, p.text, json.loads(p.metadata_json)) for p in points]
        like = None if self.source is None or serving is None else self.collection(serving)
        self.database.about_to_write(generation, ids)
        vectors = self.as_stored(space, matrix)
        self.store.put(self.collection(generation), ids, vectors, payloads, like=like)

    def delete(self, generation: int, ids: Sequence[str]) -> None:
        """Delete points, inside a transaction of the ledger."""
        if ids:
            self.database.about_to_write(generation, ids)
            self.store.delete(self.collection(generation), ids)

    def read(
        self, connection: Connection, generation: int, keys: Sequence[int], dimension: int
    ) -> tuple[list[int], NDArray[np.float32]]:
        """Return those of the keys that have a vector, in their order, and the vectors."""
        wanted = connection.exec_driver_sql(_NAMED, {"keys": as_json(keys), "generation": generation}).all()
        found: dict[str, NDArray[np.float32]] = {}
        ids = [self.id_of(key, id_) for key, id_ in wanted]
        for part in _parts(ids):
            page = self.store.read(self.collection(generation), part, vectors=True)
            assert page.vectors is not None
            found.update(zip(page.ids, page.vectors, strict=True))
        known = [(key, found[id_]) for (key, _), id_ in zip(wanted, ids, strict=True) if id_ in found]
        matrix = np.array([row for _, row in known], np.float32).reshape(len(known), dimension)
        return [key for key, _ in known], matrix

    def keys_of(self, connection: Connection, generation: int, ids: Sequence[str]) -> Mapping[str, int]:
        """Return the keys of those points that the ledger knows a vector of, by their ids."""
        found = connection.exec_driver_sql(self._keys_of, {"ids": as_json(ids), "generation": generation})
        return {row[0]: row[1] for row in found}

    def id_of(self, key: int, id_: str) -> str:
        """Return the id of a document's points."""
        return str(key) if self.source is None else id_

    def as_stored(self, space: EmbeddingSpace, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors, or queries, as the store measures them: of unit length, where only so it gives cosines."""
        if space.metric == "cosine" and self._metric(space) == "dot" and len(matrix):
            return normalize(np.ascontiguousarray(matrix, np.float32))
        return matrix

    def mend(self, written: Sequence[Written], kept: Sequence[int]) -> None:
        """Look after points whose writer died: those that may be of another text are asked for again.

        Parameters
        ----------
        written : sequence of Written
        kept : sequence of int
            The generations that there are.
        """
        for generation, ids in written:
            if generation not in kept:
                continue
            with self.database.transaction() as connection:
                given = {"ids": as_json(ids), "generation": generation, "unsure": UNSURE}
                connection.exec_driver_sql(self._doubt, given)
                connection.execute(_ASK_AGAIN, {"generation": generation})
                existing = set(connection.exec_driver_sql(self._existing, given).scalars())
                if self.source is None or self.collection(generation) != self.source.collection:
                    self.store.delete(self.collection(generation), [id_ for id_ in ids if id_ not in existing])

    def _metric(self, space: EmbeddingSpace) -> str:
        return space.metric if self.source is None else self.source.metric


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _POINTS_A_CALL):
        yield ids[start : start + _POINTS_A_CALL]
