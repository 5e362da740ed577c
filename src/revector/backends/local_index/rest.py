"""What no graph holds yet: the vectors that were written since the last one, measured one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector.backends.local_index.feed import VectorChanges
from revector.similarity import ExactIndex, cosine_topk, normalize
from revector.spaces import EmbeddingSpace

Keys = NDArray[np.int64]
Matrix = NDArray[np.float32]
Results = tuple[Matrix, Keys]

_FIRST_ROOM = 256
_BLOCK_BYTES = 8 << 20
_QUERIES_A_BLOCK = 64


class _Block(NamedTuple):
    """Consecutive rows: their places, and what they hold; packed if the block is full."""

    places: slice
    vectors: Matrix
    packed: ExactIndex | None


class _Rows:
    """Rows that grow at their end, shared by the moments of one rest: what a moment sees does not change.

    They are kept in blocks. A full one is packed where the metric is the cosine: measuring it reads a quarter of the
    memory, which is what takes long while a graph is built beside.
    """

    def __init__(self, dimension: int, *, packs: bool) -> None:
        self.used = 0
        self.keys = np.empty(_FIRST_ROOM, np.int64)
        self.last_of: dict[int, int] = {}
        self._dimension, self._packs = dimension, packs
        self._size = max(_FIRST_ROOM, _BLOCK_BYTES // (4 * dimension))
        self._blocks: list[Matrix] = []
        self._packed: dict[int, ExactIndex] = {}

    def append(self, keys: Keys, vectors: Matrix) -> None:
        end = self.used + len(keys)
        if end > len(self.keys):
            self.keys = np.concatenate([self.keys[: self.used], np.empty(end + end // 2 - self.used, np.int64)])
        self.keys[self.used : end] = keys
        self.last_of.update(zip(keys.tolist(), range(self.used, end), strict=True))
        while len(vectors):
            number, start = divmod(self.used, self._size)
            if not start:
                self._blocks.append(np.empty((self._size, self._dimension), np.float32))
            taken, vectors = vectors[: self._size - start], vectors[self._size - start :]
            self._blocks[-1][start : start + len(taken)] = taken
            self.used += len(taken)
            if self._packs and not self.used % self._size:
                self._packed[number] = ExactIndex(self._blocks[-1])

    def blocks(self, start: int, stop: int) -> Iterator[_Block]:
        """Yield the rows from one place to another."""
        for number in range(start // self._size, -(-stop // self._size)):
            first = number * self._size
            places = slice(max(start, first), min(stop, first + self._size))
            whole = places.stop - places.start == self._size
            vectors = self._blocks[number][places.start - first : places.stop - first]
            yield _Block(places, vectors, self._packed.get(number) if whole else None)

    def take(self, places: NDArray[np.int64]) -> Matrix:
        """Return the vectors at some places."""
        vectors = np.empty((len(places), self._dimension), np.float32)
        numbers, within = np.divmod(places, self._size)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            vectors[here] = self._blocks[number][within[here]]
        return vectors

    def copy(self, n: int) -> _Rows:
        """Return rows of their own that begin with the first `n` of these; full blocks are shared."""
        copy = _Rows(self._dimension, packs=self._packs)
        full = n // self._size
        copy.used = full * self._size
        copy._blocks = self._blocks[:full]
        copy._packed = {number: packed for number, packed in [*self._packed.items()] if number < full}
        copy.keys = self.keys[: copy.used].copy()
        copy.last_of = dict(zip(copy.keys.tolist(), range(copy.used), strict=True))
        for block in self.blocks(copy.used, n):
            copy.append(self.keys[block.places], block.vectors)
        return copy


class Rest:
    """The vectors of a generation that no graph holds, at one moment. Immutable.

    Parameters
    ----------
    space : EmbeddingSpace
        Of the generation. Vectors are kept at unit length where its metric is the cosine.
    """

    def __init__(self, space: EmbeddingSpace) -> None:
        self._space = space
        self._rows = _Rows(space.dimension, packs=space.metric == "cosine")
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
            Change no memory of this one. Without it, one thread at a time may ask, and only for the newest rest.
        """
        vectors = normalize(changes.vectors) if self._space.metric == "cosine" else changes.vectors
        gone = np.concatenate([changes.keys, changes.deleted])
        outdated = self._places(gone)
        later = self._copy()
        later._rows = self._rows if self._rows.used == self._n and not alone else self._rows.copy(self._n)
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
        rest = type(self)(self._space)
        for keys, vectors in self.batches(earlier._n):
            rest._rows.append(keys, vectors)
        rest._n = rest._live = rest._rows.used
        again = np.isin(self.deleted, rest._keys) | ~np.isin(self.deleted, earlier.deleted)
        rest.deleted = self.deleted[again]
        return rest

    @property
    def _keys(self) -> Keys:
        return self._rows.keys[: self._n]

    def keys(self) -> Keys:
        """Return the keys that have a vector here, shape (n,)."""
        return self._keys if self._alive is None else self._keys[self._alive]

    def batches(self, start: int = 0) -> Iterator[tuple[Keys, Matrix]]:
        """Yield keys and vectors, shape (m,) and (m, d), from some row on."""
        for places, vectors, _ in self._rows.blocks(start, self._n):
            alive = self._alive_among(places)
            keys = self._keys[places]
            yield (keys, vectors) if alive is None else (keys[alive], vectors[alive])

    def touched(self) -> Keys:
        """Return the keys that were written or deleted since the last graph, which has no live vectors of them."""
        return np.concatenate([self._keys, self.deleted])

    def search_exact(self, queries: Matrix, k: int) -> Results:
        """Return scores and keys of the `k` nearest vectors of each query, best first, shape (q, min(k, live))."""
        found: list[Results] = [(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64))]
        return best(found + [self._measured(queries, k, block) for block in self._rows.blocks(0, self._n)], k)

    def _measured(self, queries: Matrix, k: int, block: _Block) -> Results:
        keys, alive = self._keys[block.places], self._alive_among(block.places)
        if self._space.metric != "cosine":
            vectors = block.vectors
            return largest_products(queries, *((keys, vectors) if alive is None else (keys[alive], vectors[alive])), k)
        # On one thread, like a graph: waiting for others is what takes long beside a migration.
        if block.packed is None:
            scores, rows = cosine_topk(queries, block.vectors, k, allowed=alive, threads=1)
        else:
            scores, rows = block.packed.search(queries, k, allowed=alive, threads=1)
        return scores, keys[rows]

    def _alive_among(self, places: slice) -> NDArray[np.bool_] | None:
        return None if self._alive is None else self._alive[places]

    def find(self, keys: Keys) -> tuple[NDArray[np.bool_], Matrix]:
        """Tell which keys are here, shape (n,), and return the vectors of those, shape (found, d)."""
        places = np.fromiter((self._place(key) for key in keys.tolist()), np.int64, len(keys))
        found = places >= 0
        return found, self._rows.take(places[found])

    def _copy(self) -> Rest:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def _places(self, keys: Keys) -> NDArray[np.int64]:
        places = np.fromiter((self._place(key) for key in keys.tolist()), np.int64, len(keys))
        return np.unique(places[places >= 0])

    def _place(self, key: int) -> int:
        """Return the row of the live vector of a key, or -1."""
        place = self._rows.last_of.get(key, -1)
        if place >= self._n:  # it was written again after this moment
            earlier = np.flatnonzero(self._keys == key)
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
