"""Where a migration stands, for people and programs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from revector._display import fields_as_html, fields_as_text
from revector.backends.contracts import Backend
from revector.errors import ChangedTableError, ReadOnlyError
from revector.ledger.jobs import JobCounts
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase
from revector.migration.batches.jobs import BatchJob, BatchStage, batch_jobs_of
from revector.migration.dependents import Dependent, dependents
from revector.migration.gates import retention_ends
from revector.migration.schedule import Schedule, read_schedule
from revector.migration.signs import WorkerSign, pace_of, spend_cap_of, spent_on, workers
from revector.migration.throttle import NO_LIMITS, Throttle, read_throttle
from revector.planning.cost import PLAN_NOTE
from revector.spaces import EmbeddingSpace

MEANING: MappingProxyType[Phase, str] = MappingProxyType(
    {
        Phase.PLANNED: "nothing is written yet",
        Phase.FILLING: "documents move; searches use what has moved",
        Phase.PROVING: "all documents have moved; the old model serves until the cut-over",
        Phase.SERVING: "the new model serves; the old vectors are kept up to date",
        Phase.ROLLED_BACK: "the old model serves; the new vectors are kept",
        Phase.RETIRED: "the migration is over",
    }
)
"""What each phase means, for people."""


@dataclass(frozen=True)
class MigrationStatus:
    """A migration at one moment.

    Attributes
    ----------
    documents : int
        In the collection.
    moved : int
        Documents that the new generation holds.
    target_jobs, source_jobs : JobCounts
        Work on the new and on the old generation. The old one has jobs for writes that lacked its model.
    verification : dict or None
        Outcome of the last one.
    retention_ends : float or None
        When the old generation may be retired, in seconds since the epoch.
    obstacle : str
        What keeps it from going on, and what to do about that; empty where nothing does.
    throttle : Throttle
        What limits its workers.
    workers : tuple of WorkerSign
        Those that are at work, or wait.
    dependents : tuple of Dependent
        What hangs on the vectors of the collection, and whether it is up to date.
    schedule : Schedule or None
        What was planned for a date, if there is one.
    spent : float
        Money that services have taken from its workers, in the currency of their price.
    spend_cap : float or None
        The most that each of them may spend, as the last one said; ``None`` without a cap.
    batch_jobs : tuple of BatchJob
        Those that are sent, or out.
    plan : dict or None
        What `Collection.plan` has measured for this space, as `Plan.to_json` has it.
    """

    id: int
    alias: str
    phase: Phase
    paused: bool
    source_generation: int
    target_generation: int | None
    serving_generation: int
    target_space: EmbeddingSpace
    documents: int
    moved: int
    target_jobs: JobCounts
    source_jobs: JobCounts
    verification: dict[str, Any] | None
    retention_ends: float | None
    obstacle: str = ""
    throttle: Throttle = NO_LIMITS
    workers: tuple[WorkerSign, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    schedule: Schedule | None = None
    spent: float = 0.0
    spend_cap: float | None = None
    batch_jobs: tuple[BatchJob, ...] = ()
    plan: dict[str, Any] | None = None

    @property
    def share(self) -> float:
        """Part of the documents that the new generation holds of those that it can hold.

        0 before the start, 1 of an empty collection. What could not be embedded is left out: `Migration.failures`
        lists it.
        """
        if self.target_generation is None:
            return 0.0
        possible = self.documents - self.target_jobs.failed
        return min(1.0, self.moved / possible) if possible else 1.0

    @property
    def left(self) -> int:
        """Documents that can be moved and have not been."""
        return max(0, self.documents - self.target_jobs.failed - self.moved)

    @property
    def documents_per_second(self) -> float:
        """How fast it goes now, by all workers together; 0 where nobody works on it."""
        return sum(worker.documents_per_second or 0.0 for worker in self.workers)

    @property
    def seconds_left(self) -> float | None:
        """Until all documents have moved, at the present rate; ``None`` where there is no rate or nothing to do."""
        rate = self.documents_per_second
        return self.left / rate if rate and self.left else None

    @property
    def money(self) -> str:
        """What services have cost so far, and what a run may cost; empty where there is neither."""
        cap = "" if self.spend_cap is None else f"the cap of a run is {self.spend_cap:,.2f}"
        spent = f"{self.spent:,.2f}" if self.spent or cap else ""
        return "; ".join(filter(None, [spent, cap]))

    @property
    def outlook(self) -> str:
        """Whether the date will be met; empty where there is none."""
        if self.schedule is None or self.phase not in (Phase.PLANNED, Phase.FILLING, Phase.PROVING):
            return ""
        return self.schedule.outlook(self.left, self.documents_per_second or None)

    @property
    def pace(self) -> str:
        """How fast it goes now, and why; empty where there is nothing to do."""
        if self.paused:
            return "paused"
        outstanding = self.target_jobs.outstanding + self.source_jobs.outstanding
        return pace_of(self.workers) or ("nobody works on it" if outstanding else "")

    def to_json(self) -> dict[str, Any]:
        """Return the fields, the share and the pace, as plain JSON types."""
        worked_out = {"phase": self.phase.value, "share": self.share, "pace": self.pace, "outlook": self.outlook}
        return {**asdict(self), **worked_out, "throttle": self.throttle.to_json()}

    def rows(self) -> dict[str, str]:
        """Return it as people read it, by subject; what there is nothing to say about is left out."""
        verification, ends = self.verification, self.retention_ends
        found = {
            "phase": f"{self.phase}: {'paused; ' if self.paused else ''}{MEANING[self.phase]}",
            "moving to": str(self.target_space),
            "documents": f"{self.documents:,}",
            "moved": f"{self.moved:,} ({self.share:.0%})",
            "pace": self.pace,
            "spent": self.money,
            "batch jobs": "\n".join(map(str, self.batch_jobs)),
            "deadline": self.outlook,
            "limits": "" if self.throttle == NO_LIMITS else str(self.throttle),
            "verified": "" if verification is None else "; ".join(verification["reasons"]) or "passed",
            "old kept until": "" if ends is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(ends)),
            "dependents": "\n".join(map(str, self.dependents)),
            "in the way": self.obstacle,
        }
        return {name: value for name, value in found.items() if value}

    def __str__(self) -> str:
        """Return it in lines."""
        return fields_as_text(self.rows())

    def _repr_html_(self) -> str:
        return fields_as_html(self.rows(), f"migration {self.id} of {self.alias}")


@dataclass(frozen=True)
class FailedDocument:
    """A document that could not be embedded, and why."""

    id: str
    attempts: int
    error: str


def status_of(backend: Backend, record: MigrationRecord) -> MigrationStatus:
    """Return where a migration stands."""
    target = record.target_generation
    with backend.snapshot():
        documents = backend.documents.count()
        jobs = JobCounts() if target is None else backend.ledger.jobs.counts(target)
        return MigrationStatus(
            id=record.id,
            alias=record.alias,
            phase=record.phase,
            paused=record.paused,
            source_generation=record.source_generation,
            target_generation=target,
            serving_generation=record.serving_generation,
            target_space=record.target_space,
            documents=documents,
            moved=_moved(backend, record, documents - jobs.total),
            target_jobs=jobs,
            source_jobs=backend.ledger.jobs.counts(record.source_generation),
            verification=record.verification,
            retention_ends=retention_ends(record),
            obstacle=obstacle_of(backend),
            throttle=read_throttle(backend, record.id),
            workers=(*workers(backend, target), *workers(backend, record.source_generation)),
            dependents=tuple(dependents(backend)),
            schedule=read_schedule(backend, record.id),
            spent=0.0 if target is None else spent_on(backend, target),
            spend_cap=None if target is None else spend_cap_of(backend, target),
            batch_jobs=() if target is None else _under_way(backend, target),
            plan=_plan_for(backend, record.target_space),
        )


def _under_way(backend: Backend, generation: int) -> tuple[BatchJob, ...]:
    """Return the batch jobs that have not ended."""
    return tuple(job for job in batch_jobs_of(backend, generation) if job.stage is not BatchStage.ENDED)


def _plan_for(backend: Backend, space: EmbeddingSpace) -> dict[str, Any] | None:
    """Return the last plan, if it is for this space."""
    kept: dict[str, Any] | None = backend.ledger.notes.get(PLAN_NOTE)
    return kept if kept is not None and kept.get("target_fingerprint") == space.fingerprint else None


def obstacle_of(backend: Backend) -> str:
    """Return what keeps a collection from being moved, as long as it is so; empty where nothing does."""
    try:
        backend.require_writable()
    except ChangedTableError as error:
        return str(error)
    except ReadOnlyError:
        pass
    return ""


def _moved(backend: Backend, record: MigrationRecord, without_job: int) -> int:
    """Return how many documents the new generation holds: those that it has no job for, once all were asked for."""
    if record.target_generation is None:
        return 0
    if record.phase is Phase.RETIRED:  # the generation may be gone
        return without_job
    return min(without_job, backend.generations.count(record.target_generation))


def failed_documents(backend: Backend, generation: int | None) -> list[FailedDocument]:
    """List the documents of a generation that could not be embedded."""
    failures = {} if generation is None else {job.document_key: job for job in backend.ledger.jobs.failures(generation)}
    documents = backend.documents.by_key(list(failures))
    return [FailedDocument(d.id, failures[d.key].attempts, failures[d.key].error) for d in documents]
