"""A crew: workers in other processes that fill a generation for the one that called `Migration.run`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from revector.backends.contracts import Backend
from revector.errors import MigrationError
from revector.migration.filling.progress import Progress
from revector.migration.filling.worker import WorkerReport
from revector.migration.patience import patient
from revector.migration.signs import workers

Look = Callable[[], Progress]
_LOOK_EVERY_SECONDS = 1.0
_COUNTING_SHARE = 0.05  # of the time may go into counting jobs


class Crew(Protocol):
    """Workers that somebody else starts, each of which calls `Migration.work_along`."""

    def run(self, look: Look, *, stop: threading.Event) -> WorkerReport:
        """Work until no job is outstanding, or until told to stop. May be called again.

        Parameters
        ----------
        look : callable
            To be called every other moment by the thread that waits for the workers: returns how far they are, and
            shows it. Counts seldom, however often it is called.
        stop : threading.Event
            Ends it after the batches in hand.
        """
        ...


def require_several_machines(backend: Backend) -> None:
    """Raise `MigrationError` where only processes of one machine can work on a collection."""
    if not backend.capabilities.several_machines:
        raise MigrationError(
            f"{backend.place} can be opened on its own machine only, and the workers of a cluster may be on others; "
            "run it without them (any number of processes of that machine may run at once), or keep the collection in "
            "a store that has a server, such as PostgreSQL"
        )


class Overseer:
    """Tells how far the workers of a generation are, by the ledger and by what they say of themselves.

    Parameters
    ----------
    backend : Backend
        Where both are.
    generation : int
        What they fill.
    on_progress : callable, optional
        Called with `Progress` after each look.
    """

    def __init__(self, backend: Backend, generation: int, on_progress: Callable[[Progress], None] | None) -> None:
        self._backend, self._generation, self._on_progress = backend, generation, on_progress
        self._progress, self._look_at = Progress(0, 0, 0, None, None), 0.0

    def look(self) -> Progress:
        """Return how far they are: as counted now, or lately."""
        began = time.monotonic()
        if began >= self._look_at:
            self._progress = self._counted()
            counting_seconds = time.monotonic() - began
            self._look_at = time.monotonic() + max(_LOOK_EVERY_SECONDS, counting_seconds / _COUNTING_SHARE)
            if self._on_progress is not None:
                self._on_progress(self._progress)
        return self._progress

    @patient
    def _counted(self) -> Progress:
        with self._backend.snapshot():
            documents = self._backend.documents.count()
            counts = self._backend.ledger.jobs.counts(self._generation)
            signs = workers(self._backend, self._generation)
        rate = sum(sign.documents_per_second or 0.0 for sign in signs) or None
        left = counts.outstanding / rate if rate else None
        reasons = ", ".join(dict.fromkeys(sign.why for sign in signs))
        said = f"{len(signs)} workers: {reasons}" if signs else ""
        return Progress(documents - counts.total, documents - counts.failed, counts.failed, rate, left, said)
