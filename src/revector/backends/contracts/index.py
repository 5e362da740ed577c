"""The index of a collection: how its generations are searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts.documents import Keys
from revector.backends.contracts.generations import Generation

EXACT = "exact"
"""The kind of an index that measures all vectors."""
_LITTLE_RECALL = 0.95


@dataclass(frozen=True)
class Preparation:
    """What it took to make the index of a generation ready to serve.

    Parameters
    ----------
    vectors : int
        How many it holds now.
    built : int
        How many of them were put into a new graph; 0 if what was at hand serves.
    seconds : float
        By the clock, reading the vectors and writing the file included.
    """

    vectors: int
    built: int
    seconds: float


@dataclass(frozen=True)
class IndexShape:
    """How a generation is searched, to be compared with another one.

    Parameters
    ----------
    kind : str
        `EXACT` where all vectors are measured; ``hnsw`` for a graph, or the name of another index.
    options : mapping of str to str
        How it was built, defaults included.
    is_valid : bool
        Whether searches use it.
    why : str
        Why all vectors are measured; empty where there ought to be an index.
    """

    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
    is_valid: bool = True
    why: str = ""

    def __str__(self) -> str:
        """Return it as people read it."""
        details = ", ".join([self.why] * bool(self.why) or [f"{name} {value}" for name, value in self.options.items()])
        return f"{self.kind} ({details})" if details else self.kind


@dataclass(frozen=True)
class IndexHealth:
    """What was found of the index of one generation.

    Parameters
    ----------
    live : int
        Vectors that are found.
    deleted : int
        Nodes of graphs whose vectors were written again or deleted since: they cost memory, and time in every search.
    graphs : int
        That a search walks through.
    scanned : int
        Vectors that no graph holds: a search measures all of them.
    damage : tuple of str
        What is wrong with the files of the graphs.
    unreachable : int
        Live nodes that no path of links leads to: no search finds them.
    recall : float
        Share of the `k` nearest vectors that a search finds, on average over `queries` stored vectors; NaN if there was
        nothing to search.
    recall_error : float
        Standard error of `recall`.
    k, queries : int
        How it was measured.
    remedy : str
        What to do about vectors that searches do not find.
    """

    live: int
    deleted: int
    graphs: int
    scanned: int
    damage: tuple[str, ...]
    unreachable: int
    recall: float
    recall_error: float
    k: int
    queries: int
    remedy: str

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each with what happens about it; empty for a sound index."""
        found = [f"{damage}: it is no longer used, and built anew behind searches" for damage in self.damage]
        if self.unreachable:
            found.append(
                f"{self.unreachable:,} of {self.live:,} vectors cannot be reached by any search: {self.remedy}"
            )
        if self.recall < _LITTLE_RECALL:
            found.append(f"recall@{self.k} is {self.recall:.3f}: {self.remedy}")
        return tuple(found)


@runtime_checkable
class Index(Protocol):
    """Searches the generations of one collection. Safe to share between threads.

    No search waits for a writer or for a graph that is being built; all see what was written before they began.
    """

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int, *, fresh: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now.

        Parameters
        ----------
        generation : Generation
        queries : ndarray of float32, shape (q, d)
        k : int
            Hits a query.
        fresh : bool
            Whether everything must be seen that was written before. ``False`` for a generation beside a complete one,
            which finds what this one has not read yet.

        Returns
        -------
        scores : ndarray of float32, shape (q, min(k, vectors))
            Best first.
        keys : ndarray of int64, shape (q, min(k, vectors))
            Keys of documents.
        """
        ...

    def vectors(self, generation: Generation, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return vectors without asking the database for each; inside a snapshot those of its moment.

        Parameters
        ----------
        generation : Generation
        keys : sequence of int, length n

        Returns
        -------
        known : ndarray of bool, shape (n,)
            Whether the generation has a vector of each key.
        vectors : ndarray of float32, shape (known.sum(), d)
            Of those that have one, in their order; of unit length where the metric of the space is the cosine.
        """
        ...

    def covers(self, generation: Generation) -> bool:
        """Tell whether a search of the generation answers within the usual time now.

        It does not where so much was written that no graph holds yet that measuring all of it would take longer. Such
        a search is right all the same; who has another complete generation asks that one alone meanwhile. To ask makes
        the index follow, behind searches.
        """
        ...

    def prepare(self, generation: Generation) -> Preparation:
        """Make the index of a generation ready for searches at their fastest; they go on meanwhile.

        Called outside of transactions, shortly before readers are sent to the generation, and as often as one likes.
        """
        ...

    def widen(self, generation: Generation) -> bool:
        """Let searches of a generation look at more candidates from now on, in every process.

        Returns
        -------
        bool
            Whether they do; not if they look at as many as they can already.
        """
        ...

    def check(self, generation: Generation, *, recall: bool = True) -> IndexHealth:
        """Look at the index as it is searched: its files byte by byte, and its recall beside exact search.

        Without `recall`, which measures every vector for each of 200 queries, that is NaN.
        """
        ...

    def shape(self, generation: Generation) -> IndexShape:
        """Tell what kind of index a generation is searched by, and how that was built; it costs next to nothing."""
        ...

    def notice(self, generation: Generation) -> str:
        """Return why a graph in use was built although there was one, and when; empty if there is nothing to say."""
        ...

    def prune(self) -> None:
        """Forget, and give back the files of, generations that no longer exist."""
        ...

    def close(self) -> None:
        """Call off what is being built, and forget everything."""
        ...
