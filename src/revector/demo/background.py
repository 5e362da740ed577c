"""A migration's run in a thread, held at given shares for as long as somebody looks at that state."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from types import TracebackType

from revector.errors import PortableError
from revector.migration.filling.progress import Progress
from revector.migration.migration import Migration

POLL_SECONDS = 0.1


class _AbandonedError(PortableError):
    """Ends the worker when the thread that started it left with an error of its own."""


class BackgroundRun:
    """Run a migration in a thread; use it as a context manager.

    The worker is held inside its own progress callback, that is, after a batch has been committed: what is measured
    meanwhile is exactly that share, with nothing written in between.

    Parameters
    ----------
    migration : Migration
        In the phase FILLING.
    shares : sequence of float
        Where to hold, ascending, between 0 and 1.
    """

    def __init__(self, migration: Migration, shares: Sequence[float]) -> None:
        self.latest: Progress | None = None
        self._migration = migration
        self._shares = list(shares)
        self._holds: SimpleQueue[Progress | None] = SimpleQueue()
        self._go_on = threading.Event()
        self._abandoned = False
        self._error: BaseException | None = None
        self._started = time.perf_counter()
        self._held_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="revector-demo-worker", daemon=True)

    def __enter__(self) -> BackgroundRun:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._abandoned = kind is not None
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    @property
    def seconds(self) -> float:
        """Time since the start, without the time it was held."""
        return time.perf_counter() - self._started - self._held_seconds

    @property
    def finished(self) -> bool:
        """Whether the worker has ended, with or without an error."""
        return not self._thread.is_alive()

    def held(self, timeout_seconds: float) -> Progress | None:
        """Wait until the worker is held at a share; ``None`` if it was not within the timeout, or has ended."""
        try:
            return self._holds.get(timeout=timeout_seconds)
        except Empty:
            return None

    def go_on(self) -> None:
        """Let a held worker go on."""
        self._go_on.set()

    def _run(self) -> None:
        try:
            self._migration.run(on_progress=self._on_progress)
        except _AbandonedError:
            pass
        except BaseException as error:  # handed to the thread that waits
            self._error = error
        finally:
            self._holds.put(None)

    def _on_progress(self, progress: Progress) -> None:
        self.latest = progress
        if self._shares and progress.done >= self._shares[0] * progress.total:
            self._shares = [share for share in self._shares if share * progress.total > progress.done]
            self._hold(progress)
        if self._abandoned:
            raise _AbandonedError

    def _hold(self, progress: Progress) -> None:
        began = time.perf_counter()
        self._go_on.clear()
        self._holds.put(progress)
        while not (self._go_on.wait(POLL_SECONDS) or self._abandoned):
            pass
        self._held_seconds += time.perf_counter() - began
