"""What the benchmarks of migrations share: a small model, collections made of texts, one migration by the clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from safetensors.numpy import load_file, save_file

from revector import Background, Collection
from revector.encoders.base import TextEncoder
from revector.formats.named_models import fetch_model

INGESTED = 1024
SMALL_DIMENSION = 128

Place = TypeVar("Place", str, Path)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def ingested(path: Place, texts: Sequence[str], old: TextEncoder) -> Place:
    """Make a collection of the texts under the old model; ids are ``0`` and so on."""
    with Collection.open(path, old) as documents:
        for begin in range(0, len(texts), INGESTED):
            part = texts[begin : begin + INGESTED]
            documents.upsert([str(begin + i) for i in range(len(part))], part)
        documents.prepare()
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


def halved(folder: Path) -> Path:
    """Write WordLlama's first 128 dimensions as a model of its own: it was trained to be cut there."""
    small = folder / "wordllama-128"
    shutil.copytree(fetch_model("wordllama"), small)
    weights = small / "model.safetensors"
    arrays = {name: array[:, :SMALL_DIMENSION].copy() for name, array in load_file(weights).items()}
    save_file(arrays, weights)
    return small
