"""Embedding what others write, for as long as they do: the tail of a migration, and of a collection between two."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import ClosedError, GoneError, ReadOnlyError, StoreError
from revector.migration.asking import reconcile
from revector.migration.canaries import require_same_model
from revector.migration.filling.worker import Worker, WorkerReport
from revector.migration.serving import ServingReader
from revector.migration.slices import in_slices

LOOK_EVERY_SECONDS = 1.0
RECONCILE_EVERY_SECONDS = 600.0
"""So often the whole collection is looked through for documents that nobody asked a vector for."""
TURN_SECONDS = 20.0
"""So long a generation is embedded, at most, before the others have their turn: one that fills takes hours, and where
others write all the time there is always a document left."""
_AFTER_A_FAILURE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Turn(threading.Event):
    """Comes when another event does, and after some seconds.

    Parameters
    ----------
    stop : threading.Event
        The other event.
    seconds : float
    """

    def __init__(self, stop: threading.Event, seconds: float) -> None:
        super().__init__()
        self._other, self._end = stop, time.monotonic() + seconds

    def is_set(self) -> bool:
        """Tell whether it has come."""
        return self._other.is_set() or time.monotonic() >= self._end

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it comes, for so many seconds at most; tell whether it has."""
        left = max(0.0, self._end - time.monotonic())
        self._other.wait(left if timeout is None else min(timeout, left))
        return self.is_set()


def follow(
    backend: Backend, encoders: EncoderSet, fill: Callable[[threading.Event], WorkerReport], stop: threading.Event
) -> WorkerReport:
    """Embed what is written in every live generation whose model is at hand, until told to stop.

    A store that cannot be reached for a while is tried again, and so is a table that is not what was adopted; a model
    that fails ends it, and so does a collection that was released or dropped.

    Parameters
    ----------
    backend : Backend
    encoders : EncoderSet
        The models at hand.
    fill : callable
        Does what the migration has to do, if there is one that fills, and returns what it did.
    stop : threading.Event
        Ends it after the unit in hand.

    Raises
    ------
    EncoderError
        A model refuses to go on.
    GoneError
        There is no collection any more, or nothing that it was adopted from.
    """
    report, reader, reconciled = WorkerReport(0, 0, 0, 0.0), ServingReader(backend), time.monotonic()
    while not stop.is_set():
        try:
            backend.require_writable()
            in_slices(backend.recapture, stop)
            report += fill(Turn(stop, TURN_SECONDS))
            live = reader.read().live
            for generation in live:
                report += _caught_up(backend, encoders, generation, Turn(stop, TURN_SECONDS))
            if time.monotonic() >= reconciled + RECONCILE_EVERY_SECONDS:  # last: others may hold what it asks for
                for generation in live:
                    reconcile(backend, generation.id)
                reconciled = time.monotonic()
            stop.wait(LOOK_EVERY_SECONDS)
        except (ClosedError, GoneError, ReadOnlyError):
            raise
        except StoreError as error:
            _log.warning("%s; trying again", error)
            stop.wait(_AFTER_A_FAILURE_SECONDS)
    return report


def _caught_up(backend: Backend, encoders: EncoderSet, generation: Generation, stop: threading.Event) -> WorkerReport:
    """Do the jobs of a generation that are due, if its model is at hand."""
    due = backend.ledger.jobs.seconds_until_due(generation.id)
    if due is None or due > 0 or (encoder := encoders.find(generation)) is None:
        return WorkerReport(0, 0, 0, 0.0)
    require_same_model(backend, encoders, generation, encoder)
    return Worker(backend, encoder, generation.id).run(stop=stop)
