"""Any order of verbs, writes and interruptions: the invariants hold after each step."""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from revector.collection import Collection
from revector.errors import GateRefusedError, IllegalTransitionError, LedgerConflictError, MigrationError
from revector.ledger.state import TRANSITIONS, Phase
from revector.migration.strategies import Background, DualIndex, OnRead, Rollout
from revector.rollout import Ramp
from worlds import ALL_KINDS, NEW, OLD, World, places_of, rounding

IDS = st.sampled_from([f"d{place}" for place in range(8)])
TEXTS = st.sampled_from(["", "one", "two words", "three of them"])
ENCODERS = st.sampled_from([(OLD, NEW), (OLD,), (NEW,), ()])
STRATEGIES = st.sampled_from(
    [
        Background(batch=2),
        OnRead(tail_share=1.0),
        [Background(batch=2), OnRead(hits=1), DualIndex(after_cutover=True)],
        [Background(batch=2), Rollout(Ramp((0.5, 1.0), min_events=2))],
    ]
)


class MigrationMachine(RuleBasedStateMachine):
    """A collection, a model of its texts, and whichever migration it has."""

    def __init__(self, kind):
        super().__init__()
        self.ended = ExitStack()
        folder = self.ended.enter_context(tempfile.TemporaryDirectory())
        self.places = self.ended.enter_context(places_of(kind, Path(folder)))
        self.texts = {}

    @initialize()
    def create(self):
        self.world = World.create(self.places / "world.db")
        self.migration = None

    @property
    def phase(self):
        return self.migration.phase if self.migration else None

    @rule(id_=IDS, text=TEXTS, encoders=ENCODERS)
    def write(self, id_, text, encoders):
        self.world.write({id_: text}, encoders=encoders)
        self.texts[id_] = text

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def delete(self, data):
        id_ = data.draw(st.sampled_from(sorted(self.texts)))
        self.world.delete(id_)
        del self.texts[id_]

    @rule(query=TEXTS, key=st.sampled_from([None, "ann", "bob", "eve"]))
    def search(self, query, key):
        """Whoever reads finds documents that exist, in every phase; what it leaves behind is written."""
        docs = Collection(self.world.backend, self.world.encoders)
        found = docs.search(query, 5, key=key)
        assert {hit.id: hit.text for hit in found}.items() <= self.texts.items()
        if key and found:
            docs.record_feedback(found[0].query_id, found[0].id)
        docs._searcher.close()

    @rule(strategy=STRATEGIES)
    def plan(self, strategy):
        serving = self.world.backend.generations.get(self.world.served).space
        encoder = OLD if serving == NEW.space else NEW
        before = self.phase
        try:
            self.migration = self.world.plan(encoder, strategy=strategy, retention_seconds=0)
        except LedgerConflictError:
            assert before is Phase.SERVING
        else:
            assert self.phase is (Phase.PLANNED if before in (None, Phase.RETIRED) else before)

    def _attempt(self, wanted, verb):
        """Do a verb: it leads to the phase, or is refused and changes none."""
        before = self.phase
        try:
            verb()
        except IllegalTransitionError:
            assert wanted not in TRANSITIONS[before]
        except GateRefusedError:
            pass
        else:
            assert self.phase is wanted
            return
        assert self.phase is before

    @precondition(lambda self: self.migration)
    @rule()
    def start(self):
        again = self.phase is Phase.PROVING
        self._attempt(Phase.PROVING if again else Phase.FILLING, self.migration.start)

    @precondition(lambda self: self.migration)
    @rule(batches=st.integers(1, 4) | st.none())
    def run(self, batches):
        stop, left = threading.Event(), batches

        def count(progress):
            nonlocal left
            left = left and left - 1
            if left == 0:
                stop.set()

        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("revector.migration.filling.lander.MOST_WAITING", 0)  # stop where it is said
                self.migration.run(on_progress=count, stop=stop)
        except MigrationError:
            assert self.migration.record.paused or self.phase in (Phase.PLANNED, Phase.ROLLED_BACK, Phase.RETIRED)

    @precondition(lambda self: self.phase is Phase.PROVING)
    @rule()
    def verify(self):
        self.migration.verify()

    @precondition(lambda self: self.migration)
    @rule(to=st.sampled_from([None, 0.5, 1.0]))
    def roll_out(self, to):
        before = self.phase
        try:
            self.migration.roll_out(to=to)
        except (MigrationError, GateRefusedError):
            assert self.phase is before
        else:
            assert before is Phase.PROVING

    @precondition(lambda self: self.migration)
    @rule()
    def cutover(self):
        self._attempt(Phase.SERVING, self.migration.cutover)

    @precondition(lambda self: self.phase in (Phase.FILLING, Phase.PROVING))
    @rule()
    def finish(self):
        self.migration.resume()
        self.migration.run()
        self.migration.verify()
        with suppress(MigrationError):  # there is none
            self.migration.roll_out(to=1.0)
        self.migration.cutover()
        assert self.phase is Phase.SERVING

    @precondition(lambda self: self.migration)
    @rule()
    def rollback(self):
        self._attempt(Phase.ROLLED_BACK, self.migration.rollback)

    @precondition(lambda self: self.migration)
    @rule(confirm=st.booleans())
    def retire(self, confirm):
        self._attempt(Phase.RETIRED, lambda: self.migration.retire(confirm=confirm))

    @precondition(lambda self: self.migration)
    @rule()
    def pause(self):
        self.migration.pause()

    @precondition(lambda self: self.migration)
    @rule()
    def resume(self):
        self.migration.resume()

    @rule()
    def reopen(self):
        """Close the process, open the collection in another."""
        self.world.close()
        self.world = World.open(self.places / "world.db")
        self.migration = self.world.active() if self.phase_is_open else None

    @property
    def phase_is_open(self):
        return self.world.backend.ledger.active("live") is not None

    @invariant()
    def documents_are_the_texts_written(self):
        assert {d.id: d.text for batch in self.world.backend.documents.scan() for d in batch} == self.texts

    @invariant()
    def alias_and_phase_agree(self):
        if self.migration:
            assert self.world.served == self.migration.record.serving_generation

    @invariant()
    def whatever_has_no_vector_has_a_job(self):
        backend = self.world.backend
        for generation in backend.generations.all():
            stale = backend.generations.count_stale(generation.id)
            assert stale == self.world.backend.ledger.jobs.counts(generation.id).outstanding

    @invariant()
    def every_other_vector_is_that_of_its_text(self):
        backend = self.world.backend
        for generation in backend.generations.all():
            encoder = OLD if generation.space == OLD.space else NEW
            for keys, vectors in backend.generations.scan(generation.id):
                stale = set(backend.generations.stale_keys(generation.id, keys).tolist())
                for document, vector in zip(backend.documents.by_key(keys), vectors, strict=True):
                    off = abs(vector - encoder.encode([document.text])[0]).max()
                    assert document.key in stale or off <= rounding(backend)

    @invariant()
    def no_generation_is_forgotten(self):
        live = 1 + (self.phase is not None and self.migration.record.target_generation is not None)
        assert len(self.world.backend.generations.all()) == (1 if self.phase in (None, Phase.RETIRED) else live)

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()
        self.ended.close()


@pytest.mark.parametrize("kind", [*ALL_KINDS, "memory-apart"])
def test_the_invariants_hold_after_each_step(kind):
    short = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: MigrationMachine(kind), settings=short)
