"""What a store of vectors does for a collection: one folder a store has a class that does it, and nothing else.

Everything that asks for transactions (documents, ledger, which vector is of which text) is in a SQLite file beside the
store: see `revector.backends.beside.backend`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import IndexShape

__all__ = ["Page", "StoreCapabilities", "VectorStore"]

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class StoreCapabilities:
    """What a store can do; what it cannot is done in a documented way, or refused.

    Attributes
    ----------
    aliases : bool
        Names that lead to a physical collection, moved from one moment to the next. Without, readers ask
        `revector` which collection serves.
    carries : bool
        A point may have other vectors (sparse ones, several of them, other names), which `put` takes along from the
        collection it is `like`.
    ids : str
        Which ids points may have, for people: ``"text of up to 512 bytes"``.
    notices : tuple of str
        What else its users have to know, a sentence each.
    """

    aliases: bool
    carries: bool
    ids: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Some points of a collection.

    Attributes
    ----------
    ids : list of str
    payloads : list of dict
        Of each point: all its fields but for vectors.
    vectors : ndarray of float32, shape (n, d), or None
        If they were asked for. Where the metric is the cosine, they have the direction they were put with, and perhaps
        another length; elsewhere they are as they were put.
    next : object
        Where the next page begins; ``None`` after the last one.
    """

    ids: list[str]
    payloads: list[dict[str, Any]]
    vectors: Matrix | None = None
    next: Any = field(default=None)


@runtime_checkable
class VectorStore(Protocol):
    """Physical collections of points in a store: an id, one vector that is searched, and a payload.

    Safe to share between threads. Every error of the store's client leaves as a `StoreError` (or `ClosedError`) that
    repeats no secret; a call that may be repeated is, while the connection is lost, for as long as the class says.
    Calls are seen by those that begin after them: where a store is not so by itself, the class waits for it.
    """

    capabilities: StoreCapabilities

    @property
    def url(self) -> str:
        """Where the store is, without secrets."""
        ...

    def names(self) -> list[str]:
        """Return the names of the physical collections."""
        ...

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty collection; do nothing where such a one is there already, from a call that was cut off.

        Parameters
        ----------
        name : str
        dimension : int
        metric : {"cosine", "dot"}
            Of the vector that is searched.
        like : str, optional
            Another collection, whose index parameters, payload indexes and other vectors it shall have.

        Raises
        ------
        StoreError
            A collection of that name holds points.
        """
        ...

    def drop(self, name: str) -> None:
        """Delete a collection; do nothing where there is none."""
        ...

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points, in place of those that have the ids.

        Parameters
        ----------
        name : str
        ids : sequence of str, length n
            Each once.
        vectors : ndarray of float32, shape (n, d)
        payloads : sequence of mapping, length n
            Whatever JSON can hold.
        like : str, optional
            A collection whose other vectors of the same ids are taken along; it may be the same one.

        Raises
        ------
        StoreError
            There is no such collection, or its vectors have another dimension; then nothing is written.
        """
        ...

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist, in no certain order."""
        ...

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points; those that do not exist are passed over."""
        ...

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query, best first, fewer than `k` where there are fewer.

        A score is the cosine or the inner product, whatever the store calls a distance.
        """
        ...

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points, each once, in pages of at most `batch`; from where a page said that the next one begins.

        Each page is of its own moment: points that are written meanwhile may be in a later one, or in none.
        """
        ...

    def count(self, name: str) -> int:
        """Count the points exactly."""
        ...

    def aliased(self, alias: str) -> str | None:
        """Return the collection that an alias leads to, or ``None``."""
        ...

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to a collection, from one moment to the next, whether or not it led to another one.

        Raises
        ------
        StoreError
            The store has no aliases, or a collection has that name.
        """
        ...

    def unalias(self, alias: str) -> None:
        """Remove an alias; do nothing where there is none."""
        ...

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a collection, and shows: a mapping that JSON can hold.

        At least ``dimension`` (int), ``metric`` (as `create` takes it), ``points`` (int), ``fields`` (names in the
        payloads, of a sample), ``indexes`` (as they are shown) and ``others`` (names of other vectors).

        Raises
        ------
        StoreError
            There is no such collection, or its vectors are of a kind or metric that cannot be moved.
        """
        ...

    def moment(self) -> AbstractContextManager[None]:
        """Let reads of this thread inside see what was written before it began, and perhaps nothing newer.

        Where a store waits for what was written before a read, it waits once. What this thread writes inside is seen.
        """
        ...

    def shape(self, name: str) -> IndexShape:
        """Tell how a collection is searched, its payload indexes included, to be compared with another one."""
        ...

    def settle(self, name: str) -> None:
        """Return when what was written is indexed, so that searches take their usual time."""
        ...

    def stored_bytes(self, name: str) -> int:
        """Return about how many bytes a collection takes: vectors and payloads."""
        ...

    def close(self) -> None:
        """Release connections; another call raises `ClosedError`."""
        ...
