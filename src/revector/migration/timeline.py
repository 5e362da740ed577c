"""How a generation was filled over time: a few hundred moments, thinned as more come, in a note of the ledger."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from revector.backends.contracts import Backend
from revector.errors import RevectorError
from revector.migration.signs import PATIENCE_SECONDS, WAITING, workers

MOST_MOMENTS = 400
"""Where there are more, every other one is forgotten, and later ones come half as often."""
FIRST_SPACING_SECONDS = 5.0
_COUNTING_SHARE = 0.01  # of the time may go into counting what is done
_LONGEST_REASON = 120
_NOTE = "timeline:{}"


@dataclass(frozen=True)
class Moment:
    """A moment of a generation that is filled.

    Attributes
    ----------
    at : float
        Seconds since the epoch.
    done, total : int
        Documents that have their vector, and those that can have one.
    documents_per_second : float or None
        Of all workers together; ``None`` while they wait.
    workers : int
        That were at work, or waited.
    reason : str
        Why it went no faster, or waited.
    begins : bool
        A run began with it, beside which there was no other.
    """

    at: float
    done: int
    total: int
    documents_per_second: float | None
    workers: int
    reason: str
    begins: bool = False


class TimelineKeeper:
    """Writes down how far a generation is; of several workers, whoever comes first when the next moment is due.

    Parameters
    ----------
    backend : Backend
        Where it is written down.
    generation : int
        What is filled.
    """

    def __init__(self, backend: Backend, generation: int) -> None:
        self._backend, self._generation = backend, generation
        self._due, self._begins = 0.0, True

    def note(self, *, last: bool = False) -> None:
        """Write a moment down if one is due, or if it is the last one; where the store has no time, nothing happens."""
        began = time.monotonic()
        if began < self._due and not last:
            return
        with suppress(RevectorError):
            every = self._note(last=last)
            counted = (time.monotonic() - began) / _COUNTING_SHARE
            self._due = began + max(every, counted)

    def _note(self, *, last: bool) -> float:
        notes, name = self._backend.ledger.notes, _NOTE.format(self._generation)
        kept = notes.get(name) or {"every": FIRST_SPACING_SECONDS, "moments": []}
        if not last and kept["moments"] and abs(time.time() - kept["moments"][-1][0]) < kept["every"]:
            return float(kept["every"])
        now = self._now()  # outside the transaction: counting takes a while
        with self._backend.transaction(PATIENCE_SECONDS):
            kept = notes.get(name) or kept
            moments = [*kept["moments"], now]
            if len(moments) > MOST_MOMENTS:
                moments, kept["every"] = [*_thinned(moments[:-1]), now], 2 * kept["every"]
            notes.keep(name, {**kept, "moments": moments})
        self._begins = False
        return float(kept["every"])

    def _now(self) -> list[Any]:
        """Return a moment as it is kept."""
        signs = workers(self._backend, self._generation)
        with self._backend.snapshot():
            documents, jobs = self._backend.documents.count(), self._backend.ledger.jobs.counts(self._generation)
        rates = [sign.documents_per_second for sign in signs if sign.stage != WAITING]
        rate = sum(each for each in rates if each is not None) or None
        reason = "; ".join(dict.fromkeys(sign.why for sign in signs))[:_LONGEST_REASON]
        done, possible, begins = documents - jobs.total, documents - jobs.failed, self._begins and len(signs) <= 1
        return [round(time.time(), 1), done, possible, rate, len(signs), reason, begins]


def _thinned(moments: list[Any]) -> list[Any]:
    """Return every other moment; where a run begins with one of the others, the next one says so."""
    before = [moments[0], *moments[1:-1:2]]
    return [[*kept[:-1], kept[-1] or left[-1]] for left, kept in zip(before, moments[::2], strict=True)]


def timeline(backend: Backend, generation: int, since: float = 0.0) -> list[Moment]:
    """Return the moments that were kept of a generation, the oldest first.

    Parameters
    ----------
    backend : Backend
        Where they are.
    generation : int
        Which generation.
    since : float
        Seconds since the epoch; what is older is of another generation that had the same number.
    """
    kept = backend.ledger.notes.get(_NOTE.format(generation)) or {"moments": []}
    return [Moment(*fields) for fields in kept["moments"] if fields[0] >= since]
