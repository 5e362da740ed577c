"""Vectors of a store in memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from revector.backends.arguments import checked_ids, checked_vectors, missing_generation
from revector.backends.contracts import MAPPED, ROWS_AT_ONCE, Keys, Point, Tally, VectorInfo
from revector.errors import UnknownDocumentError
from revector.testing.memory.database import MemoryDatabase
from revector.testing.memory.state import State, StoredDocument, StoredVector, drawn

Rows = Mapping[int, StoredVector]


class MemoryVectors:
    """What generations say of their vectors.

    Parameters
    ----------
    database : MemoryDatabase
        Where they are.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def rows_at_once(self, generation: int) -> int:
        """Return how many vectors are put in one transaction at most."""
        return ROWS_AT_ONCE

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
        with self._database.change() as view:
            state = view.state
            rows, documents = dict(_of(state, generation)), state.documents
            matrix = checked_vectors(keys, hashes, vectors, state.generations[generation].space.dimension).copy()
            landed, now, seq = 0, time.time(), state.seq + 1
            for key, hash_, vector in zip(_listed(keys), hashes, matrix, strict=True):
                if key in documents and self._takes(documents[key], hash_):
                    rows[key] = StoredVector(seq, now, MAPPED if mapped else hash_, vector)
                    landed += 1
            view.state = replace(state, vectors={**state.vectors, generation: rows}, seq=seq)
            return landed

    def _takes(self, document: StoredDocument, content_hash: str) -> bool:
        """Whether a vector of a text may land at a document as it is now."""
        return document.content_hash == content_hash

    def vectors(
        self, generation: int, keys: Keys, *, current: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors."""
        state = self._database.read()
        rows = _of(state, generation)
        if current:
            rows = {key: row for key, row in rows.items() if row.content_hash == state.documents[key].content_hash}
        return arrays(state, generation, {key: rows[key] for key in _listed(keys) if key in rows})

    def scan(self, generation: int, batch: int = 4096) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield keys and vectors in the order of the keys."""
        after = 0
        while True:
            state = self._database.read()
            rows = _of(state, generation)
            keys = sorted(key for key in rows if key > after)[:batch]
            if not keys:
                return
            yield arrays(state, generation, {key: rows[key] for key in keys})
            after = keys[-1]

    def count(self, generation: int, *, since: Point = 0) -> int:
        """Count the vectors written after point `since`."""
        return sum(row.seq > int(since) for row in _of(self._database.read(), generation).values())

    def sample(self, generation: int, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` vectors at random, or of all if they are fewer."""
        return drawn(_of(self._database.read(), generation), n, seed)

    def stale_keys(self, generation: int, keys: Keys) -> NDArray[np.int64]:
        """Return those of the keys whose documents have no vector of their present text."""
        return _stale(self._database.read(), generation, sorted(set(_listed(keys))))

    def stale_between(self, generation: int, after: int, until: int) -> NDArray[np.int64]:
        """Return the keys of a slice whose documents have no vector of their present text."""
        state = self._database.read()
        return _stale(state, generation, [key for key in state.documents if after < key <= until])

    def count_stale(self, generation: int) -> int:
        """Count the documents that have no vector of their present text."""
        state = self._database.read()
        return len(_stale(state, generation, state.documents))

    def tally(
        self, source: int, target: int, fields: Sequence[str], *, without: Keys = (), limit: int = 1_000
    ) -> list[Tally]:
        """Count the documents that have a vector in two generations, all of them and by the values of fields."""
        state, left_out = self._database.read(), set(_listed(without))
        old, new = _of(state, source), _of(state, target)
        counts: dict[tuple[str | None, str], Counter[str]] = {(None, "null"): Counter()}
        for key, document in state.documents.items():
            is_lost = key in old and key not in new and key not in left_out
            metadata = json.loads(document.metadata_json)
            for field in (None, *fields):
                value = None if field is None else metadata.get(field)
                counted = counts.setdefault((field, json.dumps(value, sort_keys=True)), Counter())
                counted.update(documents=1, source=key in old, target=key in new, lost=is_lost)
        names = ("documents", "source", "target", "lost")
        tallies = [
            Tally(field, json.loads(value), **{name: counted[name] for name in names})
            for (field, value), counted in counts.items()
        ]
        return sorted(tallies, key=lambda t: (t.field is not None, -t.lost, -t.documents))[: 1 + limit]

    def with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash."""
        state, wanted = self._database.read(), set(hashes)
        return {
            row.content_hash: row.vector.copy()
            for key, row in _of(state, generation).items()
            if row.content_hash in wanted and _is_present(state.documents[key], row)
        }

    def info(self, generation: int, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' vectors."""
        state, wanted = self._database.read(), checked_ids(ids)
        if unknown := tuple(id_ for id_ in wanted if id_ not in state.keys):
            raise UnknownDocumentError(unknown)
        space, rows = state.generations[generation].space, _of(state, generation)
        pairs = [(id_, rows[state.keys[id_]]) for id_ in wanted if state.keys[id_] in rows]
        return [
            VectorInfo(id_, space.model, space.revision, space.dimension, row.embedded_at, row.content_hash, generation)
            for id_, row in pairs
        ]

    def last_seq(self) -> int:
        """Return how often vectors were put."""
        return self._database.read().seq


def arrays(state: State, generation: int, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows of a generation as keys and a matrix."""
    matrix = np.empty((len(rows), state.generations[generation].space.dimension), dtype=np.float32)
    for place, row in enumerate(rows.values()):
        matrix[place] = row.vector
    return np.fromiter(rows, dtype=np.int64, count=len(rows)), matrix


def _of(state: State, generation: int) -> Rows:
    if generation not in state.generations:
        raise missing_generation(generation)
    return state.vectors[generation]


def _is_present(document: StoredDocument, row: StoredVector | None) -> bool:
    """Whether a vector comes from the present text of its document."""
    return row is not None and row.content_hash == document.content_hash


def _stale(state: State, generation: int, keys: Iterable[int]) -> NDArray[np.int64]:
    rows, documents = _of(state, generation), state.documents
    stale = [key for key in keys if key in documents and not _is_present(documents[key], rows.get(key))]
    return np.array(stale, dtype=np.int64)


def _listed(keys: Keys) -> list[int]:
    return np.asarray(keys, dtype=np.int64).tolist()  # type: ignore[no-any-return]
