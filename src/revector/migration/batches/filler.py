"""Filling a generation by the batch jobs of a service: packed, sent, waited for, landed; one process at a time.

Each step is written down before and after it is taken. Whoever is killed in between leaves documents that are leased to
a job, and a note that says how far it was: what was not begun is packed again, what may have been is looked for at the
service by our handle, and what is out is waited for. So no text is lost, and none is paid for twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from revector.backends.contracts import Backend
from revector.encoders.batching import BatchService, BatchState, is_passing
from revector.encoders.service.pacing import Stopped
from revector.errors import EncoderError
from revector.ledger.owners import new_owner
from revector.migration.batches.book import BatchBook, BatchTurn
from revector.migration.batches.jobs import ABANDONED_AFTER_SECONDS, BatchJob, BatchJobs, BatchStage
from revector.migration.batches.landing import BatchLander, Landed
from revector.migration.batches.packing import Packer
from revector.migration.batches.sending import BatchSender
from revector.migration.filling.brake import Brake
from revector.migration.filling.progress import Meter, Progress
from revector.migration.filling.pulse import Pulse
from revector.migration.filling.worker import WorkerReport
from revector.migration.patience import patient
from revector.migration.signs import CLAIMING, LANDING
from revector.migration.throttle import Held, Throttle

__all__ = ["BatchFiller"]

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 5.0, 300.0
_POLLS_GROW = 1.5  # while nothing changes
_ASK_EVERY_SECONDS = 0.25  # whether to go on
_KEEP_EVERY_SECONDS = 600.0  # that a job was heard of

_log = logging.getLogger(__name__)


class BatchFiller:
    """Fills one generation by batch jobs.

    Parameters
    ----------
    backend : Backend
        Where documents and jobs are.
    service : BatchService
        Of the generation's model.
    generation : int
        Which one.
    options : BatchJobs
    may_run : callable
        Asked a few times a second; the run ends when it says no. Jobs that are out stay out.
    throttle : callable
        Returns what holds landings back.
    source : int, optional
        The generation whose vectors are shortened; see `Claims`.
    on_progress : callable, optional
        Called with `Progress` after each landing, and while jobs are out.
    on_landed : callable, optional
        Called with the number of vectors that landed, and the keys of their documents.
    """

    def __init__(
        self,
        backend: Backend,
        service: BatchService,
        generation: int,
        options: BatchJobs,
        *,
        may_run: Callable[[], bool],
        throttle: Callable[[], Throttle],
        source: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_landed: Callable[[int, Sequence[int]], object] | None = None,
    ) -> None:
        self._backend, self._service, self._generation, self._options = backend, service, generation, options
        self._may_run, self._on_progress, self._source, self._on_landed = may_run, on_progress, source, on_landed
        self._meter, self._brake = Meter(), Brake(backend, generation, throttle)
        self._poll_seconds = FIRST_POLL_SECONDS
        self._reasons: dict[str, str] = {}
        self._embedded = 0

    def run(self, stop: threading.Event) -> WorkerReport:
        """Work until no job is out, and nothing that waited at the beginning is left to send.

        Parameters
        ----------
        stop : threading.Event
            Ends the run; jobs that are out stay out, and the next run goes on with them.

        Raises
        ------
        MigrationError
            Another process is at it.
        SpendCapError
            The spend cap does not leave room for the next text, and no job is out.
        ServiceError
            The service refuses.
        """
        began, self._stop = time.monotonic(), stop
        # what jobs cost is noted with each of them
        self._pulse = Pulse(self._backend, self._generation, new_owner(), lambda: 0.0, self._service.spend_cap)
        with BatchTurn(self._backend, self._generation), self._pulse:
            self._book = BatchBook(self._backend, self._generation)
            self._lander = BatchLander(
                self._backend, self._generation, self._book.waiting, self._on_landed, self._goes_on_landing
            )
            packer = Packer(self._backend, self._service, self._source, self._lander.store)
            self._sender = BatchSender(self._book, self._service, packer, self._generation, self._options, self._tell)
            failed = 0
            try:
                self._adopt()
                if self._work():
                    failed = self._give_back()
            except Stopped:  # jobs that are out stay out
                pass
            except EncoderError:
                self._give_back()
                raise
        return WorkerReport(self._embedded, self._sender.reused, failed, time.monotonic() - began)

    def _adopt(self) -> None:
        """Take over what other processes have left."""
        for job in self._book.jobs:
            if job.stage in (BatchStage.BEGINNING, BatchStage.OUT, BatchStage.ENDED):
                self._service.adopt_job(job.handle, job.tokens)
        for job in self._book.out:
            self._book.expect(job)

    def _work(self) -> bool:
        """Send and land; tell whether all is done, and not called off."""
        while self._goes_on():
            if self._sender.is_due:
                self._pulse.at(CLAIMING)
                self._sender.send(self._stop)
                continue
            out = self._book.out
            if not out and not self._sender.has_work:
                return True
            for job in out:
                self._look(job)
            self._report()
            if len(self._book.out) == len(out):
                self._wait(out)
        return False

    def _look(self, job: BatchJob) -> None:
        """See how far a job is, and land what it has once it is over; a service that is away is asked again later."""
        try:
            self._go_on_with(job, self._service.look(job.id, self._stop))
        except EncoderError as error:
            if not is_passing(error):
                raise
            _log.warning("the service says nothing of batch job %s now: %s", job.handle, error)
            if job.until < time.time():
                self._end(job, Landed())

    def _go_on_with(self, job: BatchJob, state: BatchState | None) -> None:
        if state is None:
            _log.warning("batch job %s is not known to its service any more", job.handle)
            self._end(job, Landed())
        elif not state.is_over:
            self._heard_of(job, state)
        elif state.is_too_much:
            self._sender.refused_as_too_much(job)
        else:
            self._land(job, state)

    def _heard_of(self, job: BatchJob, state: BatchState) -> None:
        now = time.time()
        heard = replace(job, status=state.status, completed=state.completed, failed=state.failed)
        if heard != job:
            self._poll_seconds = FIRST_POLL_SECONDS
        if heard != job or job.until < now + ABANDONED_AFTER_SECONDS - _KEEP_EVERY_SECONDS:
            self._book.keep(replace(heard, until=now + ABANDONED_AFTER_SECONDS))

    def _land(self, job: BatchJob, state: BatchState) -> None:
        self._pulse.at(LANDING)
        if state.error:
            _log.warning("batch job %s has %s: %s", job.handle, state.status, state.error)
        landed = self._lander.land(self._service.answers(state, self._stop), job.owner, self._stop)
        self._embedded += landed.texts
        if landed.is_whole:
            over = replace(job, status=state.status, completed=state.completed, failed=state.failed)
            used = landed.tokens if state.tokens is None else state.tokens
            self._end(over, landed, job.tokens if used is None else used)

    def _end(self, job: BatchJob, landed: Landed, used: int = 0) -> None:
        """Note that nothing more comes of a job; what it did not answer it holds until the run ends."""
        cost = self._service.price_of(used)
        self._book.keep(replace(job, stage=BatchStage.ENDED, tokens=used, cost=cost))
        self._service.note_job(job.handle, used, paid=True)
        self._book.expect_nothing_of(job)
        self._reasons.update(landed.reasons)
        self._sender.ended()
        self._poll_seconds = FIRST_POLL_SECONDS

    def _give_back(self) -> int:
        """Give back what jobs did not answer; return how many texts had an error."""
        online = self._options.online
        for job in self._book.ended:
            if left := self._book.give_back(job, self._reasons, online=online):
                then = "embedded by plain requests" if online else "left for another run"
                _log.warning("batch job %s has left %d documents, which are %s", job.handle, left, then)
        return len(self._reasons)

    def _wait(self, out: Sequence[BatchJob]) -> None:
        done, texts = sum(job.completed for job in self._book.out), sum(job.requests for job in out)
        jobs = f"{len(out)} batch job{'s' * (len(out) > 1)}" if out else "its turn"
        self._tell(f"{jobs}, {done:,} of {texts:,} texts done" if out else "to send a batch job again")
        end = time.monotonic() + self._poll_seconds
        self._poll_seconds = min(LONGEST_POLL_SECONDS, _POLLS_GROW * self._poll_seconds)
        while self._goes_on() and (left := end - time.monotonic()) > 0:
            self._stop.wait(min(left, _ASK_EVERY_SECONDS))

    def _tell(self, what: str) -> None:
        self._pulse.rests(Held(1.0, f"waits: {what}"))

    def _goes_on(self) -> bool:
        return not self._stop.is_set() and self._may_run()

    def _goes_on_landing(self, documents: int) -> bool:
        """Wait for as long as the throttle says after so many documents; tell whether the run goes on."""
        self._report(documents)
        self._brake.took(documents, 0.0)
        while self._goes_on() and (held := self._brake.hold()).seconds:
            self._pulse.rests(held)
            self._stop.wait(min(held.seconds, _ASK_EVERY_SECONDS))
        self._pulse.at(LANDING)
        return self._goes_on()

    @patient
    def _report(self, documents: int = 0) -> None:
        self._meter.add(documents)
        if self._on_progress is None:
            return
        with self._backend.snapshot():
            count, jobs = self._backend.documents.count(), self._backend.ledger.jobs.counts(self._generation)
        self._on_progress(self._pulse.explained(self._meter.progress(count, jobs)))
