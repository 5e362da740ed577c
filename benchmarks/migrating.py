"""What the benchmarks of migrations share: collections made of texts, one migration by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from revector import Background, Collection
from revector.encoders.base import TextEncoder

INGESTED = 1024


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def ingested(path: Path, texts: Sequence[str], old: TextEncoder) -> Path:
    """Make a collection of the texts under the old model; ids are ``0`` and so on."""
    with Collection.open(path, old) as documents:
        for begin in range(0, len(texts), INGESTED):
            part = texts[begin : begin + INGESTED]
            documents.upsert([str(begin + i) for i in range(len(part))], part)
    return path


def migrate(path: Path, old: TextEncoder, new: TextEncoder, strategy: Background | None = None) -> tuple[float, float]:
    """Run a migration up to PROVING; the time is that of `run` alone, and every vector is checked afterwards."""
    with Collection.open(path, old, encoders=[new]) as documents:
        migration = documents.migrate(new, strategy=strategy)
        migration.start()
        seconds = timed(migration.run)
        status = migration.status()
        assert str(status.phase) == "proving", status
        verification = migration.verify(sample=50)
        assert verification.passed, verification.reasons
    return seconds
