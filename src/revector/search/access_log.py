"""Counts of what searches return, written to the store some searches at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from revector._forks import renew_in_child
from revector.backends.contracts import Backend
from revector.errors import StoreError

FLUSH_AFTER_SEARCHES = 64

_log = logging.getLogger(__name__)


class AccessLog:
    """Buffers the keys that searches return. Safe to share between threads.

    A process that dies loses the counts of its last searches, no more: they steer priorities, nothing else.

    Parameters
    ----------
    backend : Backend
        Where the counts go.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._keys: list[int] = []  # what a parent counted, it writes
        self._searches = 0

    def add(self, keys: Sequence[int]) -> None:
        """Count one search that returned these keys; where nothing can be written, it is not counted."""
        if self._backend.read_only:
            return
        with self._lock:
            self._keys.extend(keys)
            self._searches += 1
            due = self._searches >= FLUSH_AFTER_SEARCHES
        if due:
            self.flush()

    def flush(self) -> None:
        """Write the counts; if the store refuses, say so and keep them for the next time."""
        with self._lock:
            keys, self._keys, self._searches = self._keys, [], 0
        try:
            if keys:
                self._backend.documents.record_access(keys)
        except StoreError as error:
            _log.warning("the counts of %d hits are not written yet: %s", len(keys), error)
            with self._lock:
                self._keys.extend(keys)
