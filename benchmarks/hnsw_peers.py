"""HNSW graphs by everybody: hnswlib, faiss, usearch, voyager and both of our ways, with the same parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import OURS, peer
from hnsw_sets import Ids, K, Rows
from revector import HnswIndex, _core

__all__ = ["EF_CONSTRUCTION", "INSERTED", "PEERS", "Contestant", "Search", "contestants", "ours"]

M, EF_CONSTRUCTION = 16, 200
INSERTED = "revector, inserted"
PEERS = ("hnswlib", "faiss", "usearch", "voyager")

Search = Callable[[Rows], Ids]


@dataclass(frozen=True)
class Contestant:
    """One library.

    Parameters
    ----------
    build : callable
        Rows of unit length and a number of threads to an index.
    searcher : callable
        An index, ef and a number of threads to a function that returns the ids of the `K` nearest of queries. Settings
        of a process are made here, so a searcher is used before the next one is made.
    """

    build: Callable[[Rows, int], Any]
    searcher: Callable[[Any, int, int], Search]


def contestants(names: Iterable[str] = PEERS, *, inserted: bool = True) -> dict[str, Contestant]:
    """Return ours, built and inserted, and those of the peers that are installed."""
    makers = {"hnswlib": _hnswlib, "faiss": _faiss, "usearch": _usearch, "voyager": _voyager}
    found = {OURS: ours(), **({INSERTED: _inserted()} if inserted else {})}
    for name in names:
        if module := peer("usearch.index" if name == "usearch" else name):
            found[name] = makers[name](module)
    return found


def ours() -> Contestant:
    """Revector's graph of all vectors at once."""

    def build(x: Rows, threads: int) -> HnswIndex:
        _core.set_num_threads(threads)
        return HnswIndex.build(x, np.arange(len(x)), m=M, ef_construction=EF_CONSTRUCTION)

    return Contestant(build, _our_searcher)


def _inserted() -> Contestant:
    def build(x: Rows, threads: int) -> HnswIndex:
        _core.set_num_threads(threads)
        index = HnswIndex(x.shape[1], m=M, ef_construction=EF_CONSTRUCTION)
        index.add(x, np.arange(len(x)))
        return index

    return Contestant(build, _our_searcher)


def _our_searcher(index: HnswIndex, ef: int, threads: int) -> Search:
    _core.set_num_threads(threads)
    return lambda queries: index.search(queries, K, ef=ef)[1]


def _hnswlib(hnswlib: Any) -> Contestant:
    def build(x: Rows, threads: int) -> Any:
        index = hnswlib.Index("cosine", x.shape[1])
        index.init_index(len(x), M=M, ef_construction=EF_CONSTRUCTION)
        index.add_items(x, np.arange(len(x)), num_threads=threads)
        return index

    def searcher(index: Any, ef: int, threads: int) -> Search:
        index.set_ef(ef)
        return lambda queries: index.knn_query(queries, K, num_threads=threads)[0].astype(np.int64)

    return Contestant(build, searcher)


def _faiss(faiss: Any) -> Contestant:
    def build(x: Rows, threads: int) -> Any:
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexHNSWFlat(x.shape[1], M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        index.add(x)
        return index

    def searcher(index: Any, ef: int, threads: int) -> Search:
        faiss.omp_set_num_threads(threads)
        index.hnsw.efSearch = ef
        return lambda queries: index.search(queries, K)[1]

    return Contestant(build, searcher)


def _usearch(usearch: Any) -> Contestant:
    def build(x: Rows, threads: int) -> Any:
        index = usearch.Index(ndim=x.shape[1], metric="cos", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
        index.add(np.arange(len(x)), x, threads=threads)
        return index

    def searcher(index: Any, ef: int, threads: int) -> Search:
        index.expansion_search = ef
        # a single query comes back without its axis
        return lambda queries: index.search(queries, K, threads=threads).keys.reshape(-1, K).astype(np.int64)

    return Contestant(build, searcher)


def _voyager(voyager: Any) -> Contestant:
    def build(x: Rows, threads: int) -> Any:
        index = voyager.Index(
            voyager.Space.Cosine, x.shape[1], M=M, ef_construction=EF_CONSTRUCTION, max_elements=len(x)
        )
        index.add_items(x, np.arange(len(x)), num_threads=threads)
        return index

    def searcher(index: Any, ef: int, threads: int) -> Search:
        return lambda queries: index.query(queries, K, num_threads=threads, query_ef=ef)[0].astype(np.int64)

    return Contestant(build, searcher)
