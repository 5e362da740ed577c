"""Sending batch jobs: as much as may be out, written down before and after each step."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import IO

from revector.encoders.batching import BatchService, is_passing
from revector.errors import EncoderError, RateLimitedError
from revector.migration.batches.book import BatchBook
from revector.migration.batches.jobs import BatchJob, BatchJobs, BatchStage, new_batch_job
from revector.migration.batches.packing import Limits, Packed, Packer

__all__ = ["BatchSender"]

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0

_log = logging.getLogger(__name__)


class BatchSender:
    """Sends what waits for a vector of one generation.

    Parameters
    ----------
    book : BatchBook
    service : BatchService
    packer : Packer
    generation : int
    options : BatchJobs
    tell : callable
        Is told what is done.

    Attributes
    ----------
    has_backlog : bool
        There may be more to send. Once everything was out, what is written later is left for the end.
    reused : int
        Documents whose vectors were there already.
    """

    def __init__(
        self,
        book: BatchBook,
        service: BatchService,
        packer: Packer,
        generation: int,
        options: BatchJobs,
        tell: Callable[[str], None],
    ) -> None:
        self._book, self._service, self._packer = book, service, packer
        self._generation, self._options, self._tell = generation, options, tell
        self._most_tokens = options.tokens
        self._retry_at, self._retry_seconds = 0.0, FIRST_RETRY_SECONDS
        self._waits_for_end = False
        self.has_backlog, self.reused = True, 0

    @property
    def has_work(self) -> bool:
        """Whether something is left to send."""
        return self.has_backlog or self._book.unsent is not None

    @property
    def is_due(self) -> bool:
        """Whether it may be sent now."""
        return self.has_work and not self._waits_for_end and time.monotonic() >= self._retry_at

    def _find_begun(self, stop: threading.Event) -> None:
        """Look for jobs that the service may have begun, when their process was killed or got no answer."""
        for job in self._book.jobs:
            if job.stage is BatchStage.BEGINNING and (state := self._service.find(job.handle, stop)) is not None:
                self._book.keep(replace(job, stage=BatchStage.OUT, id=state.id, status=state.status))
                self._book.expect(job)

    def send(self, stop: threading.Event) -> None:
        """Pack and send one job.

        Raises
        ------
        SpendCapError
            The cap does not leave room for the next text, and no job is out that may make some.
        ServiceError
            The service refuses; nothing stays leased to the job.
        """
        try:
            self._find_begun(stop)
        except EncoderError as error:
            self._put_off(error)
            return
        if not self.has_work:
            return
        limits = self._limits()
        job = self._book.unsent or self._book.keep(new_batch_job(self._generation))
        with tempfile.TemporaryFile() as file:
            packed = self._packer.pack(job, file, limits, self._book.waiting)
            self.has_backlog, self.reused = packed.is_full, self.reused + packed.reused
            if not packed.hashes:
                self._book.drop(job)
                if packed.is_full:
                    self._wait_for_room()
                return
            try:
                self._begin(job, packed, file, stop)
            except EncoderError as error:
                self._put_off(error)

    def ended(self) -> None:
        """Take note that a job has ended: there is room again."""
        self._waits_for_end = False

    def refused_as_too_much(self, job: BatchJob) -> None:
        """Send a job in parts, or later, whose tokens were more than may be out."""
        self._service.drop_job(job.handle)
        self._book.drop(job)
        self._waits_for_end = bool(self._book.out)
        if self._waits_for_end:
            self.has_backlog = True
        elif job.requests > 1:
            self._most_tokens, self.has_backlog = max(1, job.tokens // 2), True
            _log.warning("a batch job of %d tokens is too much: no more than half are out at a time", job.tokens)

    def _limits(self) -> Limits:
        out = sum(job.tokens for job in self._book.out)
        left = [self._service.room(), None if self._most_tokens is None else self._most_tokens - out]
        tokens = min((each for each in left if each is not None), default=None)
        return Limits(self._options.requests, self._options.bytes, tokens)

    def _wait_for_room(self) -> None:
        if self._book.out:
            self._waits_for_end = True
            return
        room = self._service.room()
        if room is not None and (self._most_tokens is None or room < self._most_tokens):
            raise self._service.refusal()
        self.has_backlog = False  # a text beyond all limits: plain requests are for it

    def _begin(self, job: BatchJob, packed: Packed, file: IO[bytes], stop: threading.Event) -> None:
        n, cost = len(packed.hashes), self._service.price_of(packed.tokens)
        self._tell(f"sends a batch job of {n:,} texts")
        job = replace(job, stage=BatchStage.SENDING, requests=n, tokens=packed.tokens, cost=cost)
        self._book.keep(job)
        self._service.note_job(job.handle, packed.tokens, paid=False)
        file.seek(0)
        file_id = self._service.send(file, job.handle, stop)
        job = self._book.keep(replace(job, stage=BatchStage.BEGINNING))
        state = self._service.create(file_id, job.handle, stop)
        job = self._book.keep(replace(job, stage=BatchStage.OUT, id=state.id, status=state.status))
        self._book.expect(job)
        self._retry_seconds = FIRST_RETRY_SECONDS
        _log.info("batch job %s is out: %d texts", job.handle, n)

    def _put_off(self, error: EncoderError) -> None:
        """Send a job again later; give it back, and raise why, if the service does not want it."""
        job = self._book.unsent
        if job is None or not is_passing(error):
            if job is not None:
                self._service.drop_job(job.handle)
                self._book.drop(job)
            raise error
        asked = error.retry_after_seconds if isinstance(error, RateLimitedError) else None
        self._retry_at = time.monotonic() + (asked or self._retry_seconds)
        self._retry_seconds = min(LONGEST_RETRY_SECONDS, 2 * self._retry_seconds)
        _log.warning("batch job %s could not be sent, and is tried again: %s", job.handle, error)
