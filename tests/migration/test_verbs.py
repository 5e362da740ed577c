from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest

from revector.backends.arguments import checked_documents
from revector.encoders.at_hand import EncoderSet
from revector.errors import (
    EncoderError,
    GateRefusedError,
    IllegalTransitionError,
    LedgerConflictError,
    MigrationError,
    SpaceMismatchError,
    StaleAliasError,
    StoreError,
)
from revector.ledger.state import Phase
from revector.migration.asking import reconcile
from revector.migration.migration import Migration
from revector.migration.strategies.background import Background
from revector.migration.writes import write_documents
from revector.testing import HashEncoder
from worlds import ALIAS, ALL_KINDS, NEW, OLD, World


@pytest.fixture(scope="module", params=ALL_KINDS)
def kind(request):
    return request.param


OTHER = HashEncoder(10, seed=3, name="other")


class BadTexts:
    """The new encoder, refusing texts with the word bad."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        if any("bad" in text for text in texts):
            raise EncoderError("a bad text")
        return NEW.encode(texts, kind=kind)


class Outpaced:
    """An encoder, while whose every call somebody writes another document without it."""

    source = None

    def __init__(self, world, encoder, other):
        self.world, self.encoder, self.other, self.calls = world, encoder, other, 0
        self.space = encoder.space

    def encode(self, texts, *, kind="document"):
        self.calls += 1
        self.world.write({f"another {self.calls}": f"written during call {self.calls}"}, encoders=[self.other])
        return self.encoder.encode(texts, kind=kind)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)


def test_a_collection_moves_to_the_new_space_and_the_old_one_goes(world):
    migration = world.serving()
    world.assert_exact(world.served, NEW)
    migration.retire(confirm=True, force=True)
    assert [generation.space for generation in world.backend.generations.all()] == [NEW.space]
    assert world.active() is None
    names = [event.name for event in world.backend.ledger.events(migration.record.id)]
    assert names == ["plan", "start", "filled", "verify", "cutover", "retire"]


def test_a_plan_writes_no_generation(world):
    migration = world.plan()
    assert len(world.backend.generations.all()) == 1
    status = migration.status()
    assert (status.phase, status.share, status.target_generation) == (Phase.PLANNED, 0.0, None)


def test_an_empty_collection_moves_too(empty_world):
    migration = empty_world.serving()
    assert migration.status().share == 1.0
    empty_world.write({"first": "text"})
    empty_world.assert_exact(empty_world.served, NEW)
    migration.rollback()
    empty_world.assert_exact(empty_world.served, OLD)


def test_the_present_space_is_no_target(world):
    with pytest.raises(MigrationError, match="already"):
        world.plan(HashEncoder(8, seed=1, name="renamed"))


def test_a_collection_must_exist(world):
    world.backend.alias = "ghost"
    with pytest.raises(StoreError, match="ghost"):
        Migration.plan(world.backend, NEW)


@pytest.mark.parametrize("reach", [World.plan, World.started, World.proving, World.serving])
def test_a_second_migration_is_refused_while_the_first_lasts(world, reach):
    reach(world)
    with pytest.raises(LedgerConflictError, match="retire"):
        world.plan(OTHER)


def test_the_next_migration_follows_a_retired_one(world):
    world.serving().retire(confirm=True, force=True)
    world.encoders.add(OTHER)
    second = world.plan(OTHER)
    second.start()
    second.run()
    second.verify()
    second.cutover()
    world.assert_exact(world.served, OTHER)


@pytest.mark.parametrize("verb", ["start", "cutover", "rollback", "retire"])
def test_verbs_out_of_turn_are_refused_and_change_nothing(world, verb):
    migration = world.serving() if verb == "start" else world.plan()
    if verb == "rollback":
        migration.rollback()
    before = migration.record
    with pytest.raises(IllegalTransitionError):
        getattr(migration, verb)()
    assert migration.record == before


@pytest.mark.parametrize("verb", ["run", "verify"])
def test_work_before_the_start_is_refused(world, verb):
    with pytest.raises(MigrationError, match="planned"):
        getattr(world.plan(), verb)()


def test_verification_before_the_generation_is_full_is_refused(world):
    with pytest.raises(MigrationError, match="filling"):
        world.started().verify()


def test_another_process_goes_on_with_a_migration(world):
    world.started(strategy=Background(batch=7))
    elsewhere = World.open(world.backend.place)
    migration = elsewhere.active()
    migration.run()
    assert migration.phase is Phase.PROVING
    elsewhere.close()


def test_status_is_json(world):
    text = json.dumps(world.serving().status().to_json())
    assert json.loads(text)["phase"] == "serving"


def test_verification_embeds_what_was_written_without_the_new_model(world):
    migration = world.proving(verifier=None)
    world.write({"late": "written without the new model"}, encoders=[OLD])
    verification = migration.verify()
    assert (verification.passed, verification.details["stale"]) == (True, 0)


def test_a_generation_is_filled_although_others_write_while_it_is_looked_through(world, monkeypatch):
    looks = []

    def look(backend, generation):
        if len(looks) < 3:
            world.write({f"late{len(looks)}": "written without the new model"}, encoders=[OLD])
        looks.append(generation)
        reconcile(backend, generation)

    monkeypatch.setattr("revector.migration.filling.filling.reconcile", look)
    assert (world.proving().phase, len(looks)) == (Phase.PROVING, 1)


def test_a_migration_gets_to_its_end_although_others_always_write_faster_than_a_text_is_embedded(world, monkeypatch):
    monkeypatch.setattr("revector.migration.gates.CATCH_UP_SECONDS", 0.5)
    monkeypatch.setattr("revector.migration.gates.DRAINS", 1)
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.1)
    world.started()
    migration = world.active(EncoderSet([OLD, Outpaced(world, NEW, OLD)]), verifier=None)
    migration.run()
    verification = migration.verify()
    assert verification.passed, verification.reasons
    migration.cutover()
    assert migration.phase is Phase.SERVING
    assert 0 < world.backend.ledger.jobs.counts(world.served).outstanding < 10
    world.active().run()
    world.assert_exact(world.served, NEW)


def test_a_rollback_gets_to_its_end_although_others_always_write_faster_than_a_text_is_embedded(world, monkeypatch):
    monkeypatch.setattr("revector.migration.gates.CATCH_UP_SECONDS", 0.5)
    monkeypatch.setattr("revector.migration.gates.DRAINS", 1)
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.1)
    world.serving()
    world.write({"late": "written without the old model"}, encoders=[NEW])
    world.active(EncoderSet([Outpaced(world, OLD, NEW), NEW])).rollback()
    assert 0 < world.backend.ledger.jobs.counts(world.served).outstanding < 10


# Cut-over


def test_cutover_embeds_what_was_written_without_the_new_model(world):
    migration = world.proving()
    migration.verify()
    world.write({"late": "written without the new model"}, encoders=[OLD])
    migration.cutover()
    world.assert_exact(world.served, NEW)


def test_cutover_embeds_what_is_written_until_nobody_else_can_write(world, monkeypatch):
    migration = world.proving()
    migration.verify()
    exclusive, late = world.backend.exclusive, iter(["late", "later"])

    def after_a_write(*timeout):
        if name := next(late, None):
            world.write({name: f"{name}, written without the new model"}, encoders=[OLD])
        return exclusive(*timeout)

    monkeypatch.setattr(world.backend, "exclusive", after_a_write)
    migration.cutover()
    assert "later" in world.vectors(world.served)
    world.assert_exact(world.served, NEW)


def test_cutover_waits_for_every_document_where_the_new_model_is_not_at_hand(world):
    world.proving().verify()
    world.write({"late": "written without the new model"}, encoders=[OLD])
    world.encoders = EncoderSet([OLD])
    with pytest.raises(GateRefusedError, match="1 documents wait"):
        world.active().cutover()
    world.encoders = EncoderSet([OLD, NEW])
    world.active().run()
    world.active().cutover()
    world.assert_exact(world.served, NEW)


def test_cutover_wants_a_verification(world):
    migration = world.proving()
    with pytest.raises(GateRefusedError, match="not verified"):
        migration.cutover()
    assert migration.phase is Phase.PROVING


def test_cutover_wants_a_verification_that_passed(world):
    def doubt(*args, **options):
        return SimpleNamespace(passed=False, reasons=("it looks wrong",), details={})

    migration = world.proving(verifier=doubt)
    migration.verify()
    with pytest.raises(GateRefusedError, match="it looks wrong"):
        migration.cutover()


def test_cutover_wants_a_verification_of_what_is_there_now(world, monkeypatch):
    monkeypatch.setattr("revector.migration.gates.STALE_VERIFICATION_VECTORS", 5)
    migration = world.proving()
    migration.verify()
    world.write({f"late{place}": f"late text {place}" for place in range(10)})
    with pytest.raises(GateRefusedError, match="since the last verification"):
        migration.cutover()
    migration.verify()
    migration.cutover()


def test_a_few_writes_do_not_outdate_a_verification(world):
    migration = world.proving()
    migration.verify()
    world.write({"late": "late text"})
    migration.cutover()
    world.assert_exact(world.served, NEW)


def test_documents_that_failed_stop_the_cutover_until_they_are_accepted(world):
    world.write({"bad one": "a bad text"})
    world.encoders.add(BadTexts())
    migration = world.started(encoder=BadTexts(), verifier=None)
    migration.run()
    assert migration.phase is Phase.PROVING
    (failure,) = migration.failures()
    assert (failure.id, failure.error) == ("bad one", "a bad text")
    migration.verify()
    with pytest.raises(GateRefusedError, match="1 documents could not be embedded"):
        migration.cutover()
    migration.cutover(accept_failed=True)
    assert len(world.vectors(world.served)) == 40


def test_documents_that_failed_can_be_tried_again(world):
    world.write({"bad one": "a bad text"})
    migration = world.started(encoder=BadTexts())
    migration.run()
    world.encoders.add(NEW)
    assert migration.retry_failed() == 1
    migration.run()
    migration.verify()
    migration.cutover()
    world.assert_exact(world.served, NEW)


def test_the_real_verifier_finds_vectors_that_are_not_what_the_model_gives(world):
    migration = world.proving(verifier=None)
    target = migration.record.target_generation
    (document,) = world.backend.documents.by_id(["d1"])
    wrong = NEW.encode(["something else"])
    world.backend.generations.put(target, [document.key], [document.content_hash], wrong)
    assert not migration.verify().passed
    with pytest.raises(GateRefusedError, match="the last verification failed"):
        migration.cutover()


def _move_alias(world):
    alias = world.backend.generations.alias(ALIAS)
    world.backend.generations.swap_alias(ALIAS, alias.generation, alias.version)


def test_start_notices_that_somebody_moved_the_alias(world):
    migration = world.plan()
    _move_alias(world)
    with pytest.raises(StaleAliasError):
        migration.start()
    assert len(world.backend.generations.all()) == 1


def test_cutover_and_rollback_notice_that_somebody_moved_the_alias(world):
    migration = world.proving()
    migration.verify()
    before = world.backend.generations.alias(ALIAS)
    _move_alias(world)
    with pytest.raises(StaleAliasError) as caught:
        migration.cutover()
    assert (caught.value.expected, caught.value.found) == (before.version, before.version + 1)
    assert migration.phase is Phase.PROVING


def test_rollback_notices_that_somebody_moved_the_alias(world):
    migration = world.serving()
    _move_alias(world)
    with pytest.raises(StaleAliasError):
        migration.rollback()
    assert migration.phase is Phase.SERVING


def test_one_of_two_cutovers_wins(world):
    migration = world.proving()
    migration.verify()
    outcomes = []

    def cut():
        try:
            migration.cutover()
        except IllegalTransitionError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=cut) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert world.backend.generations.alias(ALIAS).version == 2


# Rollback


@pytest.mark.parametrize("reach", [World.plan, World.started, World.proving, World.serving])
def test_rollback_leads_back_to_the_old_generation_from_every_phase(world, reach):
    before = world.backend.generations.alias(ALIAS).generation
    reach(world).rollback()
    assert world.served == before
    world.assert_exact(before, OLD)


@pytest.mark.parametrize("reach", [World.plan, World.started, World.proving, World.serving])
def test_a_migration_starts_again_after_a_rollback(world, reach):
    migration = reach(world)
    migration.rollback()
    world.write({"d1": "changed while rolled back", "more": "text"})
    world.delete("d2")
    migration.start()
    migration.run()
    with pytest.raises(GateRefusedError, match="not verified"):
        migration.cutover()
    migration.verify()
    migration.cutover()
    world.assert_exact(world.served, NEW)
    world.assert_exact(migration.record.source_generation, OLD)


def test_rollback_embeds_first_what_was_written_without_the_old_model(world):
    migration = world.serving()
    world.write({"late": "text", "d1": "changed"}, encoders=[NEW])
    migration.rollback()
    world.assert_exact(world.served, OLD)


def test_rollback_without_the_old_model_names_it(world):
    world.serving()
    world.write({"late": "text"}, encoders=[NEW])
    migration = world.active(EncoderSet([NEW]))
    with pytest.raises(EncoderError, match="old"):
        migration.rollback()
    assert migration.phase is Phase.SERVING


def test_rollback_needs_no_model_when_nothing_waits_for_it(world):
    world.serving()
    world.active(EncoderSet()).rollback()
    world.assert_exact(world.served, OLD)


def test_run_catches_up_with_writes_that_lacked_a_model(world):
    migration = world.serving()
    world.write({"late": "text"}, encoders=[])
    migration.run()
    world.assert_exact(migration.record.source_generation, OLD)
    world.assert_exact(world.served, NEW)


def test_run_after_cutover_needs_no_new_model_that_is_idle(world):
    migration = world.serving()
    migration.run()
    assert migration.phase is Phase.SERVING


# Retire


def test_retire_must_be_confirmed_and_waits_for_the_retention_period(world):
    migration = world.serving(retention_seconds=60)
    with pytest.raises(GateRefusedError, match="confirm=True") as caught:
        migration.retire()
    assert len(caught.value.reasons) == 2
    with pytest.raises(GateRefusedError, match="retention"):
        migration.retire(confirm=True)
    assert len(world.backend.generations.all()) == 2
    assert migration.status().retention_ends == pytest.approx(time.time() + 60, abs=10)


def test_retire_after_the_retention_period(world):
    migration = world.serving(retention_seconds=0)
    migration.retire(confirm=True)
    assert migration.status().to_json()["serving_generation"] == world.served
    world.assert_exact(world.served, NEW)
    assert world.backend.ledger.jobs.counts(migration.record.source_generation).total == 0


@pytest.mark.parametrize("reach", [World.plan, World.started, World.serving])
def test_retire_after_a_rollback_drops_the_new_generation(world, reach):
    migration = reach(world)
    migration.rollback()
    migration.retire(confirm=True)
    assert [generation.space for generation in world.backend.generations.all()] == [OLD.space]
    assert migration.status().serving_generation == world.served
    world.assert_exact(world.served, OLD)


# Pause


def test_a_paused_migration_does_not_run(world):
    migration = world.started()
    migration.pause()
    with pytest.raises(MigrationError, match="resume"):
        migration.run()
    migration.resume()
    migration.run()
    assert migration.phase is Phase.PROVING


@pytest.mark.parametrize("verb", ["pause", "rollback"])
def test_a_running_worker_stops_when_somebody_else_says_so(places, monkeypatch, verb):
    monkeypatch.setattr("revector.migration.filling.worker._ASK_EVERY_SECONDS", 0.0)
    world = World.create(places / "long.db", 640)
    migration = world.started(strategy=Background(batch=4))
    elsewhere = World.open(world.backend.place)
    verbs = iter([getattr(elsewhere.active(), verb)])
    migration.run(on_progress=lambda progress: next(verbs, bool)())
    assert migration.status().target_jobs.pending > 0
    assert migration.phase is (Phase.FILLING if verb == "pause" else Phase.ROLLED_BACK)
    elsewhere.close()
    world.close()


# Writes


@pytest.mark.parametrize("reach", [World.started, World.proving, World.serving])
def test_writes_reach_both_generations(world, reach):
    migration = reach(world)
    world.write({"d1": "changed", "more": "text"})
    world.delete("d2")
    migration.run()
    world.assert_exact(migration.record.source_generation, OLD)
    world.assert_exact(migration.record.target_generation, NEW)


def test_writes_after_retirement_make_new_vectors_only(world):
    world.serving(retention_seconds=0).retire(confirm=True)
    world.write({"more": "text"})
    assert [info.model for info in world.backend.generations.info(world.served, ["more"])] == ["new"]
    assert len(world.backend.generations.all()) == 1


def test_a_write_with_vectors_of_a_generation_that_has_gone_is_no_error(world):
    migration = world.serving(retention_seconds=0)
    source = migration.record.source_generation
    (more,) = checked_documents(["more"], ["text"])
    vectors = {
        generation: {more.content_hash: model.encode(["text"])[0]}
        for generation, model in ((source, OLD), (world.served, NEW))
    }
    migration.retire(confirm=True)
    write_documents(world.backend, [more], vectors)
    world.assert_exact(world.served, NEW)


def test_the_wrong_encoder_can_not_fill(world):
    migration = world.started()
    world.encoders._by_space[NEW.space.fingerprint] = OTHER
    with pytest.raises(SpaceMismatchError):
        migration.run()
