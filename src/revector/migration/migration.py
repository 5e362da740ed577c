"""A migration as its user holds it: the verbs, in transactions that are short whatever the size of the collection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from revector._arguments import flag, function, number, share, shown, strings, whole_number
from revector.backends.contracts import Backend
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.batching import required_batch_service
from revector.errors import InvalidArgumentError, MigrationError
from revector.evaluation.verify import Verification
from revector.ledger.state import Phase, before_work, require_transition
from revector.migration.asking import ask_for_all
from revector.migration.batches.cancelling import cancel_batch_jobs
from revector.migration.batches.jobs import BatchJob, BatchJobs
from revector.migration.cut_off import write_down_cut_off
from revector.migration.ending import Ending
from revector.migration.filling.crew import Crew, require_several_machines
from revector.migration.filling.filling import RUNS_IN, OnProgress, source_of, target_of
from revector.migration.filling.worker import WorkerReport
from revector.migration.foresight import Foreseer, Foresight, Options
from revector.migration.gates import (
    pass_gates,
    verification_reasons,
)
from revector.migration.inputs import rehash
from revector.migration.insurance import put_aside
from revector.migration.parity import compared
from revector.migration.planning import Given, going_on, planned, require_version
from revector.migration.rolling import (
    RolloutStatus,
    begun,
    following,
    keep_stage,
    newly_held,
    rollout_of,
    status_of_rollout,
)
from revector.migration.scales import keep_scale
from revector.migration.schedule import Schedule, deadline_of, keep_schedule, planned_by
from revector.migration.serving import ServingReader, stage_of
from revector.migration.shadowed import Shadowed, shadowed_of
from revector.migration.slices import in_slices
from revector.migration.strategies import (
    Strategy,
    chosen_strategies,
)
from revector.migration.throttle import begin_throttle
from revector.migration.verification import VerificationResult
from revector.planning.probe import encoder_rate

_STARTED = (Phase.FILLING, Phase.PROVING)
_VERIFIES_IN = (Phase.PROVING, Phase.SERVING)
_log = logging.getLogger(__name__)


class Migration(Ending):
    """The move of one collection from the space it has to another. Get one by `plan` or `active`.

    Parameters
    ----------
    backend : Backend
        Where the collection and the truth about its migrations are.
    migration_id : int
        Which migration.
    encoders : EncoderSet
        Encoders at hand.
    strategies : sequence of Strategy, optional
        With a priority rule that the ledger cannot keep; by default what the ledger kept.
    verifier : callable, optional
        Compares a generation with what its model gives now; default: `revector.evaluation.verify.verify`.
    fit : callable
        Fits the map between the spaces.
    calls : mapping of str to callable, optional
        Functions of this process that bring dependents up to date, by their names.
    """

    @classmethod
    def plan(
        cls,
        backend: Backend,
        new_encoder: TextEncoder,
        strategy: Strategy | Sequence[Strategy] | None = None,
        retention_seconds: float | None = None,
        *,
        encoders: EncoderSet | None = None,
        **options: Any,
    ) -> Migration:
        """Accept a migration; nothing else is written. One to the same space that is not over yet goes on.

        Parameters
        ----------
        backend : Backend
            The collection.
        new_encoder : TextEncoder
            Of the space to move to.
        strategy : Strategy, or sequence of Strategy, optional
            How to get there; several are asked in their order. Of a migration that goes on: replaces what the ledger
            kept; a priority rule does its work at `start` only.
        retention_seconds : float, optional
            How long the old generation is kept after the cut-over: seven days, or what the ledger kept.
        encoders : EncoderSet, optional
            Other encoders at hand, the present one's above all.
        **options
            Passed on to the constructor.

        Raises
        ------
        LedgerConflictError
            The collection has a migration to another space that is not retired.
        MigrationError
            The collection is in that space already.
        """
        backend.require_writable()
        space = space_of(new_encoder, "new_encoder")  # before the transaction: a service is asked for it
        strategies = None if strategy is None else chosen_strategies(strategy)
        if retention_seconds is not None:
            retention_seconds = number(retention_seconds, "retention_seconds", least=0)
        encoders = encoders or EncoderSet()
        encoders.add(new_encoder)
        given = Given(space, encoders.written(new_encoder), strategies, retention_seconds)
        write_down_cut_off(backend)
        with backend.exclusive():  # two that plan the same at once plan it together
            record = going_on(backend, given) or planned(backend, given)
        return cls(backend, record.id, encoders, strategies=strategies, **options)

    @classmethod
    def active(cls, backend: Backend, encoders: EncoderSet, **options: Any) -> Migration | None:
        """Return the collection's migration that is not retired, or ``None``."""
        write_down_cut_off(backend)
        record = backend.ledger.active(backend.alias)
        return None if record is None else cls(backend, record.id, encoders, **options)

    def start(self) -> None:
        """Create the new generation, let writes go to both from now on, and ask for the vectors of older documents.

        After a rollback, fill the generation that was kept. A start that was cut off goes on where it was; one that was
        not, and does not serve yet, stays as it is.

        Raises
        ------
        IllegalTransitionError
            The migration serves already, or is over.
        StaleAliasError
            Somebody else moved the alias since the plan.
        """
        self._backend.require_writable()
        before = self.phase
        if before not in _STARTED:
            require_transition(before, Phase.FILLING)
        turns = self._turns()
        if before not in _STARTED:
            for fact in self._backend.documents.facts(limit=1):  # a rule that cannot work is refused before anything
                turns.priority(fact)
            rehash(self._backend, ServingReader(self._backend).read().fields)
            self._begin()
        ask_for_all(self._backend, self._id, turns)

    def _begin(self) -> None:
        """Let there be a generation that writes go to; its older vectors are asked for afterwards, slice by slice."""
        with self._backend.exclusive():
            record = self.record
            if record.phase in _STARTED:  # by another process, in the meantime
                return
            require_transition(record.phase, Phase.FILLING)
            require_version(self._backend, record)
            target = record.target_generation
            if target is None:
                begin_throttle(self._backend, self._id, self._work().limits)
                wanted = (record.target_space, record.target_encoder_source)
                target = (put_aside(self._backend, *wanted) or self._backend.generations.create(*wanted)).id
            self._backend.ledger.advance(self._id, Phase.FILLING, "start", target_generation=target, verification=None)
            self._backend.ledger.set_asked_through(self._id, 0)

    def schedule(self, deadline: str | date) -> Schedule:
        """Plan the workers for a date by which all documents have to be moved, and let `status` tell of it.

        The new model embeds 65 documents, drawn at random, to see how fast it is.

        Parameters
        ----------
        deadline : str, date or datetime
            In ISO 8601, local unless it says otherwise. A date alone is its first moment.

        Returns
        -------
        Schedule
            What it takes. Nothing is limited or started by it.

        Raises
        ------
        MigrationError
            The migration has not been started.
        EncoderError
            The new model is not at hand, or cannot embed any of the sample.
        """
        moment, record = deadline_of(deadline), self.record
        self._backend.require_writable()
        target = target_of(self._backend, record)
        encoder = self._encoders.require(target, purpose="measuring how fast it is")
        rate = encoder_rate(self._backend, encoder)
        schedule = planned_by(moment, self.status().left, rate, self.throttle())
        keep_schedule(self._backend, self._id, schedule)
        return schedule

    def run(
        self,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
        *,
        batch_jobs: BatchJobs | None = None,
        crew: Crew | None = None,
    ) -> WorkerReport:
        """Re-embed until nothing is left to do; when the new generation is full, go on to PROVING.

        May run in several processes at once. In later phases it catches up with writes that lacked an encoder.

        Parameters
        ----------
        on_progress : callable, optional
            Called with `Progress` after each batch.
        stop : threading.Event, optional
            Ends the run after the batch in hand. So do pause() and rollback(), from any process.
        batch_jobs : BatchJobs, optional
            Fill the new generation by the batch jobs of its model's service, which take up to a day each and cost half.
            A run that is ended, or killed, leaves them out, and the next one with `batch_jobs` goes on with them.
        crew : Crew, optional
            Embeds in place of this process, which needs no model then but for writes that lack the old one's vector:
            `revector.distributed.ray.RayCrew`.

        Raises
        ------
        MigrationError
            The migration is paused, or in a phase without work, or another process is at its batch jobs; a crew cannot
            open the collection.
        EncoderError
            The new model is not at hand, or refuses to go on.
        InvalidArgumentError
            There shall be batch jobs, and the new model is not one of a service that has them.
        """
        if on_progress is not None:
            function(on_progress, "on_progress")
        if stop is not None and not (hasattr(stop, "is_set") and hasattr(stop, "wait")):
            raise InvalidArgumentError(f"stop is {shown(stop)}, expected a threading.Event")
        if batch_jobs is not None and not isinstance(batch_jobs, BatchJobs):
            raise InvalidArgumentError(f"batch_jobs is {shown(batch_jobs)}, expected BatchJobs()")
        self._backend.require_writable()
        if crew is not None:
            if batch_jobs is not None:
                raise InvalidArgumentError("a crew embeds, and batch jobs let a service do so; give one of them")
            require_several_machines(self._backend)
        record = self.record
        if record.phase not in RUNS_IN:
            raise MigrationError(f"the migration is {record.phase} and has no work; {before_work(record.phase, 'run')}")
        if record.paused:
            raise MigrationError("the migration is paused; call resume() first")
        stop, source = stop or threading.Event(), source_of(self._backend, record)
        in_slices(self._backend.recapture, stop)
        ask_for_all(self._backend, self._id, self._turns(), stop)  # where a start was cut off
        report = self._filling.fill_target(on_progress, stop, batch_jobs=batch_jobs, crew=crew)
        report += self._filling.catch_up(source, stop, throttled=True)
        in_slices(self._backend.reclaim, stop)  # where a retire was cut off
        return report

    def cancel_batch_jobs(self) -> list[BatchJob]:
        """Call off the batch jobs that have not ended; return all of them as they are now.

        What a job had done by then is charged, and lands with the next run with batch jobs; the others of its documents
        are free then.

        Raises
        ------
        MigrationError
            The migration has not been started, or a run is at its batch jobs: end it first.
        EncoderError
            The new model is not at hand, or its service does not answer.
        InvalidArgumentError
            The new model is not one of a service that has them.
        """
        self._backend.require_writable()
        target = target_of(self._backend, self.record)
        encoder = self._encoders.require(target, purpose="calling batch jobs off")
        return cancel_batch_jobs(self._backend, required_batch_service(encoder), target.id)

    def work_along(self, stop: threading.Event) -> WorkerReport:
        """Embed as one worker of many, until nothing is outstanding; whoever called `run` with a crew does the rest.

        Raises
        ------
        EncoderError
            The new model is not at hand, or refuses to go on.
        """
        return self._filling.work_along(stop)

    def verify(self, *, sample: int = 200, seed: int = 0, fields: Sequence[str] | None = None) -> VerificationResult:
        """Compare the new generation with what its model gives now; `cutover` wants this to have passed.

        Writes of the last moments that lack their new vector (begun before `start`, say, and committed behind `run`)
        are embedded first, if the model is at hand. The index of the new generation is built, so that it is verified,
        too, and ready for the cut-over; the result's details say of how many vectors (`index_built`) and how long it
        took (`index_seconds`).

        Parameters
        ----------
        sample : int
            Documents to embed again.
        seed : int
            Of the sample.
        fields : sequence of str, optional
            Fields of the metadata by whose values documents are counted in both generations, here and at the cut-over;
            by default those that have few values.

        Raises
        ------
        MigrationError
            The new generation is not filled.
        """
        sample, seed = whole_number(sample, "sample", least=0), whole_number(seed, "seed", least=0)
        fields = None if fields is None else strings(fields, "fields")
        self._backend.require_writable()
        record = self.record
        if record.phase not in _VERIFIES_IN:
            reason = f"the migration is {record.phase}, so that there is nothing to verify"
            raise MigrationError(f"{reason}; {before_work(record.phase, 'verify')}")
        target = target_of(self._backend, record)
        encoder = self._encoders.require(target, purpose="verification")
        in_slices(self._backend.recapture)
        gone = self._filling.carry_over()
        prepared = self._backend.index.prepare(target)
        keep_scale(self._backend, self._encoders, source_of(self._backend, record), target)
        self._filling.catch_up(target)  # last, as little as may be should land between this and the count
        seq = self._backend.generations.last_seq()
        result = self._verifier(
            self._backend,
            record.source_generation,
            target.id,
            encoder,
            sample=sample,
            seed=seed,
            known_failures=self._backend.ledger.jobs.counts(target.id).failed,
        )
        parity = compared(self._backend, source_of(self._backend, record), target, fields)
        reasons = (*result.reasons, *parity.reasons)
        built = {"index_built": prepared.built, "index_seconds": prepared.seconds}
        details = {**result.details, **parity.details, "found_without_text": gone, **built}
        passed = result.passed and not parity.reasons
        outcome = {"passed": passed, "reasons": list(reasons), "seq": seq, "at": time.time(), "fields": fields}
        self._backend.ledger.note(self._id, "verify", {**outcome, "details": details}, verification=outcome)
        return Verification(passed, reasons, details)

    def roll_out(self, *, to: float | None = None) -> RolloutStatus:
        """Begin to show the new model's answers to readers, as the `Rollout` among the strategies says.

        What follows is taken by itself, in the processes that search with a ``key``: the next share, or the stop and
        the rollback. Once all readers have been in the new arm, `cutover` is allowed.

        Parameters
        ----------
        to : float, optional
            Share of the readers to go on to at once, whatever was seen so far.

        Raises
        ------
        MigrationError
            There is no rollout among the strategies, or the new generation is not filled.
        GateRefusedError
            No verification passed, or it is out of date.
        """
        to = None if to is None else share(to, "to")
        self._backend.require_writable()
        record, rollout = self.record, rollout_of(self._strategies)
        if record.phase is not Phase.PROVING:
            raise MigrationError(f"the migration is {record.phase}; a rollout begins once run() has filled it")
        before = stage_of(self._backend, self._id)
        if before is None or before.stopped or to is not None:
            vectors = self._backend.generations.count(target_of(self._backend, record).id)
            pass_gates("rollout", verification_reasons(self._backend, record, vectors=vectors))
            keep_stage(self._backend, self._id, before, begun(rollout, to))
        status = self.rollout
        assert status is not None
        return status

    @property
    def rollout(self) -> RolloutStatus | None:
        """Where the rollout stands, and what was seen of its present step; ``None`` if it has not begun."""
        return status_of_rollout(self._backend, self._id, rollout_of(self._strategies))

    @property
    def shadowed(self) -> Shadowed:
        """What was seen of the searches that both generations have answered behind their readers; see `Shadow`."""
        return shadowed_of(self._backend, self._id)

    def judge(self) -> None:
        """Take the step of the rollout that follows from what was seen: the next share, or a stop and the rollback.

        Processes that search do so by themselves.
        """
        record = self.record
        if record.phase is not Phase.PROVING:
            return
        rollout = rollout_of(self._strategies)
        status = status_of_rollout(self._backend, self._id, rollout)
        if status is not None and (held := newly_held(self._backend, self._id, rollout, status.stage)):
            _log.warning("the rollout of migration %d goes on without %s", self._id, ", ".join(map(repr, held)))
            keep_stage(self._backend, self._id, status.stage, replace(status.stage, held=(*status.stage.held, *held)))
            return
        after = None if status is None else following(rollout, status)
        if status is None or after is None or not keep_stage(self._backend, self._id, status.stage, after):
            return
        if after.stopped:
            _log.warning("the rollout of migration %d was stopped: %s", self._id, after.reason)
            self.rollback(accept_failed=True)

    def foresee(self, verb: str, **said: bool) -> Foresight:
        """Return what a verb would do now, and what would refuse it. Nothing is written.

        Parameters
        ----------
        verb : str
            ``"start"``, ``"run"``, ``"verify"``, ``"cutover"``, ``"rollback"``, ``"retire"``, ``"pause"``,
            ``"resume"`` or ``"retry"``.
        **said
            What the verb would be told: `accept_failed`, `confirm`, `force`.
        """
        if unknown := said.keys() - vars(Options()).keys():
            raise InvalidArgumentError(f"{min(unknown)!r} is not an option; there are accept_failed, confirm, force")
        options = Options(**{name: flag(value, name) for name, value in said.items()})
        return Foreseer(self._backend, self.record, self._encoders, self._strategies).foresee(verb, options)
