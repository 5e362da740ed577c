"""Building and searching an HNSW graph, beside hnswlib, faiss and usearch with the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report, peer
from revector import HnswIndex, _core, cosine_topk, normalize

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]

M, EF_CONSTRUCTION, K = 16, 200, 10
BREADTHS = (10, 16, 24, 32, 64, 128, 256)
RECALL_SLACK = 0.02
"""How far ours may lie below the best peer's recall at any ef: graphs of one sequence differ by as much."""


@dataclass(frozen=True)
class Contestant:
    """One library: `build` makes an index, `search(index, queries, ef)` returns the ids of the K nearest."""

    build: Callable[[Rows], object]
    search: Callable[[object, Rows, int], Ids]


def ours() -> Contestant:
    """Revector itself."""

    def build(x: Rows) -> HnswIndex:
        index = HnswIndex(x.shape[1], m=M, ef_construction=EF_CONSTRUCTION)
        index.add(x, np.arange(len(x)))
        return index

    return Contestant(build, lambda index, queries, ef: index.search(queries, K, ef=ef)[1])


def hnswlib_contestant(hnswlib: object, threads: int) -> Contestant:
    """Wrap hnswlib."""

    def build(x: Rows) -> object:
        index = hnswlib.Index("cosine", x.shape[1])
        index.init_index(len(x), M=M, ef_construction=EF_CONSTRUCTION)
        index.add_items(x, np.arange(len(x)), num_threads=threads)
        return index

    def search(index: object, queries: Rows, ef: int) -> Ids:
        index.set_ef(ef)
        return index.knn_query(queries, K, num_threads=threads)[0].astype(np.int64)

    return Contestant(build, search)


def faiss_contestant(faiss: object, threads: int) -> Contestant:
    """Wrap faiss."""
    faiss.omp_set_num_threads(threads)

    def build(x: Rows) -> object:
        index = faiss.IndexHNSWFlat(x.shape[1], M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        index.add(normalize(x))
        return index

    def search(index: object, queries: Rows, ef: int) -> Ids:
        index.hnsw.efSearch = ef
        return index.search(normalize(queries), K)[1]

    return Contestant(build, search)


def usearch_contestant(usearch: object, threads: int) -> Contestant:
    """Wrap usearch."""

    def build(x: Rows) -> object:
        index = usearch.Index(ndim=x.shape[1], metric="cos", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
        index.add(np.arange(len(x)), x, threads=threads)
        return index

    def search(index: object, queries: Rows, ef: int) -> Ids:
        index.expansion_search = ef
        return index.search(queries, K, threads=threads).keys.astype(np.int64)

    return Contestant(build, search)


def contestants() -> dict[str, Contestant]:
    """Revector and the peers that are installed, all on as many threads."""
    makers = {"hnswlib": hnswlib_contestant, "faiss": faiss_contestant, "usearch.index": usearch_contestant}
    found = {OURS: ours()}
    for name, make in makers.items():
        if module := peer(name):
            found[name.partition(".")[0]] = make(module, _core.num_threads())
    return found


def clustered(n: int, n_queries: int, d: int) -> tuple[Rows, Rows]:
    """Vectors around many centres in a space of few directions, as embeddings are; queries from the same."""
    rng = np.random.default_rng(n)
    directions = rng.standard_normal((32, d), dtype=np.float32)
    centres = rng.standard_normal((max(n // 50, 1), 32), dtype=np.float32)
    points = centres[rng.integers(len(centres), size=n + n_queries)]
    points = points + 0.6 * rng.standard_normal(points.shape, dtype=np.float32)
    rows = points @ directions + 0.5 * rng.standard_normal((n + n_queries, d), dtype=np.float32)
    return rows[:n], rows[n:]


def recall(found: Ids, expected: Ids) -> float:
    """Share of the expected ids among those found."""
    return float((found[:, :, None] == expected[:, None, :]).any(1).mean())


def check_recall(report: Report, everyone: dict[str, Contestant], indexes: dict[str, object], x: Rows, q: Rows) -> None:
    """Record everybody's recall at every ef; ours must not lie below the best."""
    expected = cosine_topk(q, x, K)[1]
    for ef in BREADTHS:
        found = {name: recall(one.search(indexes[name], q, ef), expected) for name, one in everyone.items()}
        report.note(f"recall@{K}, {len(x)} x {x.shape[1]}, ef {ef}", **found)
        assert found[OURS] >= max(found.values()) - RECALL_SLACK, f"recall at ef {ef}: {found}"
    assert recall(everyone[OURS].search(indexes[OURS], q, 512), expected) >= 0.95


def bench(report: Report, n: int, n_queries: int, d: int) -> None:
    """Check the graphs, then time building and searching them."""
    x, queries = clustered(n, n_queries, d)
    everyone = contestants()
    indexes = {name: one.build(x) for name, one in everyone.items()}
    check_recall(report, everyone, indexes, x, queries)
    for ef in (24, 128):
        runs = {name: partial(one.search, indexes[name], queries, ef) for name, one in everyone.items()}
        report.contest(f"search: {n_queries} queries, {n} x {d}, ef {ef}", runs, work=n_queries, unit="queries")
    builds = {name: partial(one.build, x) for name, one in everyone.items()}
    report.contest(f"build: {n} x {d}, M {M}, efConstruction {EF_CONSTRUCTION}", builds, work=n, unit="vectors")


def main() -> None:
    """Run all contests."""
    report = Report.from_arguments("hnsw", rounds=3)
    if report.smoke:
        bench(report, 2_000, 100, 64)
    else:
        bench(report, 20_000, 1_000, 384)
    report.finish()


if __name__ == "__main__":
    main()
