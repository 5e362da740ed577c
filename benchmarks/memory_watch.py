"""A function in a process of its own, and its memory as the parent sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from live_load import SPAWN

_SAMPLE_SECONDS = 0.02


class Watched(NamedTuple):
    """What a function returned, and what its process held of anonymous memory meanwhile: (monotonic time, MB)."""

    result: Any
    anonymous: list[tuple[float, float]]

    def peak(self, begin: float, end: float) -> float:
        """Return the most MB of anonymous memory between two times, 0 if it was not looked at then."""
        return max((held for at, held in self.anonymous if begin <= at <= end), default=0.0)


def in_process(work: Callable[..., Any], *arguments: Any) -> Watched:
    """Call a function in a fresh process, and look at its memory every 20 ms."""
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        process = pool.submit(os.getpid).result()
        working, anonymous = pool.submit(work, *arguments), []
        while not wait([working], _SAMPLE_SECONDS).done:
            anonymous.append((time.monotonic(), status_mb("RssAnon", process)))
        return Watched(working.result(), anonymous)


def status_mb(field: str, process: int | str = "self") -> float:
    """Return a size that the kernel tells of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024


def mapped_mb(suffix: str) -> float:
    """Return how much of files whose names end so this process has mapped."""
    bounds = (line.split(maxsplit=1)[0] for line in Path("/proc/self/maps").read_text().splitlines() if suffix in line)
    return sum(int(end, 16) - int(begin, 16) for begin, end in (each.split("-") for each in bounds)) / 2**20
