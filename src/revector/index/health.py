"""How good a graph is: its shape, and the recall of its searches beside exact ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from revector._arguments import number
from revector._arrays import as_queries
from revector.errors import InvalidArgumentError, RecallNotReachedError

__all__ = ["HnswHealth"]

SAMPLE = 200
_SEED = 0
_TIE = 1e-6
"""Relative difference of scores below which two results are as good as each other."""
_MANY_DELETED = 0.2
_LITTLE_RECALL = 0.9


class Searched(Protocol):
    """What is asked of an index to measure its recall."""

    def search(self, queries: Any, k: int, *, ef: int | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and ids that a search finds, best first."""
        ...

    def search_exact(self, queries: Any, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and ids of the nearest vectors, best first."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """Return the live ids."""
        ...

    def get_vectors(self, ids: Any) -> NDArray[np.float32]:
        """Return vectors by their ids."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class HnswHealth:
    """What `HnswIndex.check` found.

    Attributes
    ----------
    live, deleted : int
        Nodes. Deleted ones still cost memory, and time in every search.
    levels : int
        Of the graph.
    unreachable : int
        Live nodes that no path of links leads to from the entry point: no search finds them.
    degrees : tuple of int
        How many nodes have 0, 1, 2, ... links at the lowest level.
    recall : float
        Share of the `k` nearest vectors that a search with `ef` finds, on average over `queries` queries; NaN if there
        was nothing to search.
    recall_error : float
        Standard error of `recall`.
    k, ef, queries : int
        How it was measured.
    """

    live: int
    deleted: int
    levels: int
    unreachable: int
    degrees: tuple[int, ...]
    recall: float
    recall_error: float
    k: int
    ef: int
    queries: int

    @property
    def mean_degree(self) -> float:
        """Links of a node at the lowest level, on average."""
        return float(np.average(np.arange(len(self.degrees)), weights=self.degrees)) if sum(self.degrees) else 0.0

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each with what to do about it; empty for a sound graph."""
        found = []
        if self.unreachable:
            found.append(f"{self.unreachable} of {self.live} vectors cannot be reached by any search: rebuild()")
        if self.deleted > _MANY_DELETED * (self.live + self.deleted):
            found.append(f"{self.deleted} of {self.live + self.deleted} nodes are deleted: rebuild() gives them back")
        if self.recall < _LITTLE_RECALL:
            found.append(
                f"recall@{self.k} is {self.recall:.3f} with ef={self.ef}: search with the ef that tune() finds, or "
                "rebuild() if that is too slow"
            )
        return tuple(found)

    @property
    def recommendation(self) -> str:
        """What to do, in one sentence."""
        return "; ".join(self.problems) or "nothing to do"


def as_good(scores: NDArray[np.float32], least: NDArray[np.float32], tie: float = _TIE) -> NDArray[np.bool_]:
    """Tell which scores are no worse than the least that was expected, but for a relative difference of `tie`."""
    good: NDArray[np.bool_] = scores >= least - tie * np.maximum(np.abs(least), 1)
    return good


def standard_error(recalls: NDArray[np.float64]) -> float:
    """Return the standard error of the mean recall of queries; NaN for fewer than two."""
    return float(recalls.std(ddof=1) / len(recalls) ** 0.5) if len(recalls) > 1 else float("nan")


def examine(index: Searched, shape: Mapping[str, Any], queries: Any, k: int, ef: int, sample: int) -> HnswHealth:
    """Do the work of `HnswIndex.check`; `shape` is what the core tells of the graph. No `sample` asks it nothing."""
    recalls = _Referee(index, queries, k, sample).recalls(ef) if sample else np.empty(0)
    return HnswHealth(
        **{**shape, "degrees": tuple(shape["degrees"])},
        recall=float(recalls.mean()) if len(recalls) else float("nan"),
        recall_error=standard_error(recalls),
        k=k,
        ef=ef,
        queries=len(recalls),
    )


def tune(index: Searched, target: float, queries: Any, k: int, sample: int) -> int:
    """Do the work of `HnswIndex.tune`."""
    if not 0 < number(target, "target_recall") <= 1:
        raise InvalidArgumentError(f"target_recall is {target}, expected more than 0 and at most 1")
    referee = _Referee(index, queries, k, sample)
    most = max(len(index), k)
    too_small, enough = k - 1, k
    while (recall := referee.recall(enough)) < target:
        if enough == most:
            raise RecallNotReachedError(
                f"recall@{k} is {recall:.4f} with the broadest search, expected {target}: some vectors cannot be "
                "reached (check() says how many); rebuild() mends that",
                target=target,
                reached=recall,
            )
        too_small, enough = enough, min(2 * enough, most)
    while enough - too_small > max(1, enough // 32):
        middle = (too_small + enough) // 2
        if referee.recall(middle) < target:
            too_small = middle
        else:
            enough = middle
    return enough


class _Referee:
    """Compares searches with exact ones. Stored vectors that serve as queries do not count as their own results."""

    def __init__(self, index: Searched, queries: Any, k: int, sample: int) -> None:
        self._index = index
        self._own = np.empty(0, np.int64)
        if queries is None:
            ids = index.ids()
            chosen = np.random.default_rng(_SEED).permutation(len(ids))[:sample]
            self._own = ids[np.sort(chosen)]
            self._queries = index.get_vectors(self._own)
        else:
            self._queries = as_queries(queries)
        others = len(index) - (1 if queries is None else 0)
        self._k = min(k, max(others, 0))
        self._expected = self._answers(None)

    def recall(self, ef: int) -> float:
        """Mean recall; 1 where there is nothing to find."""
        recalls = self.recalls(ef)
        return float(recalls.mean()) if len(recalls) else 1.0

    def recalls(self, ef: int) -> NDArray[np.float64]:
        """Recall of each query. A result with the score of the last expected one is as good."""
        if self._k == 0:
            return np.empty(0)
        recalls: NDArray[np.float64] = as_good(self._answers(ef), self._expected[:, -1:]).mean(1)
        return recalls

    def _answers(self, ef: int | None) -> NDArray[np.float32]:
        """Scores of the k best, without the query itself."""
        if self._k == 0 or len(self._queries) == 0:
            return np.empty((len(self._queries), self._k), np.float32)
        wanted = self._k + (1 if len(self._own) else 0)
        scores, ids = (
            self._index.search_exact(self._queries, wanted)
            if ef is None
            else self._index.search(self._queries, wanted, ef=max(ef, wanted))
        )
        if missing := wanted - scores.shape[1]:  # vectors that somebody has deleted meanwhile
            scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
            ids = np.pad(ids, ((0, 0), (0, missing)), constant_values=-1)
        if not len(self._own):
            return scores
        is_other: NDArray[np.bool_] = ids != self._own[:, None]
        is_other[is_other.all(1), -1] = False  # the query itself was not found: the last result is one too many
        others: NDArray[np.float32] = scores[is_other].reshape(len(scores), self._k)
        return others
