"""A start that is cut off half-way: what holds in between, and who goes on with it."""

from __future__ import annotations

import pytest

from revector.ledger.state import Phase
from revector.migration.asking import is_asking, reconcile
from worlds import NEW


@pytest.fixture
def cut_off(world, monkeypatch):
    """A migration of 40 documents, 15 of which were asked for when its start was cut off."""
    monkeypatch.setattr("revector.migration.asking.DOCUMENTS_A_SLICE", 5)
    with monkeypatch.context() as patch:
        patch.setattr("revector.migration.asking.in_slices", lambda step, _: [step() for _ in range(3)])
        return world.started()


def _counts(world, migration):
    return world.backend.ledger.jobs.counts(migration.record.target_generation)


def test_nothing_counts_as_moved_that_was_not_asked_for_yet(world, cut_off):
    assert _counts(world, cut_off).total == 15
    assert (cut_off.status().moved, cut_off.status().share) == (0, 0.0)


def test_start_goes_on_where_it_was_cut_off(world, cut_off):
    cut_off.start()
    assert _counts(world, cut_off).total == 40
    assert not is_asking(world.backend, cut_off.record.id)


def test_so_does_run_in_any_process(world, cut_off):
    world.active().run()
    assert cut_off.phase is Phase.PROVING
    world.assert_exact(cut_off.record.target_generation, NEW)


def test_a_generation_is_not_full_while_some_documents_were_not_asked_for(world, cut_off, monkeypatch):
    monkeypatch.setattr("revector.migration.migration.ask_for_all", lambda *_: None)
    cut_off.run()
    assert cut_off.phase is Phase.FILLING


def test_documents_written_meanwhile_are_asked_for_by_whoever_writes_them(world, cut_off):
    world.write({"d39": "changed", "new": "text"}, encoders=[])
    assert _counts(world, cut_off).total == 15 + 2
    cut_off.start()
    assert _counts(world, cut_off).total == 41


def test_a_rollback_ends_it_and_the_next_start_begins_again(world, cut_off):
    cut_off.rollback()
    assert not is_asking(world.backend, cut_off.record.id)
    cut_off.start()
    assert _counts(world, cut_off).total == 40


def test_what_nobody_asked_for_is_found_and_nothing_is_written_where_nothing_is_missing(world):
    generation = world.served
    world.backend.documents.upsert(["d7", "unknown"], ["changed by somebody else", "new"])
    reconcile(world.backend, generation)
    assert world.backend.ledger.jobs.counts(generation).outstanding == 2
    assert world.backend.generations.count_stale(generation) == 2
