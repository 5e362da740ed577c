"""Generations of a collection whose vectors are in a store: the ledger says which there are, and of which texts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from revector.backends.arguments import checked_vectors
from revector.backends.beside.points import Point, Points
from revector.backends.contracts import ALIAS, MAPPED, Alias, Generation, Keys
from revector.backends.sqlite.database.database import driver_of
from revector.backends.sqlite.documents import next_seq
from revector.backends.sqlite.generations import GenerationRecords
from revector.backends.sqlite.sampling import as_json
from revector.backends.sqlite.vectors import SqliteRows
from revector.spaces import EmbeddingSpace

ROWS_AT_ONCE = 512
"""So many points are put while the ledger is locked: a round trip or a few."""
SERVED = "served:"
"""The note of this name and a generation says that readers, and whoever writes unseen, have been sent there."""

# Compare-and-set: a row comes back only while the document has the text that was embedded.
_LANDING = """
SELECT listed.key AS place, documents.key, documents.id, text, metadata
FROM json_each(:rows) AS listed CROSS JOIN documents ON documents.key = json_extract(listed.value, '$[0]')
WHERE content_hash = json_extract(listed.value, '$[1]')
"""
_NOTE = """
INSERT INTO vectors (document_key, generation, seq, embedded_at, content_hash, vector)
SELECT documents.key, :generation, :seq, :now, coalesce(:mark, content_hash), zeroblob(0)
FROM json_each(:keys) AS listed CROSS JOIN documents ON documents.key = listed.value WHERE true
ON CONFLICT (document_key, generation) DO UPDATE SET
    seq = excluded.seq, embedded_at = excluded.embedded_at, content_hash = excluded.content_hash
"""
_CURRENT = """
SELECT vectors.document_key FROM json_each(:keys) AS wanted
CROSS JOIN vectors ON document_key = wanted.value AND generation = :generation
CROSS JOIN documents ON documents.key = wanted.value AND documents.content_hash = vectors.content_hash
"""
_SCAN = """
SELECT document_key FROM vectors
WHERE document_key > :after AND +generation = :generation ORDER BY document_key LIMIT :batch
"""
_TWINS = """
SELECT wanted.value AS hash, (
    SELECT document_key FROM documents CROSS JOIN vectors ON document_key = key AND generation = :generation
    WHERE documents.content_hash = wanted.value AND vectors.content_hash = wanted.value LIMIT 1
) AS twin FROM json_each(:hashes) AS wanted
"""
_HELD = """
SELECT documents.key, documents.id, text, metadata FROM json_each(:keys) AS wanted
CROSS JOIN vectors ON document_key = wanted.value AND generation = :generation
CROSS JOIN documents ON documents.key = wanted.value
"""


class BesideGenerations(GenerationRecords, SqliteRows):
    """The generations of a collection; see `revector.backends.contracts.Generations`.

    Parameters
    ----------
    points : Points
        Their vectors.
    """

    def __init__(self, points: Points) -> None:
        super().__init__(points.database)
        self._points = points

    def rows_at_once(self, generation: int) -> int:
        """Return how many points are put in one transaction at most."""
        return ROWS_AT_ONCE

    def create(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation, and its collection, which is like the one that serves."""
        with self._database.transaction():
            serving, made = self._serving(), super().create(space, encoder_source)
            self._points.make(made.id, space, None if serving is None else self._points.collection(serving))
            return made

    def put(
        self,
        generation: int,
        keys: Keys,
        hashes: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        mapped: bool = False,
    ) -> int:
        """Store vectors by compare-and-set; return how many landed."""
        with self._database.transaction() as connection:
            matrix = checked_vectors(keys, hashes, vectors, self.dimension(generation))
            if not len(matrix):
                return 0
            rows = [*zip(np.asarray(keys).tolist(), hashes, strict=True)]
            found = driver_of(connection).execute(_LANDING, {"rows": json.dumps(rows)}).fetchall()
            landing = {row[1]: row for row in found}  # of a key that comes twice, the last one
            if landing:
                places = [row[0] for row in landing.values()]
                points = [Point(*row[1:]) for row in landing.values()]
                space = self.get(generation).space
                self._points.write(generation, space, points, matrix[places], self._serving())
                self.note(connection, generation, list(landing), mapped=mapped)
            return len(found)

    def note(self, connection: Connection, generation: int, keys: Sequence[int], *, mapped: bool = False) -> None:
        """Note, in a transaction, that points hold vectors of the present texts of documents."""
        given = {"generation": generation, "seq": next_seq(connection), "now": time.time(), "keys": as_json(keys)}
        connection.exec_driver_sql(_NOTE, {**given, "mark": MAPPED if mapped else None})

    def vectors(
        self, generation: int, keys: Keys, *, current: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors."""
        with self._database.snapshot() as connection:
            dimension, wanted = self.dimension(generation), np.asarray(keys, np.int64).tolist()
            if current:
                given = {"keys": as_json(wanted), "generation": generation}
                wanted = list(connection.exec_driver_sql(_CURRENT, given).scalars())
            found, matrix = self._points.read(connection, generation, wanted, dimension)
        return np.array(found, np.int64), matrix

    def scan(self, generation: int, batch: int = 4096) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield keys and vectors in the order of the keys."""
        after = 0
        while True:
            with self._database.snapshot() as connection:
                dimension = self.dimension(generation)
                given = {"after": after, "generation": generation, "batch": batch}
                listed = list(connection.exec_driver_sql(_SCAN, given).scalars())
                keys, matrix = self._points.read(connection, generation, listed, dimension)
            if not listed:
                return
            if keys:
                yield np.array(keys, np.int64), matrix
            after = listed[-1]

    def with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash."""
        with self._database.snapshot() as connection:
            given = {"hashes": as_json(hashes), "generation": generation}
            twins = {hash_: twin for hash_, twin in connection.exec_driver_sql(_TWINS, given) if twin is not None}
            if not twins:
                return {}
            keys, matrix = self._points.read(connection, generation, list(twins.values()), self.dimension(generation))
        by_key: Mapping[int, NDArray[np.float32]] = dict(zip(keys, matrix, strict=True))
        return {hash_: by_key[twin] for hash_, twin in twins.items() if twin in by_key}

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias with version 1; that of the collection in the store as well."""
        with self._database.transaction():
            made = super().create_alias(name, generation)
            self._send_readers(name, generation)
            return made

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version: first in the store, then in the ledger."""
        with self._database.transaction():
            moved = super().swap_alias(name, generation, expected_version)
            self._send_readers(name, generation)
            return moved

    def follow_readers(self) -> None:
        """Let the ledger say where the store's alias leads, which a step that was cut off has moved."""
        if not self._points.store.capabilities.aliases or not self._has_moved():
            return
        with self._database.transaction():  # whoever was about to commit it has done so
            present, there = self.alias(ALIAS), self._has_moved()
            if present is not None and there is not None:
                super().swap_alias(ALIAS, there, present.version)
                self._database.keep_note(f"{SERVED}{there}", "yes")

    def refresh(self, keys: Sequence[int], *, but: int | None) -> None:
        """Give the points of documents, but for one generation, their present payload, and leave them their vectors."""
        for generation in self.all() if keys else ():
            if generation.id != but:
                self._refresh(generation, keys)

    def delete_points(self, keys: Mapping[str, int], *, but: int | None) -> None:
        """Delete the points of documents, given by id, in every generation but for one, in a transaction."""
        ids = [self._points.id_of(key, id_) for id_, key in keys.items()]
        for generation in self.all():
            if generation.id != but:
                self._points.delete(generation.id, ids)

    def _refresh(self, generation: Generation, keys: Sequence[int]) -> None:
        with self._database.transaction() as connection:
            given = {"keys": as_json(keys), "generation": generation.id}
            held = {row[0]: Point(*row) for row in connection.exec_driver_sql(_HELD, given)}
            found, matrix = self._points.read(connection, generation.id, list(held), generation.space.dimension)
            if found:
                points = [held[key] for key in found]
                self._points.write(generation.id, generation.space, points, matrix, self._serving())

    def _serving(self) -> int | None:
        alias = self.alias(ALIAS)
        return None if alias is None else alias.generation

    def _send_readers(self, name: str, generation: int) -> None:
        """Let the store's alias lead to a generation; the ledger commits after it."""
        if name != ALIAS:
            return
        self._database.keep_note(f"{SERVED}{generation}", "yes")
        if self._points.store.capabilities.aliases:
            self._points.store.point(self._points.alias, self._points.collection(generation))

    def _has_moved(self) -> int | None:
        """Return the generation that the store's alias leads to, if the ledger says another one."""
        alias = self.alias(ALIAS)
        if alias is None:
            return None
        there = self._points.store.aliased(self._points.alias)
        names: dict[Any, int] = {self._points.collection(known.id): known.id for known in self.all()}
        found = names.get(there)
        return None if found == alias.generation else found
