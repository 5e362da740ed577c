"""A migration as its user holds it: the verbs, in transactions that are short whatever the size of the collection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from revector._arguments import flag, function, number, share, shown, strings, whole_number
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder, space_of
from revector.errors import GateRefusedError, InvalidArgumentError, MigrationError
from revector.evaluation.verify import Verification, verify
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase, before_work, require_transition
from revector.migration.asking import ask_for_all, reconcile
from revector.migration.cut_off import write_down_cut_off, write_down_cutover, write_down_rollback
from revector.migration.dependents import Call, Dependent, dependent_reasons, run_due
from revector.migration.filling.bridge import Fit, fit_bridge
from revector.migration.filling.filling import RUNS_IN, Filling, OnProgress, source_of, target_of
from revector.migration.filling.worker import WorkerReport
from revector.migration.foresight import Foreseer, Foresight, Options
from revector.migration.gates import (
    cutover_reasons,
    drains,
    pass_gates,
    remaining,
    retire_reasons,
    verification_reasons,
)
from revector.migration.hands import Hands
from revector.migration.inputs import rehash
from revector.migration.insurance import put_aside
from revector.migration.parity import compared
from revector.migration.patience import patient, while_busy
from revector.migration.planning import Given, going_on, planned, require_version
from revector.migration.postponing import Postponement, postponement, wait_while
from revector.migration.priorities import Turns
from revector.migration.rolling import (
    RolloutStatus,
    begun,
    following,
    keep_stage,
    newly_held,
    note_stage,
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
    chosen_work,
    strategies_from_json,
)
from revector.migration.strategies.base import Facts, Work
from revector.migration.throttle import begin_throttle
from revector.migration.verification import VerificationResult, Verifier
from revector.planning.probe import encoder_rate

_STARTED = (Phase.FILLING, Phase.PROVING)
_VERIFIES_IN = (Phase.PROVING, Phase.SERVING)
_log = logging.getLogger(__name__)


class Migration(Hands):
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

    def __init__(
        self,
        backend: Backend,
        migration_id: int,
        encoders: EncoderSet,
        *,
        strategies: Sequence[Strategy] | None = None,
        verifier: Verifier | None = None,
        fit: Fit = fit_bridge,
        calls: Mapping[str, Call] | None = None,
    ) -> None:
        super().__init__(backend, migration_id)
        self._encoders, self._calls = encoders, calls or {}
        self._verifier = verifier or verify
        self._strategies = strategies or strategies_from_json(self.record.strategy)
        self._filling = Filling(backend, migration_id, encoders, self._work, fit)

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

    # The verbs

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

    def _work(self) -> Work:
        record = self.record
        source = source_of(self._backend, record)
        return chosen_work(self._strategies, Facts(max(source.space.dimension, record.target_space.dimension)))

    def _turns(self) -> Turns:
        work = self._work()
        return Turns(self._backend, work.sample, work.seed, work.rule)

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

    def run(self, on_progress: OnProgress | None = None, stop: threading.Event | None = None) -> WorkerReport:
        """Re-embed until nothing is left to do; when the new generation is full, go on to PROVING.

        May run in several processes at once. In later phases it catches up with writes that lacked an encoder.

        Parameters
        ----------
        on_progress : callable, optional
            Called with `Progress` after each batch.
        stop : threading.Event, optional
            Ends the run after the batch in hand. So do pause() and rollback(), from any process.

        Raises
        ------
        MigrationError
            The migration is paused, or in a phase without work.
        EncoderError
            The new model is not at hand, or refuses to go on.
        """
        if on_progress is not None:
            function(on_progress, "on_progress")
        if stop is not None and not (hasattr(stop, "is_set") and hasattr(stop, "wait")):
            raise InvalidArgumentError(f"stop is {shown(stop)}, expected a threading.Event")
        self._backend.require_writable()
        record = self.record
        if record.phase not in RUNS_IN:
            raise MigrationError(f"the migration is {record.phase} and has no work; {before_work(record.phase, 'run')}")
        if record.paused:
            raise MigrationError("the migration is paused; call resume() first")
        stop, source = stop or threading.Event(), source_of(self._backend, record)
        in_slices(self._backend.recapture, stop)
        ask_for_all(self._backend, self._id, self._turns(), stop)  # where a start was cut off
        report = self._filling.fill_target(on_progress, stop)
        report += self._filling.catch_up(source, stop, throttled=True)
        in_slices(self._backend.reclaim, stop)  # where a retire was cut off
        return report

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

    def cutover(self, *, accept_failed: bool = False, postpone_until: Any = None) -> None:
        """Let readers see the new generation, from one moment to the next.

        Writes of the last moments that lack their new vector are embedded first, if the new model is at hand. Where
        there is always one, because others write faster than a text is embedded, up to 100 (or a thousandth) are left
        to the next worker after ten seconds of that. The index is brought up to date, so that the first search of a
        reader does not have to.

        Parameters
        ----------
        accept_failed : bool
            Go on without the documents that could not be embedded. Those whose text is gone are still found: by their
            old vector, carried over by the map between the spaces.
        postpone_until : str, Path, datetime or callable, optional
            Once everything is ready, wait for a time, for an executable to end with exit code 0, or for any other path
            to be gone; a function says why it waits, and nothing once it does not. What is written is embedded
            meanwhile.

        Raises
        ------
        GateRefusedError
            Documents without a new vector, an index that is not like the one that serves, no verification that passed,
            or one that is out of date, or dependents that are not up to date with the step before.
        StaleAliasError
            Somebody else moved the alias.
        """
        put_off = None if postpone_until is None else postponement(postpone_until)
        if self._cut_over(flag(accept_failed, "accept_failed"), put_off):
            self.run_dependents()

    def _cut_over(self, accept_failed: bool, put_off: Postponement | None) -> bool:
        """Take the step; tell whether dependents are due by it."""
        self._backend.require_writable()
        record = self.record
        require_transition(record.phase, Phase.SERVING)
        target = target_of(self._backend, record)
        in_slices(self._backend.recapture)
        self._filling.catch_up(target)
        vectors = self._backend.generations.count(target.id)
        is_at_hand = self._encoders.find(target) is not None
        asked = self._backend, record, target, self._encoders, self._strategies
        pass_gates("cut-over", cutover_reasons(*asked, accept_failed=accept_failed))
        gone = self._filling.carry_over()
        prepared = self._backend.index.prepare(target)
        pass_gates("cut-over", self._parity_reasons(record, target))
        keep_scale(self._backend, self._encoders, source_of(self._backend, record), target)
        if put_off and wait_while(put_off, self._backend, self._id, target.id, lambda: self._filling.catch_up(target)):
            prepared = self._backend.index.prepare(target)
        for few in drains(self._backend, target.id, accept_failed=accept_failed):
            self._filling.catch_up(target)  # what was written meanwhile
            for attempt in while_busy():
                with attempt, self._backend.exclusive():
                    record = self.record
                    require_transition(record.phase, Phase.SERVING)
                    left = few if is_at_hand else 0
                    reasons = remaining(self._backend, target.id, accept_failed=accept_failed, few=left)
                    if not reasons:
                        pass_gates("cut-over", verification_reasons(self._backend, record, vectors=vectors))
                        return self._swap(record, target, {"index": asdict(prepared), "found_without_text": gone})
        raise GateRefusedError("cut-over", tuple(reasons))

    def rollback(self, *, accept_failed: bool = False) -> None:
        """Let readers see the old generation again; the new one is kept until `retire`, and can be filled on.

        Writes since the cut-over went to both generations, so nothing is lost. Those that lacked the old model are
        embedded first, and the old index is brought up to date.

        Parameters
        ----------
        accept_failed : bool
            Go on without the documents that could not be embedded with the old model.

        Raises
        ------
        EncoderError
            Documents wait for the old model, and it is not at hand.
        GateRefusedError
            Documents failed, or writers without the old model are faster than the rollback.
        StaleAliasError
            Somebody else moved the alias.
        """
        if self._roll_back(flag(accept_failed, "accept_failed")):
            self.run_dependents()

    def _roll_back(self, accept_failed: bool) -> bool:
        """Take the step; tell whether dependents are due by it."""
        self._backend.require_writable()
        require_transition(self.phase, Phase.ROLLED_BACK)
        source = source_of(self._backend, self.record)
        if self.phase is Phase.SERVING:
            in_slices(self._backend.recapture)
            patient(reconcile)(self._backend, source.id)
            self._filling.complete_source()
            self._backend.index.prepare(source)
        for few in drains(self._backend, source.id, accept_failed=accept_failed):
            if self.phase is Phase.SERVING:
                self._filling.complete_source()  # what was written meanwhile
            for attempt in while_busy():
                with attempt, self._backend.exclusive():
                    record = self.record
                    require_transition(record.phase, Phase.ROLLED_BACK)
                    reasons = self._rollback_reasons(record, accept_failed, few)
                    if not reasons:
                        return self._swap_back(record)
        raise GateRefusedError("rollback", tuple(reasons))

    def retire(self, *, confirm: bool = False, force: bool = False) -> None:
        """Delete the generation that does not serve. This is final.

        It is gone at once; then what it took is given back, slice by slice. If that is cut off, `retire` again, or the
        next `run`, goes on with it.

        Parameters
        ----------
        confirm : bool
            Must be said.
        force : bool
            Do not wait for the end of the retention period.

        Raises
        ------
        GateRefusedError
            Not confirmed, inside the retention period, or dependents are not up to date with what serves.
        """
        confirm, force = flag(confirm, "confirm"), flag(force, "force")
        self._backend.require_writable()
        if self.phase is Phase.RETIRED and in_slices(self._backend.reclaim):  # which a call that was cut off left
            return
        if self.phase is Phase.SERVING:
            pass_gates("retire", self._retire_reasons(self.record, confirm, force))
            self._filling.carry_over()  # what came without a text since the cut-over
        with self._backend.exclusive():
            record = self.record
            require_transition(record.phase, Phase.RETIRED)
            pass_gates("retire", self._retire_reasons(record, confirm, force))
            served_new = record.phase is Phase.SERVING
            doomed = record.source_generation if served_new else record.target_generation
            self._backend.ledger.advance(self._id, Phase.RETIRED, "retire", {"dropped": doomed, "forced": force})
            if doomed is not None and self._backend.capabilities.transactions:
                self._backend.generations.drop(doomed)
        if doomed is not None and not self._backend.capabilities.transactions:
            self._backend.generations.drop(doomed)  # only once the ledger sends nobody there
        self._backend.index.prune()
        in_slices(self._backend.reclaim)

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

    def run_dependents(self) -> list[Dependent]:
        """Bring up to date what hangs on the vectors and was due, or has failed; return what is still not.

        A cut-over and a rollback do so by themselves. Functions are run in the process that has them.
        """
        return run_due(self._backend, self.record, self._calls)

    def _retire_reasons(self, record: MigrationRecord, confirm: bool, force: bool) -> list[str]:
        return retire_reasons(record, confirm=confirm, force=force) + dependent_reasons(self._backend)

    def _rollback_reasons(self, record: MigrationRecord, accept_failed: bool, few: int) -> list[str]:
        if record.phase is not Phase.SERVING:
            return []
        return remaining(self._backend, record.source_generation, accept_failed=accept_failed, few=few)

    def _parity_reasons(self, record: MigrationRecord, target: Generation) -> Sequence[str]:
        """Compare what readers meet now with what they would meet, by the fields that were verified."""
        fields = (record.verification or {}).get("fields")
        return compared(self._backend, source_of(self._backend, record), target, fields).reasons

    def _swap(self, record: MigrationRecord, target: Generation, details: dict[str, Any]) -> bool:
        moved = self._backend.generations.swap_alias(record.alias, target.id, record.alias_version)
        return write_down_cutover(self._backend, self._id, moved.version, {"generation": target.id, **details})

    def _swap_back(self, record: MigrationRecord) -> bool:
        version = record.alias_version
        if record.phase is Phase.SERVING:
            version = self._backend.generations.swap_alias(record.alias, record.source_generation, version).version
        stage = stage_of(self._backend, self._id)
        if stage is not None and not stage.stopped:
            note_stage(self._backend, self._id, replace(stage, stopped=True, reason="rolled back"))
        return write_down_rollback(self._backend, self._id, version)
