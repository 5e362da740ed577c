"""Calling batch jobs off."""

from __future__ import annotations

import threading
from dataclasses import replace

from revector.backends.contracts import Backend
from revector.encoders.batching import BatchService
from revector.migration.batches.book import BatchTurn
from revector.migration.batches.jobs import BatchJob, BatchStage, batch_jobs_of, drop_batch_job, keep_batch_job

__all__ = ["cancel_batch_jobs"]


def cancel_batch_jobs(backend: Backend, service: BatchService, generation: int) -> list[BatchJob]:
    """Call off the jobs of a generation that have not ended; return all of them as they are now.

    What a job had done by then is charged: the next run with batch jobs lands it. What the service does not have is
    given back at once.

    Raises
    ------
    MigrationError
        A run is at them: end it first.
    ServiceError, RateLimitedError
        The service does not answer, or refuses.
    """
    stop = threading.Event()
    with BatchTurn(backend, generation):
        for job in batch_jobs_of(backend, generation):
            if job.stage is BatchStage.BEGINNING and (state := service.find(job.handle, stop)) is not None:
                _cancel(backend, service, replace(job, id=state.id, stage=BatchStage.OUT), stop)
            elif job.stage is BatchStage.OUT:
                _cancel(backend, service, job, stop)
            elif job.stage is not BatchStage.ENDED:
                drop_batch_job(backend, job)
    return batch_jobs_of(backend, generation)


def _cancel(backend: Backend, service: BatchService, job: BatchJob, stop: threading.Event) -> None:
    state = service.cancel(job.id, stop)
    if state is None:  # the service has forgotten it
        drop_batch_job(backend, job)
    else:
        keep_batch_job(backend, replace(job, status=state.status, completed=state.completed, failed=state.failed))
