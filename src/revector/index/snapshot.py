"""An HNSW graph as a file that is searched where it lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import path_bytes
from revector._arrays import as_labels, as_queries
from revector.index.arguments import (
    DTYPE_NAMES,
    METRIC_NAMES,
    DtypeName,
    MetricName,
    allowed_ids,
    breadth,
    count,
    no_results,
    results,
)
from revector.index.health import SAMPLE, tune
from revector.threads import thread_limit

__all__ = ["HnswSnapshot"]


class HnswSnapshot:
    """A read-only index in a file that is mapped into memory; `HnswIndex.save_snapshot` writes it.

    Opening reads links and ids, not vectors. Processes that open the same file share its pages, and what is not
    searched is not read. Vectors of fewer bits take fewer pages and less time; where the file has float32 vectors too,
    they are read for the candidates of each query alone.

    All methods may be called from any number of threads, and release the GIL.

    Parameters
    ----------
    path : path-like
        Must not be changed in place while it is open; `HnswIndex.save_snapshot` puts a new file in its place instead,
        and whoever has the old one open keeps that.

    Raises
    ------
    CorruptIndexError
        The file is truncated, damaged or something else; the message names offset and reason. Damage of the vectors,
        which are not read here, is found by `verify`.
    UnsupportedIndexError
        The file is one of hnswlib or faiss, or of a newer version.
    OSError
        The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._snapshot = _core.HnswSnapshot(path_bytes(path))
        self._path = Path(os.fsdecode(path)).absolute()

    def __reduce__(self) -> tuple[type[HnswSnapshot], tuple[Any]]:
        """Return how to open the file again: another process shares its pages, and a copy is not needed."""
        return (type(self), (self._path,))

    def verify(self) -> None:
        """Read the whole file and compare all checksums; raise `CorruptIndexError` where one differs."""
        self._snapshot.verify()

    def search(
        self, queries: Any, k: int, *, ef: int | None = None, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest vectors of every query, approximately. As `HnswIndex.search`."""
        among, width, limit = allowed_ids(allowed), breadth(ef), thread_limit(threads)
        rows, k = as_queries(queries), results(k, self._snapshot.size(), among)
        return self._snapshot.search(rows, k, width, among, limit) if k > 0 else no_results(rows, self.dim)

    def search_exact(
        self, queries: Any, k: int, *, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest vectors of every query by the most exact vectors of the file, by measuring all."""
        among, limit = allowed_ids(allowed), thread_limit(threads)
        rows, k = as_queries(queries), results(k, self._snapshot.size(), among)
        return self._snapshot.search_exact(rows, k, among, limit) if k > 0 else no_results(rows, self.dim)

    def tune(self, target_recall: float, queries: Any = None, *, k: int = 10, sample: int = SAMPLE) -> int:
        """Find the narrowest search that has a recall beside `search_exact`. As `HnswIndex.tune`."""
        return tune(self, target_recall, queries, count(k, "k", least=1), count(sample, "sample", least=1))

    def get_vectors(self, ids: Any) -> NDArray[np.float32]:
        """Copy vectors out, the most exact ones of the file.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Returns
        -------
        ndarray of float32, shape (n, dim)

        Raises
        ------
        InvalidArgumentError
            An id is unknown or deleted.
        """
        return self._snapshot.get_vectors(as_labels(ids, "ids"))

    def ids(self) -> NDArray[np.int64]:
        """Return the live ids, in the order in which the index has them."""
        return self._snapshot.labels()

    def __len__(self) -> int:
        return self._snapshot.size()

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, (int, np.integer)) and 0 <= int(id_) < 2**63 and self._snapshot.contains(int(id_))

    @property
    def dim(self) -> int:
        """Elements of a vector."""
        return self._snapshot.dim

    @property
    def metric(self) -> MetricName:
        """What "near" means."""
        return METRIC_NAMES[self._snapshot.metric]

    @property
    def dtype(self) -> DtypeName:
        """How the vectors are stored that searches walk over."""
        return DTYPE_NAMES[self._snapshot.type]

    @property
    def rescores(self) -> bool:
        """Whether what a walk finds is scored by float32 vectors beside the others."""
        return self._snapshot.rescore

    def __repr__(self) -> str:
        return f"HnswSnapshot(dim={self.dim}, metric={self.metric!r}, dtype={self.dtype!r}, size={len(self)})"
