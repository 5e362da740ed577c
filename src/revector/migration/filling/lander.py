"""The last stage of a worker: what was encoded lands from a thread of its own, while the next unit is encoded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from revector.backends.contracts import Backend
from revector.ledger.jobs import Claim, JobCounts
from revector.migration.filling.claims import Load
from revector.migration.filling.progress import Meter, Progress
from revector.migration.filling.pulse import Pulse
from revector.migration.filling.unit import UnitResult
from revector.migration.landing import Rows, land
from revector.migration.patience import patient
from revector.threads import return_freed_memory

MOST_WAITING = 8
"""Units that wait or land, at most: so many, and the one that is being encoded, are lost when a worker is killed."""
_TOGETHER_SECONDS = 0.1  # units that are quicker land together, half of those that may wait
MOST_NUMBERS = 1 << 19
"""Numbers of the vectors that land in one transaction (2 MiB); see also `Generations.rows_at_once`."""
_COUNTING_SHARE = 0.05  # of the time may go into counting jobs for the progress
_TRIM_EVERY_SECONDS = 1.0  # or what three stages free, each in a thread of its own, comes to 200 MB with a fast model


@dataclass(frozen=True)
class _Encoded:
    load: Load
    result: UnitResult

    @property
    def failed(self) -> dict[Claim, Exception]:
        errors = self.result.errors
        return {c: errors[c.content_hash] for c in self.load.claims if c.content_hash in errors} if errors else {}


class Lander:
    """Lands what one worker encodes; quick units, and what comes in during one transaction, together in the next.

    Parameters
    ----------
    backend : Backend
        Where to.
    generation : int
        Where the vectors belong.
    owner : str
        Who holds the claims.
    on_progress : callable, optional
        Called with `Progress` after each landing.
    on_landed : callable, optional
        Called with the number of vectors that landed, and the keys of the documents that they were made of.
    pulse : Pulse
        Is told how fast it goes.
    """

    def __init__(
        self,
        backend: Backend,
        generation: int,
        owner: str,
        on_progress: Callable[[Progress], None] | None,
        on_landed: Callable[[int, Sequence[int]], object] | None,
        pulse: Pulse,
    ) -> None:
        self._backend, self._generation, self._owner = backend, generation, owner
        self._on_progress, self._on_landed, self._pulse = on_progress, on_landed, pulse
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="revector-lander")
        self._waiting: deque[_Encoded] = deque()
        self._landings: deque[Future[int]] = deque()
        self._on_their_way, self._sent_at, self._trimmed_at = 0, 0.0, 0.0
        self._meter = Meter()
        self._documents, self._counts, self._recount_at = 0, JobCounts(), 0.0

    def __enter__(self) -> Lander:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Land what waits, whatever happened: it is paid for."""
        try:
            self.flush()
        except Exception:
            if error is None:
                raise
        finally:
            self._thread.shutdown()

    def add(self, load: Load, result: UnitResult) -> None:
        """Take what was encoded; wait while too much is on its way. Raises what a landing raised."""
        self._waiting.append(_Encoded(load, result))
        self._on_their_way += 1
        if 2 * len(self._waiting) >= MOST_WAITING or time.monotonic() - self._sent_at >= _TOGETHER_SECONDS:
            self._send()
        while self._landings and (self._landings[0].done() or self._on_their_way > MOST_WAITING):
            self._on_their_way -= self._landings.popleft().result()

    def flush(self) -> None:
        """Wait until everything has landed. Raises what a landing raised."""
        self._send()
        while self._landings:
            self._on_their_way -= self._landings.popleft().result()

    def _send(self) -> None:
        self._landings.append(self._thread.submit(self._land))
        self._sent_at = time.monotonic()

    def tell(self) -> None:
        """Report while nothing lands. Raises what a landing raised."""
        while self._landings and self._landings[0].done():
            self._on_their_way -= self._landings.popleft().result()
        if self._on_progress is not None and not self._landings:
            self._landings.append(self._thread.submit(self._report, 0))

    def report(self) -> None:
        """Count anew, and report."""
        self._recount_at = 0.0
        self._report(0)

    def _land(self) -> int:
        """Land all that waits, unless it has landed with what came before; return how many units."""
        encoded = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not encoded:
            return 0
        failed = {claim: error for each in encoded for claim, error in each.failed.items()}
        if failed:
            self._store(Rows.of([], [], {}), failed)
        rows = _joined([each.result.rows for each in encoded])
        for part in rows.parts(self._rows_a_transaction(rows.vectors.shape[1])) if len(rows) else ():
            landed = self._store(part)
            if self._on_landed is not None:
                self._on_landed(landed, part.keys.tolist())
        self._report(sum(len(each.load) for each in encoded))
        if time.monotonic() - self._trimmed_at >= _TRIM_EVERY_SECONDS:
            return_freed_memory()
            self._trimmed_at = time.monotonic()
        return len(encoded)

    @patient
    def _store(self, rows: Rows, failed: Mapping[Claim, Exception] | None = None) -> int:
        self._pulse.wants_lock(True)
        with self._backend.transaction():
            self._pulse.wants_lock(False)
            return land(self._backend, self._generation, rows, failed=failed, owner=self._owner)

    @patient
    def _rows_a_transaction(self, dimension: int) -> int:
        return max(1, min(self._backend.generations.rows_at_once(self._generation), MOST_NUMBERS // dimension))

    def _report(self, processed: int) -> int:
        """Say how far it is; return how many units have landed with it: none."""
        self._meter.add(processed)
        self._pulse.rate = self._meter.rate
        if self._on_progress is not None:
            self._recount(processed)
            self._on_progress(self._pulse.explained(self._meter.progress(self._documents, self._counts)))
        return 0

    @patient
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


def _joined(parts: list[Rows]) -> Rows:
    filled = [rows for rows in parts if len(rows)]
    if len(filled) < 2:
        return filled[0] if filled else parts[0]
    return Rows(
        np.concatenate([rows.keys for rows in filled]),
        [hash_ for rows in filled for hash_ in rows.hashes],
        np.concatenate([rows.vectors for rows in filled]),
    )
