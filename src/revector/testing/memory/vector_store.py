"""A store of vectors in memory: what `revector.backends.beside` needs beside its ledger file, and nothing of a server.

Stores of one URL share their collections for as long as the process lives, until `MemoryVectorStore.forget`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Page, StoreCapabilities
from revector.backends.contracts import EXACT, IndexShape
from revector.errors import ClosedError, StoreError
from revector.similarity import cosine_topk

__all__ = ["MemoryVectorStore"]

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class _Point:
    vector: NDArray[np.float32]
    payload: str  # as JSON, so that nobody changes what is stored
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Collection:
    """A collection at one moment; a write puts another one in its place."""

    dimension: int
    metric: str
    points: Mapping[str, _Point] = field(default_factory=dict)


class _Shelf:
    """What the stores of one URL share."""

    def __init__(self) -> None:
        self.collections: dict[str, _Collection] = {}
        self.aliases: dict[str, str] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self.lock = threading.RLock()


_shelves: dict[str, _Shelf] = {}


class MemoryVectorStore:
    """Collections in the memory of this process; see `revector.backends.beside.store.VectorStore`.

    Parameters
    ----------
    url : str
        Names the store.
    """

    capabilities = StoreCapabilities(aliases=True, carries=True, ids="any text")

    def __init__(self, url: str = "memory-store://") -> None:
        self.url, self._closed = url, False
        self._shelf = _shelves.setdefault(url, _Shelf())

    @staticmethod
    def forget(url: str) -> None:
        """Let go of what the stores hold whose URLs begin so; whoever has one open keeps it."""
        for each in [known for known in _shelves if known.startswith(url)]:
            del _shelves[each]

    def names(self) -> list[str]:
        """Return the names of the physical collections."""
        return sorted(self._open().collections)

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty collection."""
        shelf = self._open()
        with shelf.lock:
            if like is not None:
                self._named(like)
            found = shelf.collections.get(name)
            if (found is not None and found.points) or name in shelf.aliases:
                raise StoreError(f"{self.url} has a collection or alias {name!r} already; choose another name")
            shelf.collections[name] = _Collection(dimension, metric)

    def drop(self, name: str) -> None:
        """Delete a collection, and the aliases that lead to it."""
        shelf = self._open()
        with shelf.lock:
            shelf.collections.pop(name, None)
            shelf.aliases = {alias: to for alias, to in shelf.aliases.items() if to != name}

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points, in place of those that have the ids."""
        with self._open().lock:
            found = self._named(name)
            require_fitting(self.url, name, vectors, found.dimension)
            others = {} if like is None else self._named(like).points
            new = {
                id_: _Point(vector, json.dumps(dict(payload)), others[id_].others if id_ in others else {})
                for id_, vector, payload in zip(ids, np.array(vectors, np.float32), payloads, strict=True)
            }
            self._write(name, {**found.points, **new})

    def give(self, name: str, id_: str, others: Mapping[str, Any]) -> None:
        """Give a point other vectors, by their names; `put` takes them along from the collection it is `like`."""
        with self._open().lock:
            points = self._named(name).points
            self._write(name, {**points, id_: replace(points[id_], others=dict(others))})

    def others(self, name: str, id_: str) -> dict[str, Any]:
        """Return the other vectors of a point, by their names."""
        return dict(self._named(name).points[id_].others)

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        found = self._named(name)
        return _page(found, [id_ for id_ in dict.fromkeys(ids) if id_ in found.points], vectors)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        gone = set(ids)
        with self._open().lock:
            points = self._named(name).points
            self._write(name, {id_: point for id_, point in points.items() if id_ not in gone})

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        found = self._named(name)
        if not found.points:
            return [([], []) for _ in queries]
        matrix = np.stack([point.vector for point in found.points.values()])
        ids, most = [*found.points], min(k, len(matrix))
        if found.metric == "cosine":
            scores, places = cosine_topk(np.ascontiguousarray(queries, np.float32), matrix, most)
        else:
            whole = queries @ matrix.T
            places = np.argsort(-whole, axis=1, kind="stable")[:, :most]
            scores = np.take_along_axis(whole, places, axis=1)
        return [([ids[at] for at in row], of.tolist()) for row, of in zip(places, scores, strict=True)]

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        place = "" if after is None else str(after)
        while True:
            found = self._named(name)
            ids = sorted(id_ for id_ in found.points if id_ > place)
            page = _page(found, ids[:batch], vectors)
            place = page.ids[-1] if page.ids else place
            yield replace(page, next=place if len(ids) > batch else None)
            if len(ids) <= batch:
                return

    def count(self, name: str) -> int:
        """Count the points."""
        return len(self._named(name).points)

    def aliased(self, alias: str) -> str | None:
        """Return the collection that an alias leads to, or ``None``."""
        return self._open().aliases.get(alias)

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to a collection."""
        shelf = self._open()
        with shelf.lock:
            self._named(name)
            if alias in shelf.collections:
                raise StoreError(f"{alias!r} is the name of a collection; give the alias another one")
            shelf.aliases = {**shelf.aliases, alias: name}

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        with self._open().lock:
            self._shelf.aliases.pop(alias, None)

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a collection."""
        found = self._named(name)
        points = list(found.points.values())
        return {
            "dimension": found.dimension,
            "metric": found.metric,
            "points": len(points),
            "fields": sorted({key for point in points[:100] for key in json.loads(point.payload)}),
            "indexes": [],
            "others": sorted({key for point in points[:100] for key in point.others}),
        }

    def moment(self) -> AbstractContextManager[None]:
        """Do nothing: no read waits for what was written before it."""
        return nullcontext()

    def shape(self, name: str) -> IndexShape:
        """Say that all vectors are measured."""
        self._named(name)
        return IndexShape(EXACT, why="there is no graph over memory")

    def settle(self, name: str) -> None:
        """Do nothing: what was written is searched."""
        self._named(name)

    def stored_bytes(self, name: str) -> int:
        """Return what vectors and payloads take."""
        points = self._named(name).points.values()
        return sum(point.vector.nbytes + len(point.payload) for point in points)

    def close(self) -> None:
        """Leave the collections to others, and to a later store of the same URL."""
        self._closed = True

    def _open(self) -> _Shelf:
        if self._closed:
            raise ClosedError(self.url)
        return self._shelf

    def _named(self, name: str) -> _Collection:
        found = self._open().collections.get(name)
        if found is None:
            raise StoreError(f"{self.url} has no collection {name!r}; names() lists those that are there")
        return found

    def _write(self, name: str, points: Mapping[str, _Point]) -> None:
        self._shelf.collections[name] = replace(self._named(name), points=points)


def _page(collection: _Collection, ids: list[str], vectors: bool) -> Page:
    points = [collection.points[id_] for id_ in ids]
    matrix = None
    if vectors:
        matrix = np.array([point.vector for point in points], np.float32).reshape(len(points), collection.dimension)
    return Page(ids, [json.loads(point.payload) for point in points], matrix)
