"""Threads that work behind others: they leave the interpreter to whoever answers somebody.

A thread that reads rows one by one takes and leaves the lock of the interpreter with each row. Whoever waits for that
lock is given it after a switch interval (5 ms), and has to wait anew at its next call that leaves it: a search, which
makes dozens, took ten times as long while vectors were read behind it. So such a thread reads a few rows, then sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_behind", "step_aside", "working_behind"]

ROWS_AT_A_TIME = 16
"""That are read between two pauses: about a tenth of a millisecond."""
_PAUSE_SECONDS = 0.0005

_local = threading.local()


@contextmanager
def working_behind() -> Iterator[None]:
    """Let the calling thread stand back behind the others of its process inside this block."""
    before = is_behind()
    _local.is_behind = True
    try:
        yield
    finally:
        _local.is_behind = before


def is_behind() -> bool:
    """Whether the calling thread is inside `working_behind`."""
    return getattr(_local, "is_behind", False)


def step_aside() -> None:
    """Let other threads go first for a moment."""
    time.sleep(_PAUSE_SECONDS)
