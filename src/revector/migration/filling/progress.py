"""How far a generation is filled, and how fast it goes on."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from revector.ledger.jobs import JobCounts

_WINDOW_SECONDS = 15.0  # the rate is that of the last moments: models warm up, texts differ in length


@dataclass(frozen=True)
class Progress:
    """A moment of a run. Rates are ``None`` while nothing has been measured.

    Attributes
    ----------
    done, total : int
        Documents that have their vector, and those that can have one: what could not be embedded is not among them.
    failed : int
        Documents that could not be embedded; `Migration.failures` lists them.
    documents_per_second, seconds_left : float or None
    reason : str
        Why it goes no faster, or waits.
    """

    done: int
    total: int
    failed: int
    documents_per_second: float | None
    seconds_left: float | None
    reason: str = ""

    @property
    def share(self) -> float:
        """Part of the documents that are done; 1 of an empty collection."""
        return self.done / self.total if self.total else 1.0


class Meter:
    """Turns counts of jobs into `Progress`, with the rate over the last seconds."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._processed = 0

    def add(self, documents: int) -> None:
        """Note documents that this worker has processed."""
        self._processed += documents
        now = time.monotonic()
        self._moments.append((now, self._processed))
        while len(self._moments) > 2 and now - self._moments[1][0] > _WINDOW_SECONDS:
            self._moments.popleft()

    def progress(self, documents: int, counts: JobCounts) -> Progress:
        """Return the present moment of a collection of so many documents: those without a job are done."""
        rate = self.rate
        left = counts.outstanding / rate if rate else None
        return Progress(documents - counts.total, documents - counts.failed, counts.failed, rate, left)

    @property
    def rate(self) -> float | None:
        """Documents a second over the last seconds; ``None`` while nothing has been measured."""
        (start, before), (now, processed) = self._moments[0], self._moments[-1]
        return (processed - before) / (now - start) if processed > before else None
