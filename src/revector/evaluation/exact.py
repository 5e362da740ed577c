"""Exact search in one embedding space: the ground truth that indexes and models are measured against."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from revector.similarity import cosine_topk
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]
Keys = NDArray[np.int64]

_QUERIES_A_BLOCK = 256


def topk(space: EmbeddingSpace, queries: Matrix, documents: Matrix, k: int) -> tuple[Matrix, Keys]:
    """Return the best documents of every query by the metric of the space.

    Parameters
    ----------
    space : EmbeddingSpace
        Its metric decides: cosine, or the inner product.
    queries : ndarray of float32, shape (q, d)
    documents : ndarray of float32, shape (n, d)
    k : int
        How many; at most n are returned.

    Returns
    -------
    scores : ndarray of float32, shape (q, min(k, n))
        Best first.
    rows : ndarray of int64, shape (q, min(k, n))
        Row numbers of documents; equal scores by lower row.
    """
    if space.metric == "cosine":
        return cosine_topk(queries, documents, k)
    blocks = [
        _dot_topk(queries[start : start + _QUERIES_A_BLOCK], documents, k)
        for start in range(0, max(len(queries), 1), _QUERIES_A_BLOCK)
    ]
    return np.concatenate([scores for scores, _ in blocks]), np.concatenate([rows for _, rows in blocks])


def topk_of_batches(
    space: EmbeddingSpace, queries: Matrix, batches: Iterable[tuple[Keys, Matrix]], k: int
) -> tuple[Matrix, Keys]:
    """Return what `topk` does for documents that come in batches, in the memory of one batch.

    Parameters
    ----------
    space : EmbeddingSpace
    queries : ndarray of float32, shape (q, d)
    batches : iterable of (keys, vectors)
        Keys (n,) int64 and vectors (n, d) float32 of a batch.
    k : int
        How many.

    Returns
    -------
    scores : ndarray of float32, shape (q, found)
        Best first.
    keys : ndarray of int64, shape (q, found)
    """
    best_scores = np.empty((len(queries), 0), dtype=np.float32)
    best_keys = np.empty((len(queries), 0), dtype=np.int64)
    for keys, vectors in batches:
        scores, rows = topk(space, queries, vectors, k)
        best_scores = np.concatenate([best_scores, scores], axis=1)
        best_keys = np.concatenate([best_keys, keys[rows]], axis=1)
        order = np.argsort(-best_scores, axis=1, kind="stable")[:, :k]
        best_scores = np.take_along_axis(best_scores, order, axis=1)
        best_keys = np.take_along_axis(best_keys, order, axis=1)
    return best_scores, best_keys


def _dot_topk(queries: Matrix, documents: Matrix, k: int) -> tuple[Matrix, Keys]:
    scores = queries @ documents.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def nearest_others(rows: Matrix, of: Keys, k: int) -> Keys:
    """Return the rows nearest to some of them by cosine, without themselves.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
    of : ndarray of int64, shape (q,)
        Whose neighbours are asked for.
    k : int
        How many; below n.

    Returns
    -------
    ndarray of int64, shape (q, k)
        Row numbers, nearest first.
    """
    _, found = cosine_topk(rows[of], rows, k + 1)
    own = found == of[:, None]
    own[~own.any(axis=1), -1] = True  # a row with many equals may not find itself
    others: Keys = found[~own].reshape(len(of), k)
    return others
