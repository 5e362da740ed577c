"""How long an index takes, and how fast a store takes vectors: some are written beside those that serve."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.planning.move import Move
from revector.similarity import normalize

__all__ = ["INDEXED", "Indexed", "build_index"]

INDEXED = 12_288
"""Vectors of which an index is built to measure that: more than any store measures one by one."""
_PUT_AT_ONCE = 1_024


@dataclass(frozen=True)
class Indexed:
    """What writing vectors, and building an index of them, took.

    Attributes
    ----------
    vectors : int
        Of which an index was built; 0 where so few need none.
    seconds : float
        That the index took.
    writes_per_second : float or None
        Vectors that the store takes; ``None`` if none had to be written.
    """

    vectors: int
    seconds: float
    writes_per_second: float | None

    def seconds_for(self, vectors: int) -> float:
        """Return what an index of so many vectors takes: a search of a graph's logarithm for each of them."""
        if not self.vectors:
            return 0.0
        return self.seconds * vectors * math.log2(vectors + 2) / (self.vectors * math.log2(self.vectors + 2))


def build_index(move: Move, made: Generation, vectors: int) -> Indexed:
    """Build an index of a generation beside the one that serves, and see how long that takes.

    Vectors of the generation that serves stand in for those that it lacks: cut off, or with zeros behind them.

    Parameters
    ----------
    move : Move
    made : Generation
    vectors : int
        How many it is to hold.
    """
    backend = move.backend
    keys = backend.documents.sample(vectors, 0)
    missing = np.setdiff1d(keys, backend.generations.vectors(made.id, keys)[0])
    missing = missing[: max(0, vectors - backend.generations.count(made.id))]
    written = _stand_in(backend, move.serving, made, missing)
    prepared = backend.index.prepare(made)
    return Indexed(prepared.built, prepared.seconds, written)


def _stand_in(backend: Backend, serving: Generation, made: Generation, keys: NDArray[np.int64]) -> float | None:
    """Write vectors of one generation into another one, in its dimension; return how many a second."""
    at_once = min(_PUT_AT_ONCE, backend.generations.rows_at_once(made.id))
    count, seconds = 0, 0.0
    for start in range(0, len(keys), at_once):
        found, rows = backend.generations.vectors(serving.id, keys[start : start + at_once], current=True)
        hashes = backend.documents.content_hashes(found)
        there = np.array([key in hashes for key in found.tolist()], dtype=bool)
        fitting = _in_dimension(rows[there], made)
        names = [hashes[key] for key in found[there].tolist()]
        began = time.perf_counter()
        count += backend.generations.put(made.id, found[there], names, fitting) if names else 0
        seconds += time.perf_counter() - began
    return count / seconds if count else None


def _in_dimension(rows: NDArray[np.float32], made: Generation) -> NDArray[np.float32]:
    dimension = made.space.dimension
    fitting = np.zeros((len(rows), dimension), dtype=np.float32)
    shared = min(dimension, rows.shape[1])
    fitting[:, :shared] = rows[:, :shared]
    fitting[~fitting.any(axis=1), 0] = 1.0
    return normalize(fitting) if made.space.normalized and len(fitting) else fitting
