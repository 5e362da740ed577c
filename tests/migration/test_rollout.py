"""A rollout shows the new model to a growing share of the readers, and takes it back by itself."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from revector import Threshold
from revector.collection import Collection
from revector.errors import GateRefusedError, InvalidArgumentError, MigrationError
from revector.ledger.state import Phase
from revector.migration.migration import Migration
from revector.migration.strategies import Background, Rollout, strategies_from_json
from revector.rollout import Arm, Evidence, Margins, Ramp
from revector.search import behind
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(60)]
READERS = [f"reader {i}" for i in range(400)]
SHORT = Rollout(Ramp((0.25, 1.0), min_events=20), Margins(p99=None))
LONG = Rollout(Ramp((0.25, 1.0)), Margins(p99=None))


@pytest.fixture(autouse=True)
def _only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write what was seen when a test says so, and not in the middle of its searches."""
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 1_000.0)


def _proving(place: Any, rollout: Rollout = SHORT) -> tuple[Collection, Migration]:
    docs = Collection.open(place, OLD)
    docs.upsert(TEXTS, TEXTS)
    migration = docs.migrate(NEW, strategy=[Background(), rollout])
    migration.start()
    migration.run()
    assert migration.verify(sample=5).passed
    return docs, migration


def _arms(docs: Collection, readers: list[str] = READERS) -> dict[str, str]:
    """Who is answered by which generations."""
    names = {frozenset({1}): "old", frozenset({2}): "new", frozenset({1, 2}): "both"}
    return {
        reader: names[frozenset(hit.generation for hit in docs.search("number 7", 10, key=reader))]
        for reader in readers
    }


def _seen(docs: Collection) -> None:
    docs._searcher.behind.flush()


def test_nobody_sees_the_new_model_before_the_rollout_begins(places: Any) -> None:
    docs, _ = _proving(places / "docs.db")
    with docs:
        assert set(_arms(docs).values()) == {"old"}


def test_whoever_has_no_key_is_never_part_of_it(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out(to=1.0)
        assert {hit.generation for hit in docs.search("number 7", 10)} == {1}


def test_the_first_step_answers_everybody_alike(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", LONG)
    with docs:
        status = migration.roll_out()
        assert (status.stage.at, status.share) == (0, 0.25)
        assert set(_arms(docs).values()) == {"old"}
        _seen(docs)
        assert migration.rollout.evidence.new.searches > 20


def test_a_share_of_the_readers_is_in_the_new_arm_and_stays_there(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out(to=0.25)
        arms = _arms(docs)
        assert Counter(arms.values())["old"] / len(READERS) == pytest.approx(0.75, abs=0.1)
        assert set(arms.values()) == {"old", "new", "both"}
        assert _arms(docs) == arms
        migration.roll_out(to=1.0)
        grown = _arms(docs)
        assert all(grown[reader] == arm for reader, arm in arms.items() if arm != "old")
        assert "old" not in grown.values()


def test_enough_searches_take_the_next_step(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out()
        for at in (1, 2):
            _arms(docs)
            _seen(docs)
            assert migration.rollout.stage.at == at
        _arms(docs)
        _seen(docs)
        assert migration.rollout.stage.passed
        migration.cutover()
        assert migration.phase is Phase.SERVING


def test_searching_processes_take_the_next_step_by_themselves(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 0.05)
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out()
        end = time.monotonic() + 30
        while not migration.rollout.stage.passed and time.monotonic() < end:
            _arms(docs, READERS[:50])
        assert migration.rollout.stage.passed


def test_the_cutover_waits_for_the_rollout(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        with pytest.raises(GateRefusedError, match="the rollout has not begun"):
            migration.cutover()
        migration.roll_out(to=0.25)
        with pytest.raises(GateRefusedError, match="stands at 25% of the readers"):
            migration.cutover()
        migration.roll_out(to=1.0)
        migration.cutover()


def test_readers_who_prefer_the_old_model_stop_the_rollout_and_roll_it_back(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=1.0))
    with docs:
        migration.roll_out(to=0.5)
        for turn in range(40):
            for reader in READERS[:20]:
                for hit in docs.search(TEXTS[turn], 10, key=reader):
                    if hit.generation == 1 and hit.query_id:
                        docs.record_feedback(hit.query_id, hit.id)
                        break
            _seen(docs)
            if migration.phase is Phase.ROLLED_BACK:
                break
        assert migration.phase is Phase.ROLLED_BACK
        assert "prefer the new arm" in migration.rollout.stage.reason
        assert set(_arms(docs).values()) == {"old"}


def test_a_new_arm_that_fails_is_answered_by_the_old_one_and_stopped(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=0.0))
    with docs:
        migration.roll_out(to=0.5)
        docs._encoders.add(_Broken(16, seed=2, name="new"))
        for _ in range(10):
            assert all(len(docs.search("number 7", 10, key=reader)) == 10 for reader in READERS[:60])
            _seen(docs)
        assert migration.phase is Phase.ROLLED_BACK


class _Broken(HashEncoder):
    """Knows documents, and no queries."""

    def encode(self, texts, *, kind="document"):
        if kind == "query":
            raise RuntimeError("the graphics card is on fire")
        return super().encode(texts, kind=kind)


def test_a_mistake_of_the_caller_is_no_failure_of_the_new_arm(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=0.0))
    with docs:
        migration.roll_out(to=0.5)
        for _ in range(10):
            for reader in READERS[:60]:
                docs.search("number 7", key=reader)
                with pytest.raises(InvalidArgumentError, match="nothing says what that is"):
                    docs.search("number 7", key=reader, threshold=Threshold(0.5, HashEncoder(8).space))
            _seen(docs)
        assert migration.phase is Phase.PROVING


def test_a_threshold_holds_in_every_arm(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        passed = {hit.id for hit in docs.search("text number 7", 60, threshold=0.99)}
        migration.roll_out(to=1.0)
        found = [docs.search("text number 7", 60, key=reader, threshold=0.99) for reader in READERS[:40]]
        assert {len(hits) for hits in found} == {len(passed)}


def test_a_tenant_for_whom_the_new_arm_fails_goes_back_alone(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=0.0, by_key=True))
    with docs:
        migration.roll_out(to=0.5)
        arms = _arms(docs, [f"tenant {i}" for i in range(10)])
        unlucky = next(tenant for tenant, arm in arms.items() if arm == "new")
        stage = migration.rollout.stage
        observed = docs._backend.ledger.observations
        observed.add(migration.record.id, stage.name, Evidence(old=Arm(2000)).to_json())
        observed.add(migration.record.id, stage.name_of(unlucky), Evidence(new=Arm(200, errors=60)).to_json())
        migration.judge()
        assert migration.rollout.stage.held == (unlucky,)
        assert migration.phase is Phase.PROVING
        assert _arms(docs, list(arms)) == {**arms, unlucky: "old"}
        assert migration.rollout.evidence.new.errors == 0


def test_feedback_of_a_tenant_is_its_own(places: Any) -> None:
    rollout = Rollout(Ramp((0.5, 1.0)), interleaved=1.0, by_key=True)
    docs, migration = _proving(places / "docs.db", rollout)
    with docs:
        migration.roll_out(to=0.5)
        tenant = next(reader for reader, arm in _arms(docs, READERS[:20]).items() if arm == "both")
        hit = next(hit for hit in docs.search(TEXTS[3], 10, key=tenant) if hit.generation == 1)
        docs.record_feedback(hit.query_id, hit.id)
        _seen(docs)
        name = migration.rollout.stage.name_of(tenant)
        assert [each.arm for each in docs._backend.ledger.observations.feedback(migration.record.id, name)] == ["both"]


def test_ratings_and_answers_are_rewards_of_their_arm(places: Any) -> None:
    """A rating of 4 in the first place is half a click; a good answer is one, and a bad one nothing."""
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=0.0))
    with docs:
        migration.roll_out(to=0.5)
        reader = next(reader for reader, arm in _arms(docs, READERS[:20]).items() if arm == "new")
        for kind, value in (("rating", 4), ("answer", True), ("answer", False), ("rating", 2)):
            hits = docs.search("number 7", 10, key=reader)
            documents = [hit.id for hit in hits] if kind == "answer" else hits[0].id
            docs.record_feedback(hits[0].query_id, documents, kind, value)
        _seen(docs)
        name = migration.rollout.stage.name
        said = docs._backend.ledger.observations.feedback(migration.record.id, name)
        assert sorted((each.arm, each.reward) for each in said) == [("new", 0), ("new", 0), ("new", 0.5), ("new", 1)]


def test_ratings_vote_and_answers_of_both_arms_do_not(places: Any) -> None:
    docs, migration = _proving(places / "docs.db", Rollout(Ramp((0.5, 1.0)), interleaved=1.0))
    with docs:
        migration.roll_out(to=0.5)
        reader = next(reader for reader, arm in _arms(docs, READERS[:20]).items() if arm == "both")
        for kind, value in (("rating", 5), ("rating", 1), ("answer", True)):
            hits = docs.search(TEXTS[3], 10, key=reader)
            of_old = next(hit for hit in hits if hit.generation == 1)
            documents = [hit.id for hit in hits] if kind == "answer" else of_old.id
            docs.record_feedback(of_old.query_id, documents, kind, value)
        _seen(docs)
        evidence = migration.rollout.evidence
        assert (evidence.interleaved, evidence.undecided) in [(2, 0), (2, 2)]
        assert evidence.preferred.n in (0, 2)


def test_documents_of_a_bad_answer_are_counted_as_not_helpful(places: Any) -> None:
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(TEXTS, TEXTS)
        hits = docs.search("number 7", 2, key="me")
        docs.record_feedback(hits[0].query_id, [hit.id for hit in hits], "answer", False)
        _seen(docs)
        failed = {fact.id for fact in docs._backend.documents.facts() if fact.failures}
        assert failed == {hit.id for hit in hits}


def test_feedback_on_what_was_not_found_is_refused(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out(to=1.0)
        hit = docs.search("number 7", 1, key="me")[0]
        with pytest.raises(InvalidArgumentError, match="which was not among the first 100 hits"):
            docs.record_feedback(hit.query_id, "nobody")
        with pytest.raises(InvalidArgumentError, match="expected the query_id of a hit"):
            docs.record_feedback(hit.query_id[:-4] + "AAA=", hit.id)


def test_a_search_with_a_key_and_without_a_rollout_takes_feedback_too(places: Any) -> None:
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(TEXTS, TEXTS)
        hit = docs.search("number 7", 1, key="me")[0]
        docs.record_feedback(hit.query_id, hit.id, "bad")
        _seen(docs)
        assert [fact.id for fact in docs._backend.documents.facts() if fact.failures] == [hit.id]


def test_a_rollout_begins_anew_after_a_rollback(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        migration.roll_out(to=1.0)
        migration.rollback()
        migration.start()
        migration.run()
        assert migration.rollout.stage.stopped
        assert set(_arms(docs).values()) == {"old"}
        migration.verify(sample=5)
        assert migration.roll_out().stage.at == 0


def test_a_rollout_needs_a_strategy_and_a_verification(world: Any) -> None:
    with pytest.raises(MigrationError, match="has no rollout"):
        world.proving().roll_out()


def test_a_rollout_needs_a_verification(world: Any) -> None:
    with pytest.raises(GateRefusedError, match="was not verified"):
        world.proving(strategy=[Background(), Rollout()]).roll_out()


def test_a_rollout_comes_back_as_it_was_kept() -> None:
    rollout = Rollout(Ramp((0.1, 0.9), 7, same_first=False), Margins(0.1, 0.2, p99=None), 0.3, by_key=True)
    assert strategies_from_json([rollout.to_json()]) == (rollout,)
