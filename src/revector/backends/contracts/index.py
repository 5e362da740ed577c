"""The index of a collection: how its generations are searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts.generations import Generation
from revector.index import HnswHealth


@dataclass(frozen=True)
class Preparation:
    """What it took to make the index of a generation ready to serve.

    Parameters
    ----------
    vectors : int
        How many it holds now.
    built : int
        How many of them were put into a new graph at once; 0 if the graph at hand was only brought up to date.
    seconds : float
        By the clock, reading the vectors and writing the file included.
    """

    vectors: int
    built: int
    seconds: float


@runtime_checkable
class Index(Protocol):
    """Searches the generations of one collection. Safe to share between threads."""

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now.

        Parameters
        ----------
        generation : Generation
        queries : ndarray of float32, shape (q, d)
        k : int
            Hits a query.

        Returns
        -------
        scores : ndarray of float32, shape (q, min(k, vectors))
            Best first; -inf where there are fewer hits.
        keys : ndarray of int64, shape (q, min(k, vectors))
            Keys of documents; -1 where there are fewer hits.
        """
        ...

    def prepare(self, generation: Generation) -> Preparation:
        """Make the index of a generation ready, so that no search has to; searches go on meanwhile.

        Called outside of transactions, shortly before readers are sent to the generation, and as often as one likes.
        """
        ...

    def check(self, generation: Generation) -> HnswHealth:
        """Look at the graph as it is searched."""
        ...

    def notice(self, generation: Generation) -> str:
        """Return why the graph in use was built although there was one, and when; empty if there is nothing to say."""
        ...
