"""The index of a collection whose vectors are in a store: the store's own."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.arguments import checked_queries
from revector.backends.beside.generations import BesideGenerations
from revector.backends.beside.points import Points
from revector.backends.contracts import Generation, IndexHealth, IndexShape, Keys, Preparation
from revector.backends.sqlite.database import Database
from revector.index.health import SAMPLE, examine
from revector.similarity import normalize

_HEALTH_K = 10
_FURTHER = 16

Results = tuple[NDArray[np.float32], NDArray[np.int64]]


class BesideIndex:
    """Searches the collections of a store; see `revector.backends.contracts.Index`.

    Parameters
    ----------
    database : Database
        The ledger.
    generations : BesideGenerations
    points : Points
    """

    def __init__(self, database: Database, generations: BesideGenerations, points: Points) -> None:
        self._database, self._generations, self._points = database, generations, points

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int, *, fresh: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now, all of them whatever `fresh` says.

        Where points are found that the ledger does not know (of others, which `recapture` has not taken in yet), more
        are asked for; where the store finds fewer than there are, everything is measured.
        """
        with self._database.snapshot():
            rows = checked_queries(queries, self._generations.dimension(generation.id))
            most = min(k, self._generations.count(generation.id))
            if not most or not len(rows):
                return _nothing(len(rows))
            for wanted in (most, 2 * most + _FURTHER):
                found = self._found(generation, rows, wanted)
                if min(len(keys) for _, keys in found) >= most:
                    return _level(found, most)
            return self.search_exact(generation, rows, most)

    def search_exact(self, generation: Generation, queries: NDArray[np.float32], k: int) -> Results:
        """Measure all vectors, which are read from the store."""
        scores, keys = _nothing(len(queries))
        is_cosine = generation.space.metric == "cosine"
        rows = normalize(np.ascontiguousarray(queries, np.float32)) if is_cosine else queries
        for listed, matrix in self._generations.scan(generation.id):
            measured = rows @ (normalize(matrix) if is_cosine else matrix).T
            scores = np.concatenate([scores, measured], axis=1)
            keys = np.concatenate([keys, np.broadcast_to(listed, measured.shape)], axis=1)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, keys = np.take_along_axis(scores, best, axis=1), np.take_along_axis(keys, best, axis=1)
        return scores, keys

    def vectors(self, generation: Generation, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return vectors as they are searched."""
        found, matrix = self._generations.vectors(generation.id, keys)
        if generation.space.metric == "cosine" and len(matrix):
            matrix = normalize(matrix)
        return np.isin(np.asarray(keys, np.int64), found), matrix

    def covers(self, generation: Generation) -> bool:
        """Say yes: what a store has not indexed yet it searches all the same."""
        return True

    def prepare(self, generation: Generation) -> Preparation:
        """Wait until the store has indexed what was written."""
        began = time.perf_counter()
        self._points.store.settle(self._points.collection(generation.id))
        return Preparation(self._generations.count(generation.id), 0, time.perf_counter() - began)

    def widen(self, generation: Generation) -> bool:
        """Leave searches as they are: how broad they are is the store's affair."""
        return False

    def check(self, generation: Generation, *, recall: bool = True) -> IndexHealth:
        """Measure the recall of the store's searches beside exact ones."""
        count = self._generations.count(generation.id)
        shape = {"live": count, "deleted": 0, "levels": 0, "unreachable": 0, "degrees": ()}
        examined = _Examined(self, self._generations, generation, count)
        measured = examine(examined, shape, None, _HEALTH_K, 0, SAMPLE if recall else 0)
        return IndexHealth(
            live=count,
            deleted=0,
            graphs=0,
            scanned=0,
            damage=(),
            unreachable=0,
            recall=measured.recall,
            recall_error=measured.recall_error,
            k=_HEALTH_K,
            queries=measured.queries,
            remedy="look at how the collection is indexed and searched in the store",
        )

    def shape(self, generation: Generation) -> IndexShape:
        """Tell how the store searches the collection."""
        return self._points.store.shape(self._points.collection(generation.id))

    def notice(self, generation: Generation) -> str:
        """Return nothing: the store builds its index itself."""
        return ""

    def prune(self) -> None:
        """Do nothing: an index goes with its collection."""

    def close(self) -> None:
        """Do nothing: nothing is kept here."""

    def _found(self, generation: Generation, rows: NDArray[np.float32], k: int) -> list[tuple[list[float], list[int]]]:
        """Return scores and keys of what the store finds, without points that the ledger does not know."""
        asked = np.ascontiguousarray(self._points.as_stored(generation.space, rows), np.float32)
        answers = self._points.store.search(self._points.collection(generation.id), asked, k)
        with self._database.snapshot() as connection:
            listed = list({id_ for ids, _ in answers for id_ in ids})
            known = self._points.keys_of(connection, generation.id, listed)
        found = []
        for ids, scores in answers:
            pairs = [(score, known[id_]) for id_, score in zip(ids, scores, strict=True) if id_ in known]
            found.append(([score for score, _ in pairs], [key for _, key in pairs]))
        return found


class _Examined:
    """What measuring recall asks of an index."""

    def __init__(self, index: BesideIndex, generations: BesideGenerations, generation: Generation, count: int) -> None:
        self._index, self._generations, self._generation, self._count = index, generations, generation, count

    def __len__(self) -> int:
        return self._count

    def search(self, queries: Any, k: int, *, ef: int | None) -> Results:
        """Search as readers do."""
        return self._index.search(self._generation, queries, k)

    def search_exact(self, queries: Any, k: int) -> Results:
        """Measure all vectors."""
        return self._index.search_exact(self._generation, queries, k)

    def ids(self) -> NDArray[np.int64]:
        """Return enough keys to draw from."""
        return self._generations.sample(self._generation.id, 4 * SAMPLE, 0)

    def get_vectors(self, ids: Any) -> NDArray[np.float32]:
        """Return the vectors of keys that have one."""
        return self._index.vectors(self._generation, ids)[1]


def _level(found: list[tuple[list[float], list[int]]], k: int) -> Results:
    """Return the first answers of each query as two matrices."""
    scores = np.array([scores[:k] for scores, _ in found], np.float32)
    return scores, np.array([keys[:k] for _, keys in found], np.int64)


def _nothing(queries: int) -> Results:
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)
