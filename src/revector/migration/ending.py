"""The end of a migration: the cut-over, the way back, and the deletion of what does not serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from revector._arguments import flag
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import GateRefusedError
from revector.evaluation.verify import verify
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase, require_transition
from revector.migration.asking import reconcile
from revector.migration.cut_off import write_down_cutover, write_down_rollback
from revector.migration.dependents import Call, Dependent, dependent_reasons, run_due
from revector.migration.filling.bridge import Fit, fit_bridge
from revector.migration.filling.filling import Filling, source_of, target_of
from revector.migration.gates import (
    cutover_reasons,
    drains,
    pass_gates,
    remaining,
    retire_reasons,
    verification_reasons,
)
from revector.migration.hands import Hands
from revector.migration.parity import compared
from revector.migration.patience import patient, while_busy
from revector.migration.postponing import Postponement, postponement, wait_while
from revector.migration.priorities import Turns
from revector.migration.rolling import (
    note_stage,
)
from revector.migration.scales import keep_scale
from revector.migration.serving import stage_of
from revector.migration.slices import in_slices
from revector.migration.strategies import (
    Strategy,
    chosen_work,
    strategies_from_json,
)
from revector.migration.strategies.base import Facts, Work
from revector.migration.verification import Verifier

__all__ = ["Ending"]


class Ending(Hands):
    """What changes who serves; `Migration` says what it is made of."""

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

    def _work(self) -> Work:
        record = self.record
        source = source_of(self._backend, record)
        return chosen_work(self._strategies, Facts(max(source.space.dimension, record.target_space.dimension)))

    def _turns(self) -> Turns:
        work = self._work()
        return Turns(self._backend, work.sample, work.seed, work.rule)

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
        pass_gates("cut-over", cutover_reasons(*asked, vectors=vectors, accept_failed=accept_failed))
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
