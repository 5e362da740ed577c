"""The worker: claims jobs, encodes the texts, stores the vectors. Any number of them may run, in any process.

While one batch is encoded the next one is claimed and read. The vectors of a batch and the completion of its jobs are
one transaction, so a worker that is killed has at most the batch in its hands embedded in vain. A worker that lost its
lease because it was slow does no harm either: vectors land only where the document still has the text that was
embedded, and a job is done once the vector of its text is stored, whoever stored it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from revector._arguments import function, number, whole_number
from revector.backends.contracts import Backend, Document, Jobs
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.isolation import encode_each
from revector.errors import EncoderError, RateLimitedError, StoreError
from revector.ledger.jobs import Claim, JobCounts, JobRequest
from revector.ledger.owners import new_owner
from revector.migration.filling.progress import Meter, Progress
from revector.migration.landing import Rows, land

FAILURES_IN_A_ROW = 256  # then the encoder is at fault, not the documents
_POLL_SECONDS = 0.25
_LEAST_WAIT_SECONDS = 0.005
_RATE_LIMIT_SECONDS = 5.0
_COUNTING_SHARE = 0.05  # of the time may go into counting jobs for the progress

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


@dataclass(frozen=True)
class _Batch:
    claims: list[Claim]
    documents: dict[int, Document]

    def __bool__(self) -> bool:
        return bool(self.claims)

    @property
    def suspect(self) -> bool:
        """Whether a worker died while it held these documents."""
        return any(claim.unfinished for claim in self.claims)


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
    batch : int
        Documents encoded at a time.
    lease_seconds : float
        How long a job is held without a sign of life; a heartbeat renews it three times as often.
    on_progress : callable, optional
        Called with `Progress` after each batch.
    may_run : callable, optional
        Asked before each batch; the run ends when it says no (paused, rolled back).
    after_batch : callable, optional
        Called after each batch with the number of vectors that landed.

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
        batch: int = 64,
        lease_seconds: float = 60.0,
        on_progress: Callable[[Progress], None] | None = None,
        may_run: Callable[[], bool] | None = None,
        after_batch: Callable[[int], None] | None = None,
    ) -> None:
        require_encoder(encoder, "encoder")
        generation = whole_number(generation, "generation")
        batch, lease_seconds = whole_number(batch, "batch", least=1), number(lease_seconds, "lease_seconds", above=0)
        for name, hook in (("on_progress", on_progress), ("may_run", may_run), ("after_batch", after_batch)):
            if hook is not None:
                function(hook, name)
        backend.generations.get(generation).space.require(
            encoder.space, purpose=f"the vectors of generation {generation}"
        )
        self._backend, self._encoder, self._generation = backend, encoder, generation
        self._batch, self._lease_seconds = batch, lease_seconds
        self._on_progress, self._may_run, self._after_batch = on_progress, may_run, after_batch
        self._owner = new_owner()
        self._stop = threading.Event()
        self._meter = Meter()
        self._documents, self._counts, self._recount_at = 0, JobCounts(), 0.0
        self._tally: Counter[str] = Counter()
        self._failed_in_a_row = 0

    def run(self, *, until_empty: bool = True, stop: threading.Event | None = None) -> WorkerReport:
        """Work until no job is outstanding, those under other workers' leases included.

        Parameters
        ----------
        until_empty : bool
            ``False`` goes on waiting for new jobs until it is stopped.
        stop : threading.Event, optional
            Ends the run after the batch in hand.

        Raises
        ------
        EncoderError
            The encoder refuses to go on (`SpendCapError`), or nothing but failures came from it.
        """
        self._backend.require_writable()
        self._stop = stop or threading.Event()
        self._tally.clear()
        began = time.monotonic()
        self._backend.ledger.jobs.release_dead_owners()
        try:
            with (
                _Heartbeat(self._backend.ledger.jobs, self._owner, self._lease_seconds),
                ThreadPoolExecutor(1) as reader,
            ):
                self._work(reader, until_empty)
            self._recount_at = 0.0
            self._report(0)
        finally:
            self._backend.ledger.jobs.release(self._owner)
        tally = self._tally
        return WorkerReport(tally["embedded"], tally["reused"], tally["failed"], time.monotonic() - began)

    def _work(self, reader: ThreadPoolExecutor, until_empty: bool) -> None:
        upcoming: Future[_Batch] | None = None
        while self._goes_on():
            batch = self._read(suspects=True) if upcoming is None else upcoming.result()
            nothing_at_hand, upcoming = upcoming is None, None
            if batch:
                if not batch.suspect:  # while a document that may kill is encoded, nothing else is held
                    upcoming = reader.submit(self._read, suspects=False)
                self._process(batch)
            elif nothing_at_hand and not self._wait(until_empty):
                return

    def _goes_on(self) -> bool:
        return not self._stop.is_set() and (self._may_run is None or self._may_run())

    def _wait(self, until_empty: bool) -> bool:
        """Wait for retries, for other workers, or for new jobs; return whether there is anything to wait for."""
        due = self._backend.ledger.jobs.seconds_until_due(self._generation)
        if due is None and until_empty:
            return False
        self._stop.wait(_POLL_SECONDS if due is None else min(_POLL_SECONDS, due + _LEAST_WAIT_SECONDS))
        return True

    def _read(self, *, suspects: bool) -> _Batch:
        """Claim the next jobs and read their documents; settle those whose document is gone or has a newer text."""
        claims = self._backend.ledger.jobs.claim(
            self._generation, self._owner, self._batch, self._lease_seconds, suspects=suspects
        )
        documents = {
            document.key: document for document in self._backend.documents.by_key([c.document_key for c in claims])
        }
        gone = [claim.document_key for claim in claims if claim.document_key not in documents]
        self._backend.ledger.jobs.forget([self._generation], gone)
        present = [claim for claim in claims if claim.document_key in documents]
        newer = [c for c in present if documents[c.document_key].content_hash != c.content_hash]
        changed = [JobRequest(c.document_key, documents[c.document_key].content_hash, c.priority) for c in newer]
        self._backend.ledger.jobs.enqueue(self._generation, changed)
        return _Batch([claim for claim in present if claim not in newer], documents)

    def _process(self, batch: _Batch) -> None:
        try:
            vectors, errors = self._vectors(batch)
        except RateLimitedError as error:
            self._yield_to_limit(batch.claims, error)
            return
        landed = self._write(batch.claims, vectors, errors)
        self._note_failures([claim for claim in batch.claims if claim.content_hash in errors], errors, len(vectors))
        if self._after_batch:
            self._after_batch(landed)
        self._report(len(batch.claims))

    def _vectors(self, batch: _Batch) -> tuple[dict[str, NDArray[np.float32]], dict[str, EncoderError]]:
        """Return vectors and errors by content hash; no text is encoded twice, none whose vector exists."""
        texts = {claim.content_hash: batch.documents[claim.document_key].text for claim in batch.claims}
        vectors = self._backend.generations.with_hashes(self._generation, list(texts))
        wanted = [hash_ for hash_ in texts if hash_ not in vectors]
        outcomes = dict(zip(wanted, encode_each(self._encoder, [texts[hash_] for hash_ in wanted]), strict=True))
        errors = {hash_: outcome for hash_, outcome in outcomes.items() if isinstance(outcome, EncoderError)}
        vectors.update({hash_: row for hash_, row in outcomes.items() if not isinstance(row, EncoderError)})
        self._tally["embedded"] += len(outcomes) - len(errors)
        self._tally["reused"] += len(batch.claims) - len(outcomes)
        return vectors, errors

    def _write(
        self, claims: list[Claim], vectors: dict[str, NDArray[np.float32]], errors: dict[str, EncoderError]
    ) -> int:
        rows = Rows.of([claim.document_key for claim in claims], [claim.content_hash for claim in claims], vectors)
        failed = {claim: errors[claim.content_hash] for claim in claims if claim.content_hash in errors}
        return land(self._backend, self._generation, rows, failed=failed, owner=self._owner)

    def _note_failures(self, failed: list[Claim], errors: dict[str, EncoderError], succeeded: int) -> None:
        for claim in failed:
            _log.warning("document %d was not embedded: %s", claim.document_key, errors[claim.content_hash])
        self._tally["failed"] += len(failed)
        self._failed_in_a_row = 0 if succeeded else self._failed_in_a_row + len(failed)
        if self._failed_in_a_row >= FAILURES_IN_A_ROW:
            raise EncoderError(
                f"{self._failed_in_a_row} documents in a row could not be embedded, the last one because of: "
                f"{errors[failed[-1].content_hash]}; repair the encoder, then run again"
            )

    def _yield_to_limit(self, claims: list[Claim], error: RateLimitedError) -> None:
        seconds = _RATE_LIMIT_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        _log.info("the embedding service asks to wait %.1f s", seconds)
        self._backend.ledger.jobs.postpone(claims, self._owner, seconds)
        self._stop.wait(seconds)

    def _report(self, processed: int) -> None:
        self._meter.add(processed)
        if self._on_progress is None:
            return
        self._recount(processed)
        self._on_progress(self._meter.progress(self._documents, self._counts))

    def _recount(self, processed: int) -> None:
        """Count the jobs, or, where that takes a while, add what this worker did since it counted last."""
        began = time.monotonic()
        if began < self._recount_at:
            self._counts = replace(self._counts, pending=max(0, self._counts.pending - processed))
            return
        with self._backend.snapshot():
            self._documents = self._backend.documents.count()
            self._counts = self._backend.ledger.jobs.counts(self._generation)
        self._recount_at = began + (time.monotonic() - began) / _COUNTING_SHARE


class _Heartbeat:
    """Renews the leases of an owner from a thread of its own, for as long as the ``with`` block runs."""

    def __init__(self, jobs: Jobs, owner: str, lease_seconds: float) -> None:
        self._jobs, self._owner, self._lease_seconds = jobs, owner, lease_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="revector-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._lease_seconds / 3):
            with suppress(StoreError):  # a missed beat costs a lease at worst, which is harmless; the next one may work
                self._jobs.extend(self._owner, self._lease_seconds)
