"""Approximate nearest neighbours: an HNSW graph on the native core, in the file format of hnswlib 0.8."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arrays import as_float32, as_labels
from revector.errors import InvalidArgumentError

__all__ = ["HnswIndex", "MetricName"]

MetricName = Literal["cosine", "ip", "l2"]

_METRICS: dict[str, _core.Metric] = {
    "cosine": _core.Metric.cosine,
    "ip": _core.Metric.inner_product,
    "l2": _core.Metric.l2,
}
_NAMES: dict[_core.Metric, MetricName] = {
    _core.Metric.cosine: "cosine",
    _core.Metric.inner_product: "ip",
    _core.Metric.l2: "l2",
}

_DEFAULT_EF = 128
_DEFAULT_SEED = 100
_PROGRESS_SECONDS = 0.2


class HnswIndex:
    """A navigable small-world graph of vectors (Malkov & Yashunin, arXiv:1603.09320).

    Searches may run side by side from any number of threads; a call that changes the index waits for them to end and
    then has it for itself, before searches that come later. `add` and `search` use all threads of the pool and release
    the GIL.

    Parameters
    ----------
    dim : int
        Elements of a vector.
    m : int
        Links that a node chooses, 2 to 10,000; twice as many may lead to it at the lowest level.
    ef_construction : int
        Candidates looked at to choose them.
    metric : {"cosine", "ip", "l2"}
        Cosine similarity (vectors are stored at unit length), inner product, or squared Euclidean distance.
    seed : int
        Of the levels of the nodes. With one thread the graph depends on the seed and the sequence of calls alone.

    Raises
    ------
    InvalidArgumentError
        A parameter is out of range.
    """

    def __init__(
        self,
        dim: int,
        *,
        m: int = 16,
        ef_construction: int = 200,
        metric: MetricName = "cosine",
        seed: int = _DEFAULT_SEED,
    ) -> None:
        self._index = _core.HnswIndex(
            _count(dim, "dim"),
            _metric(metric),
            _count(m, "m"),
            _count(ef_construction, "ef_construction"),
            _count(seed, "seed"),
        )

    @classmethod
    def build(
        cls,
        vectors: Any,
        ids: Any,
        *,
        m: int = 16,
        ef_construction: int = 200,
        metric: MetricName = "cosine",
        seed: int = _DEFAULT_SEED,
        progress: Callable[[float], object] | None = None,
    ) -> HnswIndex:
        """Make an index of many vectors at once: several times as fast as adding them, and at least as good.

        Candidates for links come from products of whole clusters of vectors, in int8 where that is fast, not from
        searches. Neighbours lie close in memory, so searches are faster too. The graph depends on the arguments alone,
        not on the number of threads.

        Parameters
        ----------
        vectors : array_like of float, shape (n, dim)
        ids : array_like of int, shape (n,)
            Not negative, each once.
        m, ef_construction, metric, seed
            As for an index that starts empty.
        progress : callable, optional
            Called on this thread, some times a second, with the share that is done. What it raises calls the build
            off, as Ctrl-C does.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            As for `add`; an id that occurs twice.
        """
        rows, labels = as_float32(vectors, "vectors"), as_labels(ids, "ids")
        numbers = _count(m, "m"), _count(ef_construction, "ef_construction"), _count(seed, "seed")
        index = cls.__new__(cls)
        index._index = _watched(
            lambda watch: _core.HnswIndex.build(rows, labels, _metric(metric), *numbers, watch), progress
        )
        return index

    def add(self, vectors: Any, ids: Any) -> None:
        """Insert vectors; an id that exists gets its new vector in place, and lives again if it was deleted.

        Parameters
        ----------
        vectors : array_like of float, shape (n, dim)
        ids : array_like of int, shape (n,)
            Not negative. If an id occurs twice, its last row counts.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            Wrong columns or number of ids; NaN or infinity; a negative id. The index has not changed then.
        """
        self._index.add(as_float32(vectors, "vectors"), as_labels(ids, "ids"))

    def mark_deleted(self, ids: Any) -> None:
        """Hide ids from every result; their nodes go on leading searches to others.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Raises
        ------
        InvalidArgumentError
            An id was never added; nothing is marked then. Marking twice is no error.
        """
        self._index.mark(as_labels(ids, "ids"), True)

    def unmark_deleted(self, ids: Any) -> None:
        """Show deleted ids again. Arguments and errors as for `mark_deleted`."""
        self._index.mark(as_labels(ids, "ids"), False)

    def search(self, queries: Any, k: int, *, ef: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest live vectors of every query, approximately.

        Parameters
        ----------
        queries : array_like of float, shape (q, dim)
        k : int
            Results a query.
        ef : int, optional
            Candidates kept while searching: more find more and take longer. At least `k` is used; 128 by default.

        Returns
        -------
        scores : ndarray of float32, shape (q, k)
            Best first, higher is better: similarities, or negative squared distances for "l2". ``-inf`` where there
            were fewer than `k` results.
        ids : ndarray of int64, shape (q, k)
            Ties by lower id; -1 where there were fewer than `k` results.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            Wrong columns; NaN or infinity; `k` below 1.
        """
        return self._index.search(
            as_float32(queries, "queries"), _count(k, "k"), _DEFAULT_EF if ef is None else _count(ef, "ef")
        )

    def rotate(self, rotation: Any) -> None:
        """Rotate every vector in place: distances stay what they are, so the graph stays right and nothing is rebuilt.

        Parameters
        ----------
        rotation : Procrustes or array_like of float, shape (dim, dim)
            An orthogonal matrix W (``v W`` replaces ``v``), or a map that was fitted with ``center=False``: a centred
            one moves the origin, and with it every cosine.

        Raises
        ------
        InvalidArgumentError
            The matrix is not orthogonal, or the map is centred. Nothing has changed then.
        ShapeError
            Another dimension.
        """
        if getattr(rotation, "center", False):
            raise InvalidArgumentError(
                "the map is centred, expected one that only rotates: a moved origin changes distances; fit "
                "Procrustes(center=False), or map the vectors and build a new index"
            )
        self._index.rotate(as_float32(getattr(rotation, "rotation", rotation), "rotation"))

    def get_vectors(self, ids: Any) -> NDArray[np.float32]:
        """Copy vectors out, as they are stored (unit rows for "cosine").

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
        return self._index.get_vectors(as_labels(ids, "ids"))

    def ids(self) -> NDArray[np.int64]:
        """Return the live ids, in the order in which they were first added."""
        return self._index.labels()

    def __len__(self) -> int:
        return self._index.size()

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, (int, np.integer)) and 0 <= int(id_) < 2**63 and self._index.contains(int(id_))

    @property
    def dim(self) -> int:
        """Elements of a vector."""
        return self._index.dim

    @property
    def metric(self) -> MetricName:
        """What "near" means."""
        return _NAMES[self._index.metric]

    @property
    def m(self) -> int:
        """Links that a node chooses."""
        return self._index.m

    @property
    def ef_construction(self) -> int:
        """Candidates looked at to choose them."""
        return self._index.ef_construction

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index in hnswlib's format. The file appears whole or not at all.

        Raises
        ------
        OSError
            The file can not be written.
        """
        self._index.save(os.fspath(path))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        dim: int,
        *,
        metric: MetricName = "cosine",
        seed: int = _DEFAULT_SEED,
    ) -> HnswIndex:
        """Read an index that this class or hnswlib wrote.

        Parameters
        ----------
        path : path-like
        dim : int
            Elements of a vector.
        metric : {"cosine", "ip", "l2"}
            What the index was built with; the file does not say.
        seed : int
            Levels of nodes added from now on.

        Raises
        ------
        CorruptIndexError
            The file is truncated, inconsistent or something else; the message names offset and reason.
        ShapeError
            The file holds vectors of another dimension.
        OSError
            The file can not be read.
        """
        index = cls.__new__(cls)
        index._index = _core.HnswIndex.load(os.fspath(path), _count(dim, "dim"), _metric(metric), _count(seed, "seed"))
        return index

    def __repr__(self) -> str:
        return f"HnswIndex(dim={self.dim}, m={self.m}, metric={self.metric!r}, size={len(self)})"


def _watched(
    build: Callable[[_core.BuildWatch], _core.HnswIndex], progress: Callable[[float], object] | None
) -> _core.HnswIndex:
    """Build on another thread, so that this one hears Ctrl-C and can tell how far it is."""
    watch = _core.BuildWatch()
    with ThreadPoolExecutor(1, "revector-build") as executor:
        built = executor.submit(build, watch)
        try:
            while not wait([built], _PROGRESS_SECONDS).done:
                if progress is not None:
                    progress(watch.share)
        except BaseException:
            watch.cancel()
            raise
    return built.result()


def _metric(name: str) -> _core.Metric:
    if name not in _METRICS:
        raise InvalidArgumentError(f"metric is {name!r}, expected one of {', '.join(map(repr, _METRICS))}")
    return _METRICS[name]


def _count(value: int, name: str) -> int:
    if value < 0:
        raise InvalidArgumentError(f"{name} is {value}, expected 0 or more")
    return value
