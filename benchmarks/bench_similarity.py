"""Exact cosine search and normalisation, beside numpy, torch, faiss, usearch and numkong."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report, peer
from revector import ExactIndex, _core, normalize
from similarity_peers import Rows, from_rows, prepared, unit

K = 10
CHECKED = 20
FAST = (OURS, "torch bfloat16")


def random_rows(n: int, d: int, seed: int) -> Rows:
    """Rows without structure: no two are close, so the bounds decide nothing early."""
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def nearest(queries: Rows, documents: Rows) -> NDArray[np.int64]:
    """Brute force in float64."""
    q, step = unit(queries.astype(np.float64)), 50_000
    parts = [q @ unit(documents[i : i + step].astype(np.float64)).T for i in range(0, len(documents), step)]
    scores = np.concatenate(parts, axis=1)
    return np.argsort(-scores, axis=1)[:, :K]


def assert_right(contestants: dict[str, Callable[[], Any]], expected: NDArray[np.int64]) -> None:
    """Ours finds the same rows in the same order; peers may swap what their format cannot tell apart."""
    for name, search in contestants.items():
        found = np.asarray(search())[: len(expected)].astype(np.int64)
        if name == OURS:
            np.testing.assert_array_equal(found, expected)
        share = (np.sort(found, 1) == np.sort(expected, 1)).mean()
        assert share > (0.8 if "bfloat16" in name else 0.999), f"{name} found {share:.1%} of the neighbours"


def bench_topk(report: Report, n: int, d: int, q: int, *, slow_peers: bool = True) -> None:
    """Search once from float32 rows, and in what was prepared."""
    documents, queries = random_rows(n, d, n + q), random_rows(q, d, q)
    expected = nearest(queries[:CHECKED], documents)
    for title, contestants in (
        ("one shot", from_rows(queries, documents, K)),
        ("prepared", prepared(queries, documents, K)),
    ):
        taking_part = {name: run for name, run in contestants.items() if slow_peers or name in FAST}
        assert_right(taking_part, expected)
        report.contest(f"top-{K}, {title}: {q} queries over {n} x {d}", taking_part, work=2.0 * n * d * q, unit="FLOP")


def read_all(x: Rows) -> float:
    """Read the rows once, on as many threads as the core uses: the bound of a search by one query."""
    parts = np.array_split(x.reshape(-1), _core.num_threads())
    with ThreadPoolExecutor(len(parts)) as threads:
        return sum(threads.map(lambda part: float(np.dot(part, part)), parts))


def bench_one_query(report: Report, n: int, d: int) -> None:
    """Search by one query, beside the time that reading the rows takes."""
    documents, query = random_rows(n, d, 1), random_rows(1, d, 2)
    contestants: dict[str, Callable[[], Any]] = {**from_rows(query, documents, K)}
    index = ExactIndex(documents)
    contestants["revector, prepared"] = lambda: index.search(query, K)[1]
    assert_right(contestants, nearest(query, documents))
    contestants["reading the rows"] = lambda: read_all(documents)
    report.contest(f"top-{K}: one query over {n} x {d}", contestants, work=float(documents.nbytes), unit="B")


def bench_normalize(report: Report, n: int, d: int) -> None:
    """Time unit rows, and a plain copy for scale."""
    x = random_rows(n, d, 0)
    out = np.empty_like(x)
    np.testing.assert_allclose(normalize(x), unit(x), atol=1e-6)

    def copy() -> None:
        halves = np.array_split(np.arange(n), _core.num_threads())
        with ThreadPoolExecutor(len(halves)) as threads:
            list(threads.map(lambda rows: np.copyto(out[rows[0] : rows[-1] + 1], x[rows[0] : rows[-1] + 1]), halves))

    contestants: dict[str, Callable[[], Any]] = {
        OURS: lambda: normalize(x, out=out),
        "copy": copy,
        "numpy": lambda: unit(x),
    }
    if torch := peer("torch"):
        rows = torch.from_numpy(x)
        contestants["torch"] = lambda: torch.nn.functional.normalize(rows)
    report.contest(f"normalise {n} x {d}", contestants, work=2.0 * x.nbytes, unit="B")


def main() -> None:
    """Run all contests."""
    report = Report.from_arguments("similarity")
    if report.smoke:
        bench_topk(report, 2_000, 384, 20)
        bench_one_query(report, 2_000, 384)
        bench_normalize(report, 4_000, 384)
        return report.finish()
    bench_topk(report, 100_000, 384, 1_000)
    bench_one_query(report, 100_000, 384)
    bench_normalize(report, 200_000, 384)
    for n, d in ((10_000, 384), (1_000_000, 384), (100_000, 128), (100_000, 768), (50_000, 1536), (25_000, 3072)):
        bench_topk(report, n, d, 200, slow_peers=False)
    return report.finish()


if __name__ == "__main__":
    main()
