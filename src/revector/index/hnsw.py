"""Approximate nearest neighbours: an HNSW graph on the native core, in the file format of hnswlib 0.8."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import flag, path_bytes, score
from revector._arrays import as_float32, as_labels, as_queries
from revector.errors import InvalidArgumentError
from revector.index.arguments import (
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

__all__ = ["HnswIndex"]


class HnswIndex:
    """A navigable small-world graph of vectors (Malkov & Yashunin, arXiv:1603.09320).

    Searches may run side by side from any number of threads, and beside one call that changes the index: `add` links
    its vectors beside them, and keeps them waiting only while it copies, about a millisecond at a time. Calls that
    change the index, `save`, `check`, `rebuild` without vectors and `serve_stale` wait for each other. `add` and
    `search` use all threads of the pool, or as many as a call asks for; everything releases the GIL.

    A single vector may stand alone wherever vectors are taken, and a single id wherever ids are. Indexes can be copied
    and pickled.

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
        seed: int = DEFAULT_SEED,
    ) -> None:
        self._index = _core.HnswIndex(
            count(dim, "dim"),
            metric_of(metric),
            count(m, "m"),
            count(ef_construction, "ef_construction"),
            count(seed, "seed"),
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
        seed: int = DEFAULT_SEED,
        threads: int | None = None,
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
        threads : int, optional
            At most this many of the core's threads; all by default.
        progress : callable, optional
            Called on this thread, some times a second, with the share that is done. What it raises calls the build
            off, as Ctrl-C does.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            As for `add`; an id that occurs twice.
        """
        rows, labels = rows_and_labels(vectors, ids)
        shape = metric_of(metric), count(m, "m"), count(ef_construction, "ef_construction"), count(seed, "seed")
        limit = thread_limit(threads)
        return cls._of(watched(lambda watch: _core.HnswIndex.build(rows, labels, *shape, watch, limit), progress))

    @classmethod
    def _of(cls, native: _core.HnswIndex) -> HnswIndex:
        index = cls.__new__(cls)
        index._index = native
        return index

    def rebuild(
        self,
        vectors: Any = None,
        ids: Any = None,
        *,
        threads: int | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> HnswIndex:
        """Make the index of a new model's vectors at once, with this one's parameters, while this one serves.

        Without `vectors` the live ones of this index are taken: that gives back what deleted nodes take, and what a
        graph loses by many changes. `add`, `mark_deleted` and the like wait meanwhile; searches do not.

        Parameters
        ----------
        vectors : array_like of float, shape (n, new dim), optional
            May have another dimension.
        ids : array_like of int, shape (n,), optional
            Those of `vectors`; by default ``self.ids()``, in that order.
        threads, progress
            As for `build`.

        Returns
        -------
        HnswIndex
            A new index. This one is left as it is.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            As for `build`; ids without vectors.
        """
        if vectors is not None:
            return HnswIndex.build(
                vectors,
                self.ids() if ids is None else ids,
                m=self.m,
                ef_construction=self.ef_construction,
                metric=self.metric,
                seed=self._index.seed,
                threads=threads,
                progress=progress,
            )
        if ids is not None:
            raise InvalidArgumentError("there are ids but no vectors, expected both or none")
        limit = thread_limit(threads)
        return self._of(watched(lambda watch: self._index.rebuilt(watch, limit), progress))

    def serve_stale(self, vectors: Any, ids: Any = None) -> HnswIndex:
        """Put a new model's vectors under the old graph: a stop-gap that costs no more than copying them.

        Who was near in the old space is often near in the new one. How often, ``check()`` of the result measures;
        `rebuild` makes a graph that was meant for the vectors.

        Parameters
        ----------
        vectors : array_like of float, shape (n, new dim)
            One for each live id.
        ids : array_like of int, shape (n,), optional
            In any order; by default ``self.ids()``.

        Returns
        -------
        HnswIndex
            A new index. This one is left as it is.

        Raises
        ------
        InvalidArgumentError
            The ids are not the live ones, each once.
        ShapeError, NumericalError
            As for `add`.
        """
        rows = as_queries(vectors, "vectors")
        return self._of(self._index.serve_stale(rows, self.ids() if ids is None else as_labels(ids, "ids")))

    def add(self, vectors: Any, ids: Any, *, threads: int | None = None) -> None:
        """Insert vectors; an id that exists gets its new vector in place, and lives again if it was deleted.

        Parameters
        ----------
        vectors : array_like of float, shape (n, dim)
        ids : array_like of int, shape (n,)
            Not negative. If an id occurs twice, its last row counts.
        threads : int, optional
            At most this many of the core's threads; all by default.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            Wrong columns or number of ids; NaN or infinity; a negative id. The index has not changed then.
        """
        self._index.add(*rows_and_labels(vectors, ids), thread_limit(threads))

    def mark_deleted(self, ids: Any) -> None:
        """Hide ids from every result; their nodes go on leading searches to others.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Raises
        ------
        InvalidArgumentError
            An id was never added; nothing is marked then. Marking twice is not an error.
        """
        self._index.mark(as_labels(ids, "ids"), True)

    def unmark_deleted(self, ids: Any) -> None:
        """Show deleted ids again. Arguments and errors as for `mark_deleted`."""
        self._index.mark(as_labels(ids, "ids"), False)

    def search(
        self, queries: Any, k: int, *, ef: int | None = None, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest live vectors of every query, approximately.

        Parameters
        ----------
        queries : array_like of float, shape (q, dim)
        k : int
            Results a query, however many: no more are returned, or take memory, than there are live vectors, or ids
            that are allowed. That number is called k below.
        ef : int, optional
            Candidates kept while searching: more find more and take longer. At least `k` is used, and no more than
            there are vectors; 128 by default.
        allowed : array_like of int, shape (a,), optional
            Ids that may be found; those not in the index are passed over. Where they are few, all of them are
            measured, which is faster then, and exact.
        threads : int, optional
            At most this many of the core's threads; all by default.

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
            Wrong columns; NaN or infinity; `k` that is not an integer of at least 1.
        """
        among, width, limit = allowed_ids(allowed), breadth(ef), thread_limit(threads)
        rows, k = as_queries(queries), results(k, self._index.size(), among)
        return self._index.search(rows, k, width, among, limit) if k > 0 else no_results(rows, self.dim)

    def search_exact(
        self, queries: Any, k: int, *, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` nearest live vectors of every query by measuring all. As `search` otherwise."""
        among, limit = allowed_ids(allowed), thread_limit(threads)
        rows, k = as_queries(queries), results(k, self._index.size(), among)
        return self._index.search_exact(rows, k, among, limit) if k > 0 else no_results(rows, self.dim)

    def range(
        self,
        queries: Any,
        least_score: float,
        *,
        ef: int | None = None,
        allowed: Any = None,
        threads: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Find the live vectors whose score is at least `least_score`, approximately.

        Found are those that a search comes by which keeps `ef` candidates and everything above the score. What lies
        apart from the rest is only found by a broad one.

        Parameters
        ----------
        queries, ef, allowed, threads
            As for `search`.
        least_score : float
            A similarity; for "l2" a negative squared distance.

        Returns
        -------
        scores : ndarray of float32, shape (f,)
        ids : ndarray of int64, shape (f,)
        offsets : ndarray of int64, shape (q + 1,)
            The results of query ``i`` are ``[offsets[i]:offsets[i + 1]]``, best first.

        Raises
        ------
        ShapeError, NumericalError, InvalidArgumentError
            As for `search`; a score that is NaN.
        """
        least = score(least_score, "least_score")
        return self._index.range(as_queries(queries), least, breadth(ef), allowed_ids(allowed), thread_limit(threads))

    def check(self, queries: Any = None, *, k: int = 10, ef: int | None = None, sample: int = SAMPLE) -> HnswHealth:
        """Look at the graph, and measure its recall beside exact search.

        Parameters
        ----------
        queries : array_like of float, shape (q, dim), optional
            Real ones tell most. By default `sample` of the stored vectors, which do not count as their own results.
        k : int
            Results a query.
        ef : int, optional
            As for `search`.
        sample : int
            Vectors that serve as queries where none are given.

        Returns
        -------
        HnswHealth
            With a recommendation.
        """
        shape, k = self._index.health(), count(k, "k", least=1)
        return examine(self, shape, queries, k, breadth(ef), count(sample, "sample", least=1))

    def tune(self, target_recall: float, queries: Any = None, *, k: int = 10, sample: int = SAMPLE) -> int:
        """Find the narrowest search that has a recall, measured beside exact search.

        Parameters
        ----------
        target_recall : float
            Share of the `k` nearest vectors to be found, on average.
        queries, k, sample
            As for `check`.

        Returns
        -------
        int
            The `ef` to search with, to within a thirty-second.

        Raises
        ------
        RecallNotReachedError
            No search finds as many.
        InvalidArgumentError
            A recall that is not above 0 and at most 1.
        """
        return tune(self, target_recall, queries, count(k, "k", least=1), count(sample, "sample", least=1))

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
        if getattr(rotation, "center", False) is True:  # of a str it is a method
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
        return METRIC_NAMES[self._index.metric]

    @property
    def m(self) -> int:
        """Links that a node chooses."""
        return self._index.m

    @property
    def ef_construction(self) -> int:
        """Candidates looked at to choose them."""
        return self._index.ef_construction

    def save(self, path: str | os.PathLike[str], *, capacity: int | None = None) -> None:
        """Write the index in hnswlib's format. The file appears whole or not at all.

        Parameters
        ----------
        path : path-like
        capacity : int, optional
            Vectors that hnswlib, which never makes room itself, will have room for when it opens the file. By default
            that of the file this index was read from, and a quarter more than it holds, or 10,000 more if that is more.

        Raises
        ------
        InvalidArgumentError
            A capacity below what is there; deleted vectors count.
        OSError
            The file cannot be written.
        """
        self._index.save(path_bytes(path), None if capacity is None else count(capacity, "capacity"))

    def save_snapshot(self, path: str | os.PathLike[str], *, dtype: DtypeName = "int8", rescore: bool = True) -> None:
        """Write a read-only copy that `HnswSnapshot` searches where it lies. The file appears whole or not at all.

        Parameters
        ----------
        path : path-like
        dtype : {"int8", "bfloat16", "float16", "float32"}
            How the vectors are stored that searches walk over.
        rescore : bool
            Whether the vectors are stored in float32 too, so that what a walk finds is scored by them.

        Raises
        ------
        NumericalError
            An element is too large for float16.
        InvalidArgumentError
            A dtype that is none of these; int8 and more than 131,072 dimensions.
        OSError
            The file cannot be written.
        """
        self._index.save_snapshot(path_bytes(path), dtype_of(dtype), flag(rescore, "rescore"))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        dim: int,
        *,
        metric: MetricName = "cosine",
        seed: int = DEFAULT_SEED,
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
        UnsupportedIndexError
            The file is one of faiss, a snapshot, or holds ids above 2**63 - 1.
        ShapeError
            The file holds vectors of another dimension.
        InvalidArgumentError
            The file holds vectors that are longer than "cosine" makes them.
        OSError
            The file cannot be read.
        """
        return cls._of(
            _core.HnswIndex.load(path_bytes(path), count(dim, "dim"), metric_of(metric), count(seed, "seed"))
        )

    @classmethod
    def load_faiss(
        cls, path: str | os.PathLike[str], *, metric: MetricName | None = None, seed: int = DEFAULT_SEED
    ) -> HnswIndex:
        """Read an IndexHNSWFlat that ``faiss.write_index`` wrote, alone or in an IndexIDMap.

        Parameters
        ----------
        path : path-like
        metric : {"cosine", "ip", "l2"}, optional
            By default that of the file. "cosine" where all vectors are of unit length, as is usual in faiss.
        seed : int
            Levels of nodes added from now on.

        Returns
        -------
        HnswIndex
            With the ids of the IndexIDMap, or the positions, from 0.

        Raises
        ------
        CorruptIndexError
            The file is truncated or inconsistent; the message names offset and reason.
        UnsupportedIndexError
            The file is sound, but another kind of index (the message names it), or has ids that are negative or occur
            twice.
        InvalidArgumentError
            The metric is not the file's; vectors are not of unit length.
        OSError
            The file cannot be read.
        """
        wanted = None if metric is None else metric_of(metric)
        return cls._of(_core.HnswIndex.load_faiss(path_bytes(path), wanted, count(seed, "seed")))

    def __getstate__(self) -> dict[str, Any]:
        native = self._index
        return {"bytes": native.to_bytes(), "dim": native.dim, "metric": self.metric, "seed": native.seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._index = _core.HnswIndex.from_bytes(
            state["bytes"], state["dim"], metric_of(state["metric"]), state["seed"]
        )

    def __repr__(self) -> str:
        return f"HnswIndex(dim={self.dim}, m={self.m}, metric={self.metric!r}, size={len(self)})"
