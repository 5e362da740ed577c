"""Long work in short transactions, so that nobody waits long for the write lock meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from revector.migration.patience import patient

PAUSE_SECONDS = 0.02
"""Between two slices: another writer looks for the write lock every few milliseconds."""


def in_slices(step: Callable[[], bool], stop: threading.Event | None = None) -> bool:
    """Repeat a step until it says that there was nothing left to do; tell whether it did anything.

    A slice that failed because the store was lost is done again.

    Parameters
    ----------
    step : callable
        Does a slice in a transaction of its own.
    stop : threading.Event, optional
        Ends it after the slice in hand.
    """
    did, step = False, patient(step)
    while not (stop and stop.is_set()) and step():
        did = True
        time.sleep(PAUSE_SECONDS)
    return did
