"""Exact cosine search and normalisation, beside numpy, torch, faiss and usearch."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report, peer
from revector import cosine_topk, normalize

Rows = NDArray[np.float32]


def numpy_topk(queries: Rows, documents: Rows, k: int) -> NDArray[np.int64]:
    """Score everything, then partition and sort."""
    scores = normalize_numpy(queries) @ normalize_numpy(documents).T
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
    return np.take_along_axis(best, order, 1)


def normalize_numpy(x: Rows) -> Rows:
    """Divide by the norms."""
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def usearch_search(usearch: ModuleType, queries: Rows, documents: Rows, k: int) -> NDArray[np.int64]:
    """Search exactly; a single query comes back without its axis."""
    found = usearch.search(documents, queries, k, usearch.MetricKind.Cos, exact=True)
    return np.asarray(found.keys).reshape(len(queries), -1)


def searchers(queries: Rows, documents: Rows, k: int) -> dict[str, object]:
    """Everybody's exact search from float32 rows, all costs in."""
    found = {OURS: lambda: cosine_topk(queries, documents, k)[1], "numpy": lambda: numpy_topk(queries, documents, k)}
    if torch := peer("torch"):
        q, n = torch.from_numpy(queries), torch.from_numpy(documents)

        def torch_search(dtype: object) -> NDArray[np.int64]:
            unit = [torch.nn.functional.normalize(rows).to(dtype) for rows in (q, n)]
            return (unit[0] @ unit[1].T).topk(k).indices.numpy()

        found["torch float32"] = lambda: torch_search(torch.float32)
        found["torch bfloat16"] = lambda: torch_search(torch.bfloat16)
    if faiss := peer("faiss"):

        def faiss_search() -> NDArray[np.int64]:
            index = faiss.IndexFlatIP(documents.shape[1])
            index.add(normalize_numpy(documents))
            return index.search(normalize_numpy(queries), k)[1]

        found["faiss"] = faiss_search
    if usearch := peer("usearch.index"):
        found["usearch"] = lambda: usearch_search(usearch, queries, documents, k)
    return found


def bench_topk(report: Report, n: int, d: int, q: int, k: int = 10) -> None:
    """Check everybody's neighbours against float64, then time them."""
    rng = np.random.default_rng(n + q)
    documents = rng.standard_normal((n, d), dtype=np.float32)
    queries = rng.standard_normal((q, d), dtype=np.float32)
    contestants = searchers(queries, documents, k)
    checked = min(q, 20)
    exact = normalize_numpy(queries[:checked].astype(np.float64)) @ normalize_numpy(documents.astype(np.float64)).T
    expected = np.argsort(-exact, axis=1)[:, :k]
    for name, search in contestants.items():
        share = (np.sort(np.asarray(search())[:checked].astype(np.int64), 1) == np.sort(expected, 1)).mean()
        assert share > (0.9 if "bfloat16" in name else 0.999), f"{name} found {share:.1%} of the neighbours"
    report.contest(f"top-{k}: {q} queries over {n} x {d}", contestants, work=2.0 * n * d * q, unit="FLOP")


def bench_normalize(report: Report, n: int, d: int) -> None:
    """Time unit rows, and a plain copy for scale."""
    x = np.random.default_rng(0).standard_normal((n, d), dtype=np.float32)
    out = np.empty_like(x)
    np.testing.assert_allclose(normalize(x), normalize_numpy(x), atol=1e-6)
    contestants = {
        OURS: lambda: normalize(x, out=out),
        "copy": lambda: np.copyto(out, x),
        "numpy": lambda: normalize_numpy(x),
    }
    if torch := peer("torch"):
        rows = torch.from_numpy(x)
        contestants["torch"] = lambda: torch.nn.functional.normalize(rows)
    report.contest(f"normalise {n} x {d}", contestants, work=2.0 * x.nbytes, unit="B")


def main() -> None:
    """Run all contests."""
    report = Report.from_arguments("similarity")
    n = 2_000 if report.smoke else 100_000
    for q in (1, 1_000 if not report.smoke else 20):
        bench_topk(report, n, 384, q)
    bench_normalize(report, 2 * n, 384)
    report.finish()


if __name__ == "__main__":
    main()
