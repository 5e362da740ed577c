"""An HNSW graph as a file that is searched where it lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import flag, path_bytes
from revector._arrays import as_labels, as_queries
from revector.index.arguments import (
    DTYPE_NAMES,
    METRIC_NAMES,
    DtypeName,
    MetricName,
    allowed_ids,
    breadth,
    count,
    dtype_of,
    metric_of,
    no_results,
    results,
)
from revector.index.building import DEFAULT_SEED, rows_and_labels, watched
from revector.index.health import SAMPLE, HnswHealth, examine, tune
from revector.threads import thread_limit

__all__ = ["HnswSnapshot"]


class HnswSnapshot:
    """A read-only index in a file that is mapped into memory; `build` and `HnswIndex.save_snapshot` write it.

    Opening reads the header alone. Processes that open the same file share its pages, and what is not searched is not
    read. Vectors of fewer bits take fewer pages and less time; where the file has float32 vectors too, they are read
    for the candidates of each query alone.

    What searches follow is looked at as they follow it: any method raises `CorruptIndexError` where damage leads out of
    the file. Other damage gives wrong results until `verify` tells.

    All methods may be called from any number of threads, and release the GIL.

    Parameters
    ----------
    path : path-like
        Must not be changed in place while it is open; `HnswIndex.save_snapshot` puts a new file in its place instead,
        and whoever has the old one open keeps that.

    Raises
    ------
    CorruptIndexError
        The file is truncated, its header is damaged, or it is something else; the message names offset and reason.
    UnsupportedIndexError
        The file is one of hnswlib or faiss, or of a newer version.
    OSError
        The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._snapshot = _core.HnswSnapshot(path_bytes(path))
        self._path = Path(os.fsdecode(path)).absolute()
        self._hidden = np.empty(0, np.int64)

    @classmethod
    def build(
        cls,
        path: str | os.PathLike[str],
        batches: Iterable[tuple[Any, Any]],
        dim: int,
        *,
        expected: int = 0,
        m: int = 16,
        ef_construction: int = 200,
        metric: MetricName = "cosine",
        seed: int = DEFAULT_SEED,
        dtype: DtypeName = "int8",
        rescore: bool = True,
        threads: int | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> HnswSnapshot:
        """Make an index of vectors that come in batches, and open it. The file appears whole or not at all.

        It is the file that `HnswIndex.build` and `HnswIndex.save_snapshot` would write, but the vectors are in memory
        once.

        Parameters
        ----------
        path : path-like
        batches : iterable of (ids, vectors)
            Arrays of shape (n,) and (n, dim), float. Each id occurs once in all of them.
        dim : int
            Elements of a vector.
        expected : int
            How many vectors will come, more or fewer: room for them is made at once.
        m, ef_construction, metric, seed, threads, progress
            As for `HnswIndex.build`; what `batches` raises calls the build off too.
        dtype, rescore
            As for `HnswIndex.save_snapshot`.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError, OSError
            As for `HnswIndex.build` and `HnswIndex.save_snapshot`.
        """
        file, storage, limit = path_bytes(path), (dtype_of(dtype), flag(rescore, "rescore")), thread_limit(threads)
        builder = _core.SnapshotBuilder(
            count(dim, "dim"),
            metric_of(metric),
            count(m, "m"),
            count(ef_construction, "ef_construction"),
            count(seed, "seed"),
            count(expected, "expected"),
        )
        for ids, vectors in batches:
            builder.add(*rows_and_labels(vectors, ids), limit)
        watched(lambda watch: builder.write(file, *storage, watch, limit), progress)
        return cls(path)

    def __reduce__(self) -> tuple[Callable[..., HnswSnapshot], tuple[Any, ...]]:
        """Return how to open the file again: another process shares its pages, and a copy is not needed."""
        return (_opened, (self._path, self._hidden))

    def without(self, ids: Any) -> HnswSnapshot:
        """Return the same file without some vectors, as if they were deleted in it. This one is left as it is.

        Both share the file, and the memory that searches need. Hidden vectors lead searches onwards and are not found,
        so the others are found as before.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
            Those that are not there are passed over.

        Returns
        -------
        HnswSnapshot
            Costs an eighth of a byte for each vector of the file, and microseconds.
        """
        hidden = as_labels(ids, "ids")
        view = type(self).__new__(type(self))
        view._snapshot, view._path = self._snapshot.without(hidden), self._path
        view._hidden = np.concatenate([self._hidden, hidden])
        return view

    def verify(self) -> None:
        """Read the whole file, and raise `CorruptIndexError` where a checksum differs or a link leads astray."""
        self._snapshot.verify()

    def search(
        self, queries: Any, k: int, *, ef: int | None = None, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest vectors of every query, approximately. As `HnswIndex.search`.

        Where few may be found, all of them are measured, which is faster then, and exact.
        """
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

    def check(self, queries: Any = None, *, k: int = 10, ef: int | None = None, sample: int = SAMPLE) -> HnswHealth:
        """Look at the graph, and measure its recall beside `search_exact`. As `HnswIndex.check`.

        What `without` hides counts as deleted.
        """
        shape, k = self._snapshot.health(), count(k, "k", least=1)
        return examine(self, shape, queries, k, breadth(ef), count(sample, "sample", least=1))

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

    def find(self, ids: Any) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Copy out the vectors of those ids that are there.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Returns
        -------
        found : ndarray of bool, shape (n,)
            Whether each id is there.
        vectors : ndarray of float32, shape (found.sum(), dim)
            Of those that are, in their order; the most exact ones of the file.
        """
        return self._snapshot.find_vectors(as_labels(ids, "ids"))

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


def _opened(path: Path, hidden: NDArray[np.int64]) -> HnswSnapshot:
    snapshot = HnswSnapshot(path)
    return snapshot.without(hidden) if len(hidden) else snapshot
