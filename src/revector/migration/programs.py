"""Running a program of the operator's: what it is told, and what becomes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revector.ledger.records import MigrationRecord

_SHOWN_CHARACTERS = 2_000


def is_executable(path: Path) -> bool:
    """Whether a path is that of a program."""
    return path.is_file() and os.access(path, os.X_OK)


def environment(place: str, record: MigrationRecord, step: str) -> dict[str, str]:
    """Return what a program is told of a migration, and of the collection's place."""
    said: Mapping[str, Any] = {
        "COLLECTION": place,
        "STEP": step,
        "MIGRATION": record.id,
        "PHASE": record.phase,
        "SOURCE_GENERATION": record.source_generation,
        "TARGET_GENERATION": "" if record.target_generation is None else record.target_generation,
        "SERVING_GENERATION": record.serving_generation,
        "TARGET_MODEL": record.target_space.model,
    }
    return {f"REVECTOR_{name}": str(value) for name, value in said.items()}


def call(path: Path, told: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end; return its exit code, and the end of what it wrote."""
    try:
        ended = subprocess.run(
            [path.absolute()],
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:  # no interpreter, say
        return 127, str(error)
    return ended.returncode, ended.stdout.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
