"""Exact cosine search by everybody, from float32 rows and from whatever they can prepare beforehand."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import OURS, peer
from revector import ExactIndex, cosine_topk

__all__ = ["Rows", "from_rows", "prepared", "unit"]

Rows = NDArray[np.float32]
Search = Callable[[], NDArray[np.int64]]


def unit(x: Rows) -> Rows:
    """Divide by the norms."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def from_rows(queries: Rows, documents: Rows, k: int) -> dict[str, Search]:
    """One shot from float32 rows that are not of unit length, all costs in."""
    found: dict[str, Search] = {
        OURS: lambda: cosine_topk(queries, documents, k)[1],
        "numpy": lambda: _best_of_scores(unit(queries) @ unit(documents).T, k),
    }
    if torch := peer("torch"):
        q, n = torch.from_numpy(queries), torch.from_numpy(documents)
        for dtype in (torch.float32, torch.bfloat16):
            found[f"{dtype}".replace(".", " ")] = lambda dtype=dtype: _torch_topk(
                *(torch.nn.functional.normalize(rows).to(dtype) for rows in (q, n)), k
            )
    if faiss := peer("faiss"):
        found["faiss"] = lambda: _faiss_index(faiss, unit(documents)).search(unit(queries), k)[1]
    if usearch := peer("usearch.index"):
        found["usearch"] = lambda: _usearch_topk(usearch, queries, documents, k)
    if numkong := peer("numkong"):
        found["numkong"] = lambda: _best_of_scores(-np.asarray(numkong.cdist(queries, documents, metric="angular")), k)
    return found


def prepared(queries: Rows, documents: Rows, k: int) -> dict[str, Search]:
    """Search of documents that everybody has prepared: packed, or of unit length and in their fastest format."""
    index = ExactIndex(documents)
    found: dict[str, Search] = {OURS: lambda: index.search(queries, k)[1]}
    rows, asked = unit(documents), unit(queries)
    if torch := peer("torch"):
        for dtype in (torch.float32, torch.bfloat16):
            ready = torch.from_numpy(rows).to(dtype)
            found[f"{dtype}".replace(".", " ")] = lambda ready=ready, dtype=dtype: _torch_topk(
                torch.from_numpy(asked).to(dtype), ready, k
            )
    if faiss := peer("faiss"):
        flat = _faiss_index(faiss, rows)
        found["faiss"] = lambda: flat.search(asked, k)[1]
    return found


def _best_of_scores(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
    return np.take_along_axis(best, order, 1)


def _torch_topk(queries: Any, documents: Any, k: int) -> NDArray[np.int64]:
    return np.asarray((queries @ documents.T).topk(k).indices)


def _faiss_index(faiss: ModuleType, rows: Rows) -> Any:
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


def _usearch_topk(usearch: ModuleType, queries: Rows, documents: Rows, k: int) -> NDArray[np.int64]:
    """Search exactly; a single query comes back without its axis."""
    found = usearch.search(documents, queries, k, usearch.MetricKind.Cos, exact=True)
    return np.asarray(found.keys).reshape(len(queries), -1)
