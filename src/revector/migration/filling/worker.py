"""The worker: claims jobs, encodes the texts, stores the vectors. Any number of them may run, in any process.

The three stages overlap: while one unit is encoded by the calling thread, the next one is claimed and read, and the
one before lands. The vectors of a unit and the end of its jobs are one transaction, so a worker that is killed has at
most what it holds embedded in vain. A worker that lost its lease because it was slow does no harm either: vectors land
only where the document still has the text that was embedded, and a job is done once the vector of its text is stored,
whoever stored it. One that was stopped for longer than its lease claims anew: others have what it held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from revector._arguments import function, number, whole_number
from revector.backends.contracts import Backend
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.once import Vectors
from revector.errors import EncoderError, RateLimitedError, StoreUnavailableError
from revector.ledger.owners import new_owner
from revector.migration.filling.brake import Brake
from revector.migration.filling.claims import Claims, Heartbeat, Load
from revector.migration.filling.lander import Lander
from revector.migration.filling.pace import Pace
from revector.migration.filling.progress import Progress
from revector.migration.filling.pulse import Pulse
from revector.migration.filling.unit import UnitResult, run_unit
from revector.migration.landing import LATER_SECONDS
from revector.migration.patience import outlast, patient
from revector.migration.signs import CLAIMING, ENCODING, LANDING
from revector.migration.throttle import NO_LIMITS, Held, Throttle

FAILURES_IN_A_ROW = 256  # then the encoder is at fault, not the documents
_ASK_EVERY_SECONDS = 0.25  # whether to go on
_POLL_SECONDS = 0.25
_LEAST_WAIT_SECONDS = 0.005
_RATE_LIMIT_SECONDS = 5.0
_CAUGHT_UP_AFTER = 20
"""After so many loads in a row that were all there was, a run has caught up with those who write all the time."""
_OTHERS_HOLD = Held(reason="waits: what is left is tried again later, or in the hands of other workers")
_LOCKED_ROWS = Held(reason="waits: transactions of others hold the rows that are left")
_RECENT_LOADS = 3  # the one in hand, and those whose vectors were not stored yet when it was read

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerReport:
    """What a run did: texts embedded, vectors taken over from identical texts, documents that failed an attempt."""

    embedded: int
    reused: int
    failed: int
    seconds: float

    def __add__(self, other: WorkerReport) -> WorkerReport:
        """Return the report of both runs."""
        return WorkerReport(
            self.embedded + other.embedded,
            self.reused + other.reused,
            self.failed + other.failed,
            self.seconds + other.seconds,
        )


class Worker:
    """Fills one generation.

    Parameters
    ----------
    backend : Backend
        Where documents and jobs are.
    encoder : TextEncoder
        Of the generation's space.
    generation : int
        The generation to fill.
    batch : int, optional
        Texts given to the encoder at a time; by default as many as it embeds in a third of a second.
    lease_seconds : float
        How long a job is held without a sign of life; a heartbeat renews it three times as often.
    source : int, optional
        The generation whose vectors are shortened; see `Claims`.
    share : float
        Of the time, that is spent on the work; the run rests for the remainder, after each unit.
    on_progress : callable, optional
        Called with `Progress` after each landing, by another thread.
    may_run : callable, optional
        Asked before a unit, a few times a second; the run ends when it says no (paused, rolled back).
    throttle : callable, optional
        Returns what limits the run, and is called as often; by default nothing does.
    on_landed : callable, optional
        Called with the number of vectors that landed, and the keys of their documents, by another thread.

    Raises
    ------
    SpaceMismatchError
        The encoder is not that of the generation.
    """

    def __init__(
        self,
        backend: Backend,
        encoder: TextEncoder,
        generation: int,
        *,
        batch: int | None = None,
        lease_seconds: float = 60.0,
        source: int | None = None,
        share: float = 1.0,
        on_progress: Callable[[Progress], None] | None = None,
        may_run: Callable[[], bool] | None = None,
        throttle: Callable[[], Throttle] | None = None,
        on_landed: Callable[[int, Sequence[int]], object] | None = None,
    ) -> None:
        require_encoder(encoder, "encoder")
        generation = whole_number(generation, "generation")
        batch = None if batch is None else whole_number(batch, "batch", least=1)
        lease_seconds = number(lease_seconds, "lease_seconds", above=0)
        for name, hook in (("on_progress", on_progress), ("may_run", may_run), ("on_landed", on_landed)):
            if hook is not None:
                function(hook, name)
        backend.generations.get(generation).space.require(
            encoder.space, purpose=f"the vectors of generation {generation}"
        )
        self._backend, self._encoder, self._generation = backend, encoder, generation
        self._batch, self._lease_seconds, self._share = batch, lease_seconds, share
        self._on_progress, self._may_run, self._on_landed = on_progress, may_run, on_landed
        self._throttle = throttle or (lambda: NO_LIMITS)
        self._owner, self._spent_before = new_owner(), getattr(encoder, "spent", 0.0)
        self._claims = Claims(backend, generation, self._owner, lease_seconds, source)
        self._stop = threading.Event()

    def run(self, *, stop: threading.Event | None = None) -> WorkerReport:
        """Work until no job is outstanding, those under other workers' leases included.

        Where others write faster than a text is embedded, there is always one left: then it ends once it has caught up
        with them.

        Parameters
        ----------
        stop : threading.Event, optional
            Ends the run after the unit in hand.

        Raises
        ------
        EncoderError
            The encoder refuses to go on (`SpendCapError`), or nothing but failures came from it.
        StoreBusyError
            What is left is held by transactions of others that do not end.
        """
        self._backend.require_writable()
        self._stop = stop or threading.Event()
        self._pace, self._recent = Pace(self._batch), deque[Vectors](maxlen=_RECENT_LOADS)
        self._report, self._failed_in_a_row, self._ask_at = WorkerReport(0, 0, 0, 0.0), 0, 0.0
        self._held_since: float | None = None
        self._brake = Brake(self._backend, self._generation, patient(self._limits))
        cap = getattr(self._encoder, "spend_cap", None)
        self._pulse = Pulse(self._backend, self._generation, self._owner, self._spent, cap)
        began = time.monotonic()
        jobs = self._backend.ledger.jobs
        patient(jobs.release_dead_owners)()
        try:
            with (
                Heartbeat(jobs, self._owner, self._lease_seconds) as self._heartbeat,
                self._pulse,
                ThreadPoolExecutor(1, thread_name_prefix="revector-reader") as reader,
                self._new_lander() as lander,
            ):
                self._work(reader, lander)
                lander.flush()
                lander.report()
        finally:
            with suppress(StoreUnavailableError):  # leases run out by themselves
                self._claims.give_back()
        return self._report + WorkerReport(0, 0, 0, time.monotonic() - began)

    def _spent(self) -> float:
        """Return what the encoder has cost since this worker has it."""
        return float(getattr(self._encoder, "spent", 0.0) - self._spent_before)

    def _limits(self) -> Throttle:
        """Return what the throttle says, and a share of the time that the strategy leaves."""
        limits = self._throttle()
        return limits.changed(share=min(self._share, limits.share or 1.0)) if self._share < 1 else limits

    def _new_lander(self) -> Lander:
        reports = (self._on_progress, self._note_landed, self._pulse)
        return Lander(self._backend, self._generation, self._owner, *reports)

    def _work(self, reader: ThreadPoolExecutor, lander: Lander) -> None:
        upcoming: Future[Load] | None = None
        all_in_a_row = 0
        while self._goes_on(lander) and all_in_a_row < _CAUGHT_UP_AFTER:
            self._pulse.at(CLAIMING)
            nothing_at_hand = upcoming is None
            if upcoming is None:
                lander.flush()  # whoever claims suspects holds nothing else
                load = self._claims.take(self._pace.load, suspects=True)
            else:
                load = upcoming.result()
            upcoming = None
            if not nothing_at_hand and self._heartbeat.may_be_lost(load):
                continue
            if load:
                all_in_a_row = all_in_a_row + 1 if load.was_all and not load.suspect else 0
                if not load.suspect:
                    upcoming = reader.submit(self._claims.take, self._pace.load, suspects=False)
                self._encode(load, lander)
            elif nothing_at_hand:
                all_in_a_row = 0
                if (due := self._wait()) is None:
                    return
                self._outlast(due)

    def _goes_on(self, lander: Lander) -> bool:
        """Tell whether there is to be another unit, after waiting for as long as the throttle says."""
        while self._is_allowed():
            held, limits = self._brake.hold(), self._brake.throttle()
            self._pulse.limit = self._brake.limit
            if not held.seconds:
                self._pace.hold_to(limits.batch or self._batch, limits.rate)
                return True
            self._pulse.rests(held)
            lander.tell()
            self._stop.wait(min(held.seconds, _ASK_EVERY_SECONDS))
        return False

    def _is_allowed(self) -> bool:
        if self._stop.is_set():
            return False
        if self._may_run is None or time.monotonic() < self._ask_at:
            return True
        allowed = self._may_run()
        self._ask_at = time.monotonic() + _ASK_EVERY_SECONDS
        return allowed

    @patient
    def _wait(self) -> float | None:
        """Wait for retries or for other workers; return when a job is due, or ``None`` if none is left."""
        self._claims.give_back()  # nothing is at hand: what is held was claimed when the store was lost
        due = self._backend.ledger.jobs.seconds_until_due(self._generation)
        if due is not None:
            self._pulse.rests(_OTHERS_HOLD if due else _LOCKED_ROWS)
            self._stop.wait(min(_POLL_SECONDS, due + _LEAST_WAIT_SECONDS))
        return due

    def _outlast(self, due: float) -> None:
        """Give up where nothing lands for long, though jobs are due: others' transactions hold them, or their rows."""
        if due > LATER_SECONDS:  # a retry, or what other workers hold
            self._held_since = None
            return
        self._held_since = self._held_since or time.monotonic()
        outlast(
            self._held_since,
            "documents wait for a vector, and transactions that are still open hold their rows; end those (a database "
            "shows who is idle in a transaction), or wait for them, then run it again",
        )

    def _note_landed(self, count: int, keys: Sequence[int]) -> None:
        if count:
            self._held_since = None
        if self._on_landed is not None:
            self._on_landed(count, keys)

    def _encode(self, load: Load, lander: Lander) -> None:
        """Encode a load unit by unit, and pass each on to land."""
        self._recent.appendleft({})
        for place, part in enumerate(load.parts(self._pace.unit)):
            if not self._goes_on(lander) or (place and self._heartbeat.may_be_lost(load)):
                return
            result = self._embed(part)
            self._pulse.at(LANDING)
            lander.add(part, result)
            self._tally(part, result)
            if isinstance(result.stopped, RateLimitedError):
                self._yield_to_limit(part, result, result.stopped)
            elif result.stopped is not None:
                raise result.stopped
        if load.suspect:
            lander.flush()

    def _embed(self, part: Load) -> UnitResult:
        self._pulse.at(ENCODING)
        unit, began = part.unit.knowing(self._recent), time.perf_counter()
        result = run_unit(self._encoder, unit)
        seconds = time.perf_counter() - began
        self._pace.note(result.embedded, seconds)
        self._brake.took(len(unit.hashes), seconds)
        self._recent[0].update(zip(result.rows.hashes, result.rows.vectors, strict=True))
        return result

    def _tally(self, part: Load, result: UnitResult) -> None:
        """Count what became of a unit; raise `EncoderError` once there is nothing but failures."""
        failed = [claim for claim in part.claims if claim.content_hash in result.errors] if result.errors else []
        for claim in failed:
            _log.warning("document %d was not embedded: %s", claim.document_key, result.errors[claim.content_hash])
        self._report += WorkerReport(result.embedded, len(result.rows) - result.embedded, len(failed), 0.0)
        self._failed_in_a_row = 0 if len(result.rows) else self._failed_in_a_row + len(failed)
        if self._failed_in_a_row >= FAILURES_IN_A_ROW:
            raise EncoderError(
                f"{self._failed_in_a_row} documents in a row could not be embedded, the last one because of: "
                f"{result.errors[failed[-1].content_hash]}; repair the encoder, then run again"
            )

    def _yield_to_limit(self, part: Load, result: UnitResult, error: RateLimitedError) -> None:
        seconds = _RATE_LIMIT_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        _log.info("the embedding service asks to wait %.1f s", seconds)
        ended = {*result.rows.hashes, *result.errors}
        left = [claim for claim in part.claims if claim.content_hash not in ended]
        self._pulse.rests(Held(seconds, f"waits: the embedding service asks for {seconds:.0f} s"))
        patient(self._backend.ledger.jobs.postpone)(left, self._owner, seconds)
        self._stop.wait(seconds)
