"""Building and searching an HNSW graph, beside hnswlib, faiss, usearch and voyager with the same parameters.

``--parts`` names what to run: ``real`` (``$REVECTOR_BENCH_MODELS`` on ``$REVECTOR_BENCH_COLLECTIONS``, see `judged`; by
default minilm on the documentation of this Python), sets of synthetic clusters by their size, ``snapshots``,
``growth`` and ``memory``. Queries are held out: `HnswIndex.build` was tuned on others.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report
from hnsw_memory import peak_of_build
from hnsw_peers import EF_CONSTRUCTION, INSERTED, PEERS, Contestant, M, Search, contestants, ours
from hnsw_sets import K, Vectors, embeddings, synthetic
from hnsw_snapshots import bench_snapshots
from revector import HnswIndex, _core

BREADTHS = (10, 16, 24, 32, 64, 128, 256)
ALIKE = (0.9, 0.95, 0.98, 0.99)
"""Recalls at which the rates of search are compared."""
LEAST_SLACK = 0.005
"""Our recall may lie below hnswlib's by three standard errors of the difference on these queries, and by this much.

Graphs of one library differ by as much when the vectors come in another order."""
LARGE, VERY_LARGE = 50_000, 100_000
"""Sets beyond these sizes are left to hnswlib and ours, and to one thread: the other peers would take hours."""
SIZES = (30_000, 100_000, 300_000, 1_000_000)
ALL_THREADS = _core.num_threads()

Indexes = dict[str, Any]


def bench(report: Report, vectors: Vectors) -> None:
    """Build, compare recall, search."""
    everyone = contestants(PEERS) if len(vectors.rows) <= LARGE else contestants(PEERS[:1], inserted=False)
    indexes = bench_builds(report, everyone, vectors, (2, 1) if len(vectors.rows) <= VERY_LARGE else (1,))
    recalls = check_recalls(report, everyone, indexes, vectors)
    rates = bench_searches(report, everyone, indexes, vectors)
    report_equal_recall(report, vectors.name, recalls, rates)
    bench_latencies(report, everyone, indexes, vectors)


def bench_builds(
    report: Report, everyone: Mapping[str, Contestant], vectors: Vectors, n_threads: tuple[int, ...]
) -> Indexes:
    """Time the builds; return the indexes of the last number of threads. Ours must be the same on any."""
    indexes: Indexes = {}
    digests = set()

    def build(name: str, threads: int) -> None:
        indexes[name] = everyone[name].build(vectors.rows, threads)

    for threads in n_threads:
        title = f"build, {vectors.name}: M {M}, efConstruction {EF_CONSTRUCTION}, threads {threads}"
        runs = {name: partial(build, name, threads) for name in everyone}
        report.contest(title, runs, work=len(vectors.rows), unit="vectors", warm_up=False)
        digests.add(digest(indexes[OURS]))
    assert len(digests) == 1, "the graph depends on the number of threads"
    return indexes


def digest(index: HnswIndex) -> str:
    """Return the SHA-256 of an index as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index")
        index.save(path)
        with path.open("rb") as file:
            hashed = hashlib.sha256()
            while block := file.read(1 << 22):
                hashed.update(block)
    return hashed.hexdigest()


def check_recalls(
    report: Report, everyone: Mapping[str, Contestant], indexes: Indexes, vectors: Vectors
) -> dict[str, list[float]]:
    """Return everybody's recall at each ef; neither of ours may lie below hnswlib's by more than the slack."""
    recalls: dict[str, list[float]] = {name: [] for name in everyone}
    for ef in BREADTHS:
        by_query = {
            name: vectors.recalls(one.searcher(indexes[name], ef, ALL_THREADS)(vectors.queries))
            for name, one in everyone.items()
        }
        means = {name: float(found.mean()) for name, found in by_query.items()}
        report.note(f"recall@{K}, {vectors.name}, {len(vectors.queries)} held-out queries, ef {ef}", **means)
        for name, mean in means.items():
            recalls[name].append(mean)
        if "hnswlib" in by_query:
            for name in {OURS, INSERTED} & set(by_query):
                assert_not_below(by_query[name], by_query["hnswlib"], f"recall of {name} on {vectors.name}, ef {ef}")
    return recalls


def assert_not_below(found: NDArray[np.float64], expected: NDArray[np.float64], what: str) -> None:
    """Compare means over the same queries."""
    difference = found - expected
    slack = LEAST_SLACK + 3 * float(difference.std()) / len(difference) ** 0.5
    assert difference.mean() >= -slack, (
        f"{what}: {found.mean():.4f}, hnswlib's {expected.mean():.4f}, slack {slack:.4f}"
    )


def bench_searches(
    report: Report, everyone: Mapping[str, Contestant], indexes: Indexes, vectors: Vectors
) -> dict[str, list[float]]:
    """Time the searches; return queries per CPU second on one thread at each ef."""
    rates: dict[str, list[float]] = {name: [] for name in everyone}
    n = len(vectors.queries)
    for ef, threads in [*((ef, 1) for ef in BREADTHS), (64, 2)]:

        def search(name: str, ef: int = ef, threads: int = threads) -> None:
            everyone[name].searcher(indexes[name], ef, threads)(vectors.queries)

        title = f"search, {vectors.name}: {n} queries, ef {ef}, threads {threads}"
        timings = report.contest(title, {name: partial(search, name) for name in everyone}, work=n, unit="queries")
        if threads == 1:
            for name, timing in timings.items():
                rates[name].append(n / timing.cpu_seconds)
    return rates


def report_equal_recall(
    report: Report, name: str, recalls: Mapping[str, list[float]], rates: Mapping[str, list[float]]
) -> None:
    """Record how many queries a second ours answers for one of each peer, where their recalls are the same."""
    for recall in ALIKE:
        at = {one: rate_at(recall, recalls[one], rates[one]) for one in recalls}
        ahead = {f"of {one}'s": at[OURS] / rate for one, rate in at.items() if rate and at[OURS] and one != OURS}
        if ahead:
            report.note(f"queries/s at recall {recall}, {name}, one thread: revector's as a multiple", **ahead)


def rate_at(recall: float, recalls: list[float], rates: list[float]) -> float:
    """Interpolate the logarithm of the rate over that of the misses; 0 where no ef gives less, or none more recall."""
    if not recalls[0] <= recall <= max(recalls):
        return 0.0
    misses = -np.log(1 - np.minimum(np.maximum.accumulate(recalls), 1 - 1e-6))
    return float(np.exp(np.interp(-np.log(1 - recall), misses, np.log(rates))))


def bench_latencies(report: Report, everyone: Mapping[str, Contestant], indexes: Indexes, vectors: Vectors) -> None:
    """Ask one query after the other on one thread."""
    for ef in BREADTHS:
        taken: dict[str, list[float]] = {name: [] for name in everyone}
        for _ in range(report.rounds):
            for name, one in everyone.items():
                taken[name] += latencies(one.searcher(indexes[name], ef, 1), vectors)
        figures = {
            f"{name} p{percent}_us": float(np.percentile(each, percent))
            for name, each in taken.items()
            for percent in (50, 99)
        }
        report.note(f"one query at a time, {vectors.name}, ef {ef}, one thread", **figures)


def latencies(search: Search, vectors: Vectors) -> list[float]:
    """Return microseconds of each query."""
    taken = []
    for query in vectors.queries[:, None]:
        begin = time.perf_counter()
        search(query)
        taken.append((time.perf_counter() - begin) * 1e6)
    return taken


def bench_growth(report: Report, sizes: tuple[int, ...], d: int) -> None:
    """Record what a vector costs to build, beside the logarithm of their number."""
    for n in sizes:
        rows = synthetic(n, d, 1).rows
        begin = time.process_time()
        ours().build(rows, ALL_THREADS)
        cost = (time.process_time() - begin) / n * 1e6
        report.note(f"growth: build of {n} x {d}", cpu_us_per_vector=cost, per_log2_n=cost / float(np.log2(n)))


def bench_memory(report: Report, sizes: tuple[int, ...], d: int) -> None:
    """Record the peak of a build beside the size of the finished index."""
    for n in sizes:
        report.note(f"peak memory: build of {n} x {d}", **peak_of_build(synthetic(n, d, 1).rows))


def bench_embeddings(report: Report) -> None:
    """Measure every model on every collection."""
    for vectors in embeddings():
        bench(report, vectors)


PARTS: dict[str, Callable[[Report], None]] = {
    "real": bench_embeddings,
    "100k": lambda report: bench(report, synthetic(100_000, 384)),
    "100kx768": lambda report: bench(report, synthetic(100_000, 768)),
    "300k": lambda report: bench(report, synthetic(300_000, 384)),
    "1m": lambda report: bench(report, synthetic(1_000_000, 384)),
    "snapshots": lambda report: bench_snapshots(report, synthetic(100_000, 384)),
    "growth": lambda report: bench_growth(report, SIZES, 384),
    "memory": lambda report: bench_memory(report, SIZES, 384),
}


def smoke(report: Report) -> None:
    """Run every contest on little."""
    bench(report, synthetic(2_000, 64, 100))
    bench_snapshots(report, synthetic(2_000, 64, 100))
    bench_growth(report, (1_000, 2_000), 64)
    bench_memory(report, (4_000,), 64)


def main() -> None:
    """Run the parts that were asked for."""
    report = Report.from_arguments("hnsw", rounds=3, parts=tuple(PARTS), default_parts=("real",))
    if report.smoke:
        smoke(report)
    else:
        for part in report.parts:
            PARTS[part](report)
    _core.set_num_threads(ALL_THREADS)
    report.finish()


if __name__ == "__main__":
    main()
