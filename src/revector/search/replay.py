"""Queries asked of both generations of a migration, and how the answers differ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import InvalidArgumentError, MigrationError
from revector.search.queries import QueryEncoder
from revector.search.recall import Recall

__all__ = ["Compared", "Replay", "Side", "rank_biased_overlap", "replay"]

PERSISTENCE = 0.9
"""Of the reader whom rank-biased overlap imagines: so likely it is that a rank is followed by a look at the next."""


@dataclass(frozen=True)
class Side:
    """How one generation answered.

    Parameters
    ----------
    generation : int
    model : str
    vectors : int
        That it holds.
    p50_ms, p99_ms : float
        Time of a query, its embedding included.
    empty : int
        Queries that found nothing.
    """

    generation: int
    model: str
    vectors: int
    p50_ms: float
    p99_ms: float
    empty: int


@dataclass(frozen=True)
class Compared:
    """One query, what both found, and how much of it is the same.

    Parameters
    ----------
    query : str
    overlap : float
        Share of the documents that both found.
    rank_biased_overlap : float
        The same with more weight on the first ranks; 1 for equal rankings.
    old, new : tuple of str
        Ids, best first.
    """

    query: str
    overlap: float
    rank_biased_overlap: float
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Replay:
    """How the answers of two generations differ.

    Parameters
    ----------
    k : int
        Documents a query.
    overlap, rank_biased_overlap : float
        Means over the queries.
    old, new : Side
        How each generation answered.
    queries : tuple of Compared
        Those that differ the most first.
    """

    k: int
    overlap: float
    rank_biased_overlap: float
    old: Side
    new: Side
    queries: tuple[Compared, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)


def replay(backend: Backend, encoders: EncoderSet, queries: Sequence[str], *, k: int = 10) -> Replay:
    """Ask queries of both generations of the migration, one by one, and compare. Nothing is written or counted.

    Parameters
    ----------
    backend : Backend
    encoders : EncoderSet
        Where a model is not at hand, the map from the other one's space does its work.
    queries : sequence of str
    k : int
        Documents a query.

    Raises
    ------
    MigrationError
        There are no two generations.
    EncoderError
        Neither a model nor a map is at hand.
    InvalidArgumentError
        There are no queries.
    """
    k, asked = whole_number(k, "k", least=1), list(dict.fromkeys(queries))
    if not asked:
        raise InvalidArgumentError("there are no queries: capture some, or give them in a file")
    record = backend.ledger.active(backend.alias)
    if record is None or record.target_generation is None:
        raise MigrationError("there is nothing to compare: the collection has one generation; start a migration first")
    old, new = (backend.generations.get(each) for each in (record.source_generation, record.target_generation))
    (old_side, before), (new_side, after) = _asked(backend, encoders, (old, new), asked, k)
    names = {d.key: d.id for d in backend.documents.by_key(np.unique(np.concatenate([*before, *after])))}
    found = zip(asked, before, after, strict=True)
    compared = [_compared(query, _ids(ours, names), _ids(theirs, names), k) for query, ours, theirs in found]
    return Replay(
        k,
        float(np.mean([each.overlap for each in compared])),
        float(np.mean([each.rank_biased_overlap for each in compared])),
        old_side,
        new_side,
        tuple(sorted(compared, key=lambda each: each.rank_biased_overlap)),
    )


def rank_biased_overlap(old: Sequence[str], new: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """Return the extrapolated rank-biased overlap of two rankings, to the depth of the shorter one.

    W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010, equation 23;
    1 for equal rankings, 0 for rankings that have nothing in common.
    """
    depth = min(len(old), len(new))
    if not depth:
        return float(len(old) == len(new))
    agreed = [len(set(old[:rank]) & set(new[:rank])) / rank for rank in range(1, depth + 1)]
    weighted = sum(share * persistence**rank for rank, share in enumerate(agreed, 1))
    return agreed[-1] * persistence**depth + (1 - persistence) / persistence * weighted


def _asked(
    backend: Backend, encoders: EncoderSet, pair: tuple[Generation, Generation], queries: Sequence[str], k: int
) -> list[tuple[Side, list[NDArray[np.int64]]]]:
    """Ask both generations in turn, so that what else goes on meanwhile hits both; the first query warms them up."""
    encoder = QueryEncoder(backend, encoders)
    found: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    took: tuple[list[float], list[float]] = ([], [])
    for query in [queries[0], *queries]:
        for side, (generation, other) in enumerate((pair, pair[::-1])):
            began = time.perf_counter()
            vectors = encoder.encode([query], generation, [other])
            _, keys = Recall(backend, None).search(generation, vectors, k)
            took[side].append(1000 * (time.perf_counter() - began))
            found[side].append(keys[0][keys[0] >= 0])
    return [(_side(backend, pair[side], took[side][1:], found[side][1:]), found[side][1:]) for side in (0, 1)]


def _side(backend: Backend, generation: Generation, took: list[float], found: list[NDArray[np.int64]]) -> Side:
    p50, p99 = (float(value) for value in np.quantile(took, [0.5, 0.99]))
    empty = sum(not len(keys) for keys in found)
    return Side(generation.id, generation.space.model, backend.generations.count(generation.id), p50, p99, empty)


def _ids(keys: NDArray[np.int64], names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names[key] for key in keys.tolist() if key in names)


def _compared(query: str, old: tuple[str, ...], new: tuple[str, ...], k: int) -> Compared:
    most = min(k, max(len(old), len(new)))
    overlap = len(set(old) & set(new)) / most if most else 1.0
    return Compared(query, overlap, rank_biased_overlap(old, new), old, new)
