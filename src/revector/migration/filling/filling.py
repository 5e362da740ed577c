"""Bringing the two generations of a migration up to date: the new one while it fills, the old one before a rollback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.batching import BatchService, required_batch_service
from revector.errors import MigrationError
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase
from revector.migration.asking import is_asking, reconcile
from revector.migration.batches.filler import BatchFiller
from revector.migration.batches.jobs import BatchJobs, free_left_over
from revector.migration.canaries import require_same_model
from revector.migration.carrying import carry_over
from revector.migration.filling.bridge import BridgeKeeper, Fit
from revector.migration.filling.crew import Crew, Overseer
from revector.migration.filling.progress import Progress
from revector.migration.filling.worker import Worker, WorkerReport
from revector.migration.filling.worst_first import put_worst_first
from revector.migration.gates import remainder
from revector.migration.patience import patient
from revector.migration.strategies.base import Work
from revector.migration.throttle import Throttle, read_throttle

RUNS_IN = (Phase.FILLING, Phase.PROVING, Phase.SERVING)

OnProgress = Callable[[Progress], None]


def source_of(backend: Backend, record: MigrationRecord) -> Generation:
    """Return the old generation."""
    return backend.generations.get(record.source_generation)


def target_of(backend: Backend, record: MigrationRecord) -> Generation:
    """Return the new generation; raise `MigrationError` if the migration has none yet."""
    if record.target_generation is None:
        raise MigrationError(f"the migration is {record.phase} and has no new generation yet; call start() first")
    return backend.generations.get(record.target_generation)


class Filling:
    """Runs workers on the generations of one migration.

    Parameters
    ----------
    backend, encoders
        As for `Migration`.
    migration_id : int
        Which migration.
    work : callable
        Says what the workers do.
    fit : callable
        Fits the map between the spaces.
    """

    def __init__(
        self, backend: Backend, migration_id: int, encoders: EncoderSet, work: Callable[[], Work], fit: Fit
    ) -> None:
        self._backend, self._id = backend, migration_id
        self._encoders, self._work, self._fit = encoders, work, fit

    def fill_target(
        self,
        on_progress: OnProgress | None,
        stop: threading.Event,
        *,
        batch_jobs: BatchJobs | None = None,
        crew: Crew | None = None,
    ) -> WorkerReport:
        """Work until the new generation is full, or let a crew do so, then go on to PROVING; batch jobs come first.

        Raises
        ------
        InvalidArgumentError
            There shall be batch jobs, and the new model is not one of a service that has them.
        """
        record, report = patient(self._backend.ledger.record)(self._id), WorkerReport(0, 0, 0, 0.0)
        target = patient(target_of)(self._backend, record)
        work, service = patient(self._work)(), None if batch_jobs is None else self._batch_service(target)
        source = record.source_generation if work.derived else None
        with self._bridge_of(record, target, work) as keeper:
            if batch_jobs is None or service is None:
                patient(free_left_over)(self._backend, target.id)
            elif self._goes_on(stop):
                report = BatchFiller(
                    self._backend,
                    service,
                    target.id,
                    batch_jobs,
                    source=source,
                    on_progress=on_progress,
                    may_run=self._may_run,
                    throttle=self._throttle,
                    on_landed=keeper.landed,
                ).run(stop)
                if not batch_jobs.online and patient(self._waits)(target.id):
                    return report
            if crew is None:
                works = self._worker(target, work, source, keeper, on_progress).run
            else:
                works = partial(crew.run, Overseer(self._backend, target.id, on_progress).look)
            report += works(stop=stop)
            if self._goes_on(stop):
                patient(reconcile)(self._backend, target.id)  # once: whatever is written from now on is asked for
            began = time.monotonic()
            while self._goes_on(stop):
                report += works(stop=stop)
                if self._prove(target.id, began):
                    keeper.filled()
        return report

    def work_along(self, stop: threading.Event) -> WorkerReport:
        """Work as one of a crew, until no job is outstanding; whoever has the crew takes the step to PROVING."""
        record = patient(self._backend.ledger.record)(self._id)
        target = patient(target_of)(self._backend, record)
        work = patient(self._work)()
        source = record.source_generation if work.derived else None
        with self._bridge_of(record, target, work) as keeper:
            return self._worker(target, work, source, keeper, None).run(stop=stop)

    def _bridge_of(self, record: MigrationRecord, target: Generation, work: Work) -> BridgeKeeper:
        reorder = put_worst_first if work.worst_first else None
        return patient(BridgeKeeper)(self._backend, record.source_generation, target.id, self._fit, reorder)

    def _batch_service(self, target: Generation) -> BatchService:
        encoder = self._encoders.require(target, purpose="filling the new generation")
        service = required_batch_service(encoder)
        patient(require_same_model)(self._backend, self._encoders, target, encoder)
        return service

    def _worker(
        self,
        target: Generation,
        work: Work,
        source: int | None,
        keeper: BridgeKeeper,
        on_progress: OnProgress | None,
    ) -> Worker:
        """Return a worker on the new generation, with its model."""
        encoder = self._encoders.require(target, purpose="filling the new generation")
        patient(require_same_model)(self._backend, self._encoders, target, encoder)
        return patient(Worker)(
            self._backend,
            encoder,
            target.id,
            batch=work.batch,
            lease_seconds=work.lease_seconds,
            share=work.share,
            source=source,
            on_progress=on_progress,
            may_run=self._may_run,
            throttle=self._throttle,
            on_landed=keeper.landed,
        )

    def catch_up(
        self, generation: Generation, stop: threading.Event | None = None, *, throttled: bool = False
    ) -> WorkerReport:
        """Embed what was written without a generation's model, if that model is at hand."""
        if not patient(self._waits)(generation.id) or (encoder := self._encoders.find(generation)) is None:
            return WorkerReport(0, 0, 0, 0.0)
        patient(require_same_model)(self._backend, self._encoders, generation, encoder)
        worker = patient(Worker)(
            self._backend,
            encoder,
            generation.id,
            batch=patient(self._work)().batch,
            may_run=self._may_run,
            throttle=self._throttle if throttled else None,
        )
        return worker.run(stop=stop)

    def carry_over(self) -> int:
        """Let documents whose text is gone be found in the new generation; return how many."""
        record = self._backend.ledger.record(self._id)
        return carry_over(self._backend, source_of(self._backend, record), target_of(self._backend, record), self._fit)

    def complete_source(self) -> None:
        """Embed what was asked for and written without the old model; raise `EncoderError` if it is not at hand."""
        source = source_of(self._backend, self._backend.ledger.record(self._id))
        if not self._waits(source.id):
            return
        waiting = self._backend.ledger.jobs.counts(source.id).outstanding
        encoder = self._encoders.require(source, purpose=f"rollback: {waiting} documents were written without it, and")
        Worker(self._backend, encoder, source.id, batch=self._work().batch).run()

    def _throttle(self) -> Throttle:
        return read_throttle(self._backend, self._id)

    @patient
    def _may_run(self) -> bool:
        record = self._backend.ledger.record(self._id)
        return record.phase in RUNS_IN and not record.paused

    @patient
    def _goes_on(self, stop: threading.Event) -> bool:
        return not stop.is_set() and self._may_run() and self._is_filling()

    def _is_filling(self) -> bool:
        """Tell whether the new generation goes on to PROVING once it is full."""
        is_filling = self._backend.ledger.record(self._id).phase is Phase.FILLING
        return is_filling and not is_asking(self._backend, self._id)

    def _waits(self, generation: int) -> bool:
        """Tell whether a job is outstanding, without counting them."""
        return self._backend.ledger.jobs.seconds_until_due(generation) is not None

    @patient
    def _prove(self, target: int, began: float) -> bool:
        """Go on to PROVING if the generation, looked through before, is still full; tell whether this call did."""
        few = remainder(self._backend, target, began)
        with self._backend.exclusive():
            counts = self._backend.ledger.jobs.counts(target)
            if not self._is_filling() or counts.outstanding > few:
                return False
            self._backend.ledger.advance(self._id, Phase.PROVING, "filled", {"failed": counts.failed})
            return True
