"""Exact search over a store in memory: there is no graph to build, to save, or to fall behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.backends.arguments import checked_queries, missing_generation
from revector.backends.contracts import EXACT, Generation, IndexHealth, IndexShape, Keys, Preparation
from revector.similarity import cosine_topk, normalize
from revector.testing.memory.database import MemoryDatabase
from revector.testing.memory.state import StoredVector
from revector.testing.memory.vectors import MemoryVectors, arrays

Rows = tuple[NDArray[np.int64], NDArray[np.float32]]


class MemoryIndex:
    """Searches the generations of a store; see `revector.backends.contracts.Index`.

    Parameters
    ----------
    database : MemoryDatabase
        Where the vectors are.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._kept: dict[int, tuple[Mapping[int, StoredVector], Rows]] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int, *, fresh: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now."""
        keys, matrix = self._rows(generation)
        rows = checked_queries(queries, matrix.shape[1])
        if not len(keys):
            return np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64)
        search = cosine_topk if generation.space.metric == "cosine" else _dot_topk
        scores, places = search(rows, matrix, min(k, len(keys)))
        return scores, keys[places]

    def prepare(self, generation: Generation) -> Preparation:
        """Do what the first search would do."""
        began = time.perf_counter()
        keys, _ = self._rows(generation)
        return Preparation(len(keys), 0, time.perf_counter() - began)

    def vectors(self, generation: Generation, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return vectors as they are searched."""
        found, matrix = MemoryVectors(self._database).vectors(generation.id, keys)
        known = np.isin(np.asarray(keys, dtype=np.int64), found)
        return known, normalize(matrix) if generation.space.metric == "cosine" else matrix

    def covers(self, generation: Generation) -> bool:
        """Say yes: every search measures all vectors."""
        return True

    def widen(self, generation: Generation) -> bool:
        """Leave searches as they are: they are exact."""
        return False

    def check(self, generation: Generation, *, recall: bool = True) -> IndexHealth:
        """Say what exact search is: no graph, and every vector is found."""
        size = len(self._rows(generation)[0])
        found, error = 1.0 if size else float("nan"), 0.0 if size > 1 else float("nan")
        return IndexHealth(size, 0, 0, size, (), 0, found, error, k=min(10, size), queries=size, remedy="")

    def shape(self, generation: Generation) -> IndexShape:
        """Say that all vectors are measured."""
        return IndexShape(EXACT, why="there is no graph over memory")

    def notice(self, generation: Generation) -> str:
        """Say nothing: whatever is searched is what is stored."""
        return ""

    def prune(self) -> None:
        """Forget generations that no longer exist."""
        existing = self._database.read().generations
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if key in existing}

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept = {}

    def _rows(self, generation: Generation) -> Rows:
        """Return the keys and vectors of a generation; they are put side by side once for each of its states."""
        state = self._database.read()
        stored = state.vectors.get(generation.id)
        if stored is None:
            raise missing_generation(generation.id)
        with self._lock:
            kept, rows = self._kept.get(generation.id, (None, None))
        if rows is None or kept is not stored:
            rows = arrays(state, generation.id, stored)
            with self._lock:
                self._kept[generation.id] = (stored, rows)
        return rows


def _dot_topk(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scores = queries @ vectors.T
    places = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, places, axis=1), places
