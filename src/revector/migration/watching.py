"""Following what happens to the migrations of a collection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from revector.backends.contracts import Backend
from revector.ledger.records import Event


def watch(backend: Backend, after: int | None, every: float, stop: threading.Event | None) -> Iterator[Event]:
    """Yield events as they happen; see `Collection.watch`. What is new is what comes after this call."""
    if after is None:
        after = max((event.id for event in backend.ledger.events_after(0)), default=0)
    return _events(backend, after, every, stop or threading.Event())


def _events(backend: Backend, after: int, every: float, stop: threading.Event) -> Iterator[Event]:
    seen: object = None
    while not stop.is_set():
        last = backend.ledger.last_event()
        for event in backend.ledger.events_after(after) if last != seen else ():
            yield event
            after = event.id
        seen = last
        stop.wait(every)
