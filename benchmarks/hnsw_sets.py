"""Vectors to make graphs of, with the exact answers: embeddings of judged collections, and synthetic clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedded import embed
from judged import named, read_collection
from revector import cosine_topk, normalize
from revector.demo.docstrings import python_corpus
from revector.formats.named_models import fetch_model

__all__ = ["Ids", "K", "Rows", "Vectors", "clustered", "embeddings", "synthetic"]

K = 10
SAME_SCORE = 2e-6
"""Documents whose scores differ by less are equal: collections hold the same text twice."""

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Vectors:
    """A set with queries, all of unit length.

    Parameters
    ----------
    name : str
    rows : ndarray of float32, shape (n, d)
    queries : ndarray of float32, shape (q, d)
    bars : ndarray of float32, shape (q,)
        Exact score of the `K`-th nearest row of each query.
    """

    name: str
    rows: Rows
    queries: Rows
    bars: Rows

    @classmethod
    def of(cls, name: str, rows: Rows, queries: Rows) -> Vectors:
        """Normalise, and search exactly."""
        rows, queries = normalize(rows), normalize(queries)
        return cls(f"{name}, {len(rows)} x {rows.shape[1]}", rows, queries, cosine_topk(queries, rows, K)[0][:, -1])

    def recalls(self, found: Ids) -> NDArray[np.float64]:
        """Return for each query which share of its `K` hits are among the nearest; ids that do not exist miss."""
        exists = (found >= 0) & (found < len(self.rows))
        near = self.rows[np.where(exists, found, 0)]
        scores = np.matmul(near, self.queries[:, :, None])[:, :, 0]
        return ((scores >= self.bars[:, None] - SAME_SCORE) & exists).mean(axis=1)


def embeddings() -> Iterator[Vectors]:
    """Yield each model's vectors of each collection, with the half of the queries that no parameter was chosen on.

    What `HnswIndex.build` does was tuned on ``queries[0::2]`` of wordnet with minilm and bge.
    """
    models = named("REVECTOR_BENCH_MODELS") or [fetch_model("minilm")]
    collections = [read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")] or [python_corpus()]
    for corpus in collections:
        for model in models:
            rows = embed(Path(model), corpus)
            yield Vectors.of(f"{model.name}, {corpus.name}", rows.documents, rows.queries[1::2])


def synthetic(n: int, d: int, n_queries: int = 1_000) -> Vectors:
    """Return a set of `clustered`."""
    return Vectors.of("clustered", *clustered(n, n_queries, d))


def clustered(n: int, n_queries: int, d: int) -> tuple[Rows, Rows]:
    """Vectors around many centres in a space of few directions, as embeddings are; queries from the same."""
    rng = np.random.default_rng(n)
    directions = rng.standard_normal((32, d), dtype=np.float32)
    centres = rng.standard_normal((max(n // 50, 1), 32), dtype=np.float32)
    points = centres[rng.integers(len(centres), size=n + n_queries)]
    points = points + 0.6 * rng.standard_normal(points.shape, dtype=np.float32)
    rows = points @ directions
    for begin in range(0, len(rows), 10_000):  # a million rows twice would be too much
        block = rows[begin : begin + 10_000]
        block += 0.5 * rng.standard_normal(block.shape, dtype=np.float32)
    return rows[:n], rows[n:]
