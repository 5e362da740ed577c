"""What a verb would do, and what would refuse it: looked up, and nothing of it done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from revector._arguments import choice
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import IllegalTransitionError
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase, before_work, require_transition, steps_to_end
from revector.migration.dependents import dependent_reasons, dependents
from revector.migration.gates import cutover_reasons, remaining, retire_reasons
from revector.migration.serving import ServingReader
from revector.migration.strategies import Strategy
from revector.planning.cost import vector_bytes
from revector.spaces import EmbeddingSpace

_ENDS = {"rollback": "rollback()", "retire": "retire(confirm=True)"}


@dataclass(frozen=True)
class Foresight:
    """What a verb would do.

    Attributes
    ----------
    verb : str
    steps : tuple of str
        What it would do, in its order.
    refusals : tuple of str
        Why it would do nothing; empty where it would go on.
    """

    verb: str
    steps: tuple[str, ...]
    refusals: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words, a line for each step."""
        if self.refusals:
            return "\n".join([f"{self.verb} would be refused:", *(f"- {each}" for each in self.refusals)])
        return "\n".join([f"{self.verb} would:", *(f"- {each}" for each in self.steps)])

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


@dataclass(frozen=True)
class Options:
    """What is said beside a verb; see those of `Migration`."""

    accept_failed: bool = False
    confirm: bool = False
    force: bool = False


def foresee_plan(backend: Backend, space: EmbeddingSpace) -> Foresight:
    """Return what the start of a migration would do that nobody has planned yet."""
    serving, documents = ServingReader(backend).read().serving, backend.documents.count()
    if (active := backend.ledger.active(backend.alias)) is not None:
        verbs = ", then ".join(_ENDS[step] for step in steps_to_end(active.phase))
        under_way = f"migration {active.id} to {active.target_space} is {active.phase}"
        return Foresight("start", (), (f"{under_way}; end it by {verbs} before the next one",))
    if serving.space.fingerprint == space.fingerprint:
        return Foresight("start", (), (f"the collection is in the space {space} already",))
    return Foresight("start", (f"plan a migration from {serving.space} to {space}", *_filled(space, documents)))


class Foreseer:
    """Looks up what the verbs of one migration would do. It writes nothing; a model may be loaded.

    Parameters
    ----------
    backend, encoders, strategies
        As for `Migration`.
    record : MigrationRecord
        The migration.
    """

    def __init__(
        self, backend: Backend, record: MigrationRecord, encoders: EncoderSet, strategies: Sequence[Strategy]
    ) -> None:
        self._backend, self._record = backend, record
        self._encoders, self._strategies = encoders, strategies

    def foresee(self, verb: str, options: Options) -> Foresight:
        """Return what a verb would do in the present phase."""
        looked_up: dict[str, Callable[[Options], Foresight]] = {
            "start": self._start,
            "run": self._run,
            "verify": self._verify,
            "cutover": self._cutover,
            "rollback": self._rollback,
            "retire": self._retire,
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
        }
        return looked_up[choice(verb, "verb", looked_up)](options)

    def _start(self, _: Options) -> Foresight:
        if self._record.phase in (Phase.FILLING, Phase.PROVING):
            return Foresight("start", ("change nothing: the migration has been started",))
        steps = _filled(self._record.target_space, self._backend.documents.count())
        if self._record.target_generation is not None:
            steps = ("ask for the vectors that the new generation, which was kept, lacks",)
        return Foresight("start", steps, self._illegal(Phase.FILLING))

    def _run(self, _: Options) -> Foresight:
        phase, target = self._record.phase, self._target()
        if target is None or phase is Phase.RETIRED or phase is Phase.ROLLED_BACK:
            return Foresight("run", (), (f"the migration is {phase} and has no work; {before_work(phase, 'run')}",))
        if self._record.paused:
            return Foresight("run", (), ("the migration is paused; call resume() first",))
        waiting = self._backend.ledger.jobs.counts(target.id).outstanding
        steps = [f"embed {waiting:,} documents with {target.space}"]
        steps += ["go on to PROVING once all have their new vector"] * (phase is Phase.FILLING)
        return Foresight("run", tuple(steps), self._not_at_hand(target))

    def _verify(self, _: Options) -> Foresight:
        phase, target = self._record.phase, self._target()
        if target is None or phase not in (Phase.PROVING, Phase.SERVING):
            nothing = f"the migration is {phase}, so that there is nothing to verify"
            return Foresight("verify", (), (f"{nothing}; {before_work(phase, 'verify')}",))
        vectors = self._backend.generations.count(target.id)
        steps = (
            f"build the index of {vectors:,} vectors, as far as it is not built",
            f"embed {min(200, vectors):,} documents again, and compare",
            "write the outcome down, which the cut-over wants to have",
        )
        return Foresight("verify", steps, self._not_at_hand(target))

    def _cutover(self, options: Options) -> Foresight:
        illegal, target = self._illegal(Phase.SERVING), self._target()
        if illegal or target is None:
            return Foresight("cutover", (), illegal)
        record, asked = self._record, (self._encoders, self._strategies)
        reasons = cutover_reasons(
            self._backend,
            record,
            target,
            *asked,
            vectors=self._backend.generations.count(target.id),
            accept_failed=options.accept_failed,
        )
        steps = (
            f"let readers see generation {target.id} ({target.space}) in place of {record.source_generation}",
            f"keep the old vectors up to date for {record.retention_seconds / 86400:g} days, for a rollback",
            *self._brought_up_to_date(),
        )
        return Foresight("cutover", steps, tuple(reasons))

    def _rollback(self, options: Options) -> Foresight:
        record = self._record
        if illegal := self._illegal(Phase.ROLLED_BACK):
            return Foresight("rollback", (), illegal)
        if record.phase is not Phase.SERVING:
            return Foresight("rollback", ("stop the migration: readers see the old vectors, the new ones are kept",))
        source = self._backend.generations.get(record.source_generation)
        counts = self._backend.ledger.jobs.counts(source.id)
        reasons = remaining(self._backend, source.id, accept_failed=options.accept_failed, few=counts.outstanding)
        reasons += self._not_at_hand(source) if counts.outstanding else ()
        embed = f"embed {counts.outstanding:,} documents with {source.space}, which were written without it"
        steps = (
            *([embed] if counts.outstanding else []),
            f"let readers see generation {source.id} ({source.space}) again; the new vectors are kept",
            *self._brought_up_to_date(),
        )
        return Foresight("rollback", steps, tuple(reasons))

    def _retire(self, options: Options) -> Foresight:
        record = self._record
        if illegal := self._illegal(Phase.RETIRED):
            return Foresight("retire", (), illegal)
        reasons = retire_reasons(record, confirm=options.confirm, force=options.force)
        reasons += dependent_reasons(self._backend)
        doomed = record.source_generation if record.phase is Phase.SERVING else record.target_generation
        dropped = [] if doomed is None else [f"delete generation {doomed}, {self._vectors(doomed)}, for good"]
        return Foresight("retire", (*dropped, "end the migration"), tuple(reasons))

    def _pause(self, _: Options) -> Foresight:
        if self._record.paused or self._record.phase is Phase.RETIRED:
            return Foresight("pause", ("change nothing: no workers may run",))
        return Foresight("pause", ("let all workers end after the batch in hand",))

    def _resume(self, _: Options) -> Foresight:
        if not self._record.paused:
            return Foresight("resume", ("change nothing: the migration is not paused",))
        return Foresight("resume", ("allow to run again",))

    def _retry(self, _: Options) -> Foresight:
        pair = (self._record.source_generation, self._record.target_generation)
        failed = sum(self._backend.ledger.jobs.counts(each).failed for each in pair if each is not None)
        return Foresight("retry", (f"let the next run try {failed:,} documents again",))

    def _target(self) -> Generation | None:
        generation = self._record.target_generation
        gone = self._record.phase is Phase.RETIRED
        return None if generation is None or gone else self._backend.generations.get(generation)

    def _vectors(self, generation: int) -> str:
        space = self._backend.generations.get(generation).space
        return f"{self._backend.generations.count(generation):,} vectors of {space}"

    def _illegal(self, wanted: Phase) -> tuple[str, ...]:
        try:
            require_transition(self._record.phase, wanted)
        except IllegalTransitionError as error:
            return (str(error),)
        return ()

    def _not_at_hand(self, generation: Generation) -> tuple[str, ...]:
        missing = self._encoders.find(generation) is None
        return (f"the model {generation.space} is not at hand",) if missing else ()

    def _brought_up_to_date(self) -> list[str]:
        return [f"bring up to date what hangs on the vectors: {each.name}" for each in dependents(self._backend)]


def _filled(space: EmbeddingSpace, documents: int) -> tuple[str, ...]:
    kilobytes = vector_bytes(space.dimension, documents) / 1e3
    size = f"{kilobytes / 1e3:,.0f} MB" if kilobytes >= 1e3 else f"{kilobytes:.0f} kB"
    return (
        f"make an empty generation of {space}, and let every write go to both from then on",
        f"ask for the vectors of {documents:,} documents, about {size} once they are there",
    )
