"""The pulse of a worker: at which stage it is, and why it goes no faster, said every other second for whoever asks.

A thread of its own says it, so that a stage that stands still is seen from outside, and named in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from revector.backends.contracts import Backend
from revector.errors import RevectorError
from revector.migration.filling.progress import Progress
from revector.migration.signs import (
    CLAIMING,
    ENCODING,
    LANDING,
    LOCKED,
    PACED,
    SAY_EVERY_SECONDS,
    WAITING,
    WorkerSign,
    say_spend_cap,
    say_spent,
    say_worker,
    sweep,
    unsay_worker,
)
from revector.migration.throttle import Held
from revector.migration.timeline import TimelineKeeper

_AS_FAST_AS = {
    CLAIMING: "as fast as documents are read",
    ENCODING: "as fast as the model embeds",
    LANDING: "as fast as vectors are stored",
}
_FIRST_SECONDS = 1.0  # a run that is shorter says nothing
_FADING = 0.8  # of the time that the stages took before, with each word

_log = logging.getLogger(__name__)


class Pulse:
    """Says what one worker does, for as long as its ``with`` block runs.

    Parameters
    ----------
    backend : Backend
        Where it is written down.
    generation : int
        What the worker fills.
    owner : str
        Who it is.
    spent : callable
        Returns the money that it has spent so far.
    cap : float, optional
        The most that it may spend.

    Attributes
    ----------
    rate : float or None
        Documents a second.
    limit : str
        What holds the rate; empty where nothing but the work does.
    """

    def __init__(
        self,
        backend: Backend,
        generation: int,
        owner: str,
        spent: Callable[[], float],
        cap: float | None = None,
    ) -> None:
        self._cap, self._cap_said = cap, False
        self._backend, self._generation, self._owner, self._spent = backend, generation, owner, spent
        self._stage, self._since, self._waits = CLAIMING, time.time(), ""
        self._took = dict.fromkeys(_AS_FAST_AS, 0.0)
        self._lock_wanted_at: float | None = None
        self._timeline = TimelineKeeper(backend, generation)
        self.rate: float | None = None
        self.limit = ""
        self._done, self._said, self._warned_of = threading.Event(), False, 0.0
        self._thread = threading.Thread(target=self._beat, name="revector-pulse", daemon=True)

    def __enter__(self) -> Pulse:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and leave nothing but the last moment of the time line."""
        self._done.set()
        self._thread.join()
        self._say_spent()
        if self._said:
            self._timeline.note(last=True)
            unsay_worker(self._backend, self._owner)

    def at(self, stage: str) -> None:
        """Note that the worker begins with a stage."""
        now = time.time()
        if self._stage in self._took:
            self._took[self._stage] += now - self._since
        self._stage, self._since, self._waits = stage, now, ""

    def rests(self, held: Held) -> None:
        """Note that the worker waits, and why."""
        stage = PACED if held.paces else WAITING
        if self._stage != stage:
            self.at(stage)
        self._waits = held.reason

    def wants_lock(self, wanted: bool) -> None:
        """Note that what lands waits for other writers, or has them behind it."""
        self._lock_wanted_at = time.time() if wanted else None

    @property
    def reason(self) -> str:
        """Why the worker waits, or goes no faster."""
        slowest = max(self._took, key=lambda stage: self._took[stage])
        return self._waits or self.limit or _AS_FAST_AS[slowest]

    def explained(self, progress: Progress) -> Progress:
        """Return a moment of the run with the reason for its rate; one that waits has none."""
        if self._stage == WAITING:
            return replace(progress, documents_per_second=None, seconds_left=None, reason=self.reason)
        return replace(progress, reason=self.reason)

    def sign(self) -> WorkerSign:
        """Return what there is to say now."""
        stage, since, lock_wanted_at = self._stage, self._since, self._lock_wanted_at
        if stage == LANDING and lock_wanted_at is not None:
            stage, since = LOCKED, lock_wanted_at
        rate = None if stage == WAITING else self.rate
        return WorkerSign(self._owner, time.time(), since, self._generation, stage, self.reason, rate)

    def _beat(self) -> None:
        seconds = _FIRST_SECONDS
        while not self._done.wait(seconds):
            if not self._said:
                with suppress(RevectorError):
                    sweep(self._backend)
            self._say(self.sign())
            self._timeline.note()
            seconds = SAY_EVERY_SECONDS

    def _say(self, sign: WorkerSign) -> None:
        self._said = True
        say_worker(self._backend, sign)
        self._say_spent()
        for stage in self._took:
            self._took[stage] *= _FADING
        if sign.stands_still and self._warned_of != sign.since:
            self._warned_of = sign.since
            _log.warning("a worker %s", sign.why)

    def _say_spent(self) -> None:
        if amount := self._spent():
            say_spent(self._backend, self._generation, self._owner, amount)
        if self._cap is not None and not self._cap_said:
            say_spend_cap(self._backend, self._generation, self._cap)
            self._cap_said = True
