"""Searching snapshots of one graph, with vectors of each type, beside the graph itself."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from common import OURS, Report
from hnsw_peers import ours
from hnsw_sets import K, Vectors
from revector import HnswIndex, HnswSnapshot, _core

__all__ = ["bench_snapshots"]

KINDS = (("float32", False), ("float16", True), ("bfloat16", True), ("int8", True), ("int8", False))
BREADTHS = (16, 64, 256)
LEAST_SHARE = 0.98
"""Of the graph's recall that a snapshot with float32 vectors beside the others keeps at the least, at the same ef."""


def bench_snapshots(report: Report, vectors: Vectors) -> None:
    """Write, open, and search on one thread. Answers are asserted: in float32 the same, re-scored nearly so."""
    index = ours().build(vectors.rows, _core.num_threads())
    with tempfile.TemporaryDirectory() as folder:
        searched: dict[str, HnswIndex | HnswSnapshot] = {OURS: index}
        for dtype, rescore in KINDS:
            path = Path(folder, f"{dtype}-{rescore}")
            name = f"{dtype}, re-scored" if rescore else dtype
            begin = time.perf_counter()
            index.save_snapshot(path, dtype=dtype, rescore=rescore)
            written = time.perf_counter()
            searched[name] = HnswSnapshot(path)
            opened = time.perf_counter()
            report.note(
                f"snapshot in {name}, {vectors.name}",
                file_mb=path.stat().st_size / 1e6,
                bytes_a_vector=path.stat().st_size / len(vectors.rows),
                write_s=written - begin,
                open_s=opened - written,
            )
        for ef in BREADTHS:
            check_recalls(report, searched, vectors, ef)
            _core.set_num_threads(1)
            runs = {name: partial(one.search, vectors.queries, K, ef=ef) for name, one in searched.items()}
            title = f"search of snapshots, {vectors.name}: {len(vectors.queries)} queries, ef {ef}, threads 1"
            report.contest(title, runs, work=len(vectors.queries), unit="queries")


def check_recalls(report: Report, searched: dict[str, Any], vectors: Vectors, ef: int) -> None:
    """Record everybody's recall and compare it with the graph's."""
    recalls = {
        name: float(vectors.recalls(one.search(vectors.queries, K, ef=ef)[1]).mean()) for name, one in searched.items()
    }
    report.note(f"recall@{K} of snapshots, {vectors.name}, ef {ef}", **recalls)
    assert recalls["float32"] == recalls[OURS], "the mapped graph answers otherwise than the graph"
    for name, recall in recalls.items():
        if "re-scored" in name:
            assert recall >= LEAST_SHARE * recalls[OURS], f"recall of {name} at ef {ef}"
