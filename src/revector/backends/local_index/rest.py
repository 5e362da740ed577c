"""What no graph holds yet: the vectors that were written since the last one, measured one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import VectorChanges
from revector.similarity import cosine_topk, normalize
from revector.spaces import EmbeddingSpace

Keys = NDArray[np.int64]
Matrix = NDArray[np.float32]
Results = tuple[Matrix, Keys]

_FIRST_ROOM = 256
_QUERIES_A_BLOCK = 64


class _Rows:
    """Rows that grow at their end, shared by the moments of one rest: what a moment sees does not change."""

    def __init__(self, keys: Keys, vectors: Matrix, room: int) -> None:
        self.used = len(keys)
        self.keys = np.empty(room, np.int64)
        self.vectors = np.empty((room, vectors.shape[1]), np.float32)
        self.keys[: self.used], self.vectors[: self.used] = keys, vectors
        self.last_of = dict(zip(keys.tolist(), range(self.used), strict=True))

    def append(self, keys: Keys, vectors: Matrix) -> None:
        end = self.used + len(keys)
        self.keys[self.used : end], self.vectors[self.used : end] = keys, vectors
        self.last_of.update(zip(keys.tolist(), range(self.used, end), strict=True))
        self.used = end


class Rest:
    """The vectors of a generation that no graph holds, at one moment. Immutable.

    Parameters
    ----------
    space : EmbeddingSpace
        Of the generation. Vectors are kept at unit length where its metric is the cosine.
    """

    def __init__(self, space: EmbeddingSpace) -> None:
        self._space = space
        self._rows = _Rows(np.empty(0, np.int64), np.empty((0, space.dimension), np.float32), _FIRST_ROOM)
        self._origin = object()
        self._n = 0
        self._alive: NDArray[np.bool_] | None = None  # all of them
        self._live = 0
        self.deleted: Keys = np.empty(0, np.int64)
        """Keys that were deleted since the last graph, and are not here."""

    @classmethod
    def of(cls, space: EmbeddingSpace, keys: Keys, vectors: Matrix) -> Rest:
        """Return a rest of some vectors."""
        return cls(space).after(VectorChanges(0, keys, vectors, np.empty(0, np.int64)))

    def __len__(self) -> int:
        return self._live

    @property
    def weight(self) -> int:
        """Rows and deletions, live or not: what the next graph takes off every search."""
        return self._n + len(self.deleted)

    def after(self, changes: VectorChanges, *, alone: bool = False) -> Rest:
        """Return the rest after some changes.

        Parameters
        ----------
        changes : VectorChanges
            The keys that were written, each once, and those that were deleted.
        alone : bool
            Share no memory with this one. Without it, one thread at a time may ask, and only for the newest rest.
        """
        vectors = normalize(changes.vectors) if self._space.metric == "cosine" else changes.vectors
        gone = np.concatenate([changes.keys, changes.deleted])
        outdated = self._places(gone)
        later = self._copy()
        later._rows = self._rows_for(len(changes.keys), alone)
        later._rows.append(changes.keys, vectors)
        later._n += len(changes.keys)
        if self._alive is not None or len(outdated):
            alive = np.ones(later._n, np.bool_)
            if self._alive is not None:
                alive[: self._n] = self._alive
            alive[outdated] = False
            later._alive = alive
        later._live += len(changes.keys) - len(outdated)
        deleted = np.concatenate([self.deleted, changes.deleted])
        later.deleted = deleted[~np.isin(deleted, changes.keys)] if len(deleted) and len(changes.keys) else deleted
        return later

    def beyond(self, earlier: Rest) -> Rest | None:
        """Return what was written and deleted after an earlier rest; ``None`` if this one does not continue it."""
        if self._origin is not earlier._origin:
            return None
        since = slice(earlier._n, self._n)
        keys, vectors = self._rows.keys[since], self._rows.vectors[since]
        again = np.isin(self.deleted, keys) | ~np.isin(self.deleted, earlier.deleted)
        if self._alive is not None:
            keys, vectors = keys[self._alive[since]], vectors[self._alive[since]]
        rest = type(self).of(self._space, keys, vectors)
        rest.deleted = self.deleted[again]
        return rest

    def live(self) -> tuple[Keys, Matrix]:
        """Return keys and vectors, shape (n,) and (n, d)."""
        keys, vectors = self._rows.keys[: self._n], self._rows.vectors[: self._n]
        return (keys, vectors) if self._alive is None else (keys[self._alive], vectors[self._alive])

    def touched(self) -> Keys:
        """Return the keys that were written or deleted since the last graph, which has no live vectors of them."""
        return np.concatenate([self._rows.keys[: self._n], self.deleted])

    def search_exact(self, queries: Matrix, k: int) -> Results:
        """Return scores and keys of the `k` nearest vectors of each query, best first, shape (q, min(k, live))."""
        keys, vectors = self._rows.keys[: self._n], self._rows.vectors[: self._n]
        if self._space.metric == "cosine":
            # On one thread, like a graph: waiting for others is what takes long beside a migration.
            scores, rows = cosine_topk(queries, vectors, k, allowed=self._alive, threads=1)
            return scores, keys[rows]
        if self._alive is not None:
            keys, vectors = keys[self._alive], vectors[self._alive]
        return largest_products(queries, keys, vectors, k)

    def find(self, keys: Keys) -> tuple[NDArray[np.bool_], Matrix]:
        """Tell which keys are here, shape (n,), and return the vectors of those, shape (found, d)."""
        places = np.fromiter((self._place(key) for key in keys.tolist()), np.int64, len(keys))
        found = places >= 0
        return found, self._rows.vectors[places[found]]

    def _copy(self) -> Rest:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def _rows_for(self, more: int, alone: bool) -> _Rows:
        """Return rows that end where this moment ends, with room for some more."""
        rows, needed = self._rows, self._n + more
        if not alone and rows.used == self._n and needed <= len(rows.keys):
            return rows
        return _Rows(rows.keys[: self._n], rows.vectors[: self._n], max(_FIRST_ROOM, needed + needed // 2))

    def _places(self, keys: Keys) -> NDArray[np.int64]:
        places = np.fromiter((self._place(key) for key in keys.tolist()), np.int64, len(keys))
        return np.unique(places[places >= 0])

    def _place(self, key: int) -> int:
        """Return the row of the live vector of a key, or -1."""
        place = self._rows.last_of.get(key, -1)
        if place >= self._n:  # it was written again after this moment
            earlier = np.flatnonzero(self._rows.keys[: self._n] == key)
            place = int(earlier[-1]) if len(earlier) else -1
        return place if place < 0 or self._alive is None or self._alive[place] else -1


def largest_products(queries: Matrix, keys: Keys, vectors: Matrix, k: int) -> Results:
    """Return the `k` largest inner products of each query, and the keys, best first, shape (q, min(k, n))."""
    blocks = [
        _largest(queries[start : start + _QUERIES_A_BLOCK] @ vectors.T, keys, k)
        for start in range(0, max(len(queries), 1), _QUERIES_A_BLOCK)
    ]
    return np.concatenate([scores for scores, _ in blocks]), np.concatenate([found for _, found in blocks])


def _largest(scores: Matrix, keys: Keys, k: int) -> Results:
    if k < scores.shape[1]:
        columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    else:
        columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return best([(np.take_along_axis(scores, columns, axis=1), keys[columns])], k)


def best(parts: list[Results], k: int) -> Results:
    """Return the `k` best of several results, best first; ties by lower key."""
    scores = np.concatenate([scores for scores, _ in parts], axis=1)
    keys = np.concatenate([keys for _, keys in parts], axis=1)
    order = np.lexsort((keys, -scores))[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(keys, order, axis=1)
