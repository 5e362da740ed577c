"""The live display of a migration: share, documents per second, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from revector.cli.printing import progress_bar
from revector.migration.filling.progress import Progress as WorkerProgress

SECONDS_A_MINUTE = 60


def describe(progress: WorkerProgress) -> str:
    """Say how fast it goes, how long it takes, and what failed."""
    parts = []
    if progress.documents_per_second is not None:
        parts.append(f"{progress.documents_per_second:,.0f} documents/s")
    if progress.reason:
        parts.append(progress.reason)
    if progress.seconds_left is not None:
        parts.append(f"{show_seconds(progress.seconds_left)} left")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    return ", ".join(parts)


def show_seconds(seconds: float) -> str:
    """Return minutes and seconds."""
    minutes, rest = divmod(round(seconds), SECONDS_A_MINUTE)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def show_progress() -> Iterator[Callable[[WorkerProgress], None]]:
    """Show a worker's progress on stderr; nothing is drawn where that is not a terminal."""
    with progress_bar() as bar:
        task = bar.add_task("re-embedding", total=None, details="")

        def update(progress: WorkerProgress) -> None:
            bar.update(task, completed=progress.done, total=progress.total, details=describe(progress))

        yield update
