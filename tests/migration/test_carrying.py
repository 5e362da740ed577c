"""Documents whose text is gone: they stay where they are found, by a vector that the map carries over."""

from __future__ import annotations

import numpy as np
import pytest

from revector.backends.contracts import MAPPED
from revector.errors import EncoderError, GateRefusedError
from revector.mapping import load_map
from revector.migration.filling.bridge import fit_bridge
from revector.migration.serving import ServingReader
from revector.search.request import Request
from revector.search.searcher import Searcher
from worlds import NEW, OLD


class NeedsText:
    """The new encoder, which refuses what has no text."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        if "" in texts:
            raise EncoderError("there is no text")
        return NEW.encode(texts, kind=kind)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)


@pytest.fixture
def migration(world):
    """A migration that is proving, of 40 documents and one without a text."""
    world.write({"gone": ""}, encoders=[OLD])
    world.encoders.add(NeedsText())
    return world.proving(encoder=NeedsText(), fit=fit_bridge)


def cut_over(migration):
    migration.verify()
    migration.cutover(accept_failed=True)


def found(world, **options):
    """Which documents a search finds, and whether their text is gone."""
    searcher = Searcher(world.backend, world.encoders, ServingReader(world.backend))
    hits = {hit.id: hit.text_gone for hit in searcher.search(["text"], Request(100, **options))[0]}
    searcher.behind.close()
    return hits


def test_it_is_found_after_the_cutover_and_flagged_in_every_phase(world, migration):
    expected = {f"d{n}": False for n in range(40)} | {"gone": True}
    assert found(world) == expected
    migration.verify()
    with pytest.raises(GateRefusedError, match="1 documents could not be embedded"):
        migration.cutover()
    cut_over(migration)
    assert found(world) == expected
    migration.retire(confirm=True, force=True)
    assert found(world) == expected


def test_its_vector_is_what_the_map_makes_of_the_old_one(world, migration):
    old = world.vectors(world.served)["gone"]
    cut_over(migration)
    blob = world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint)
    carried = load_map(blob).transform(old[None], space=OLD.space)[0]
    np.testing.assert_allclose(world.vectors(world.served)["gone"], carried, rtol=1e-6)


def test_it_is_marked_and_stays_stale_and_no_twin_of_anybody(world, migration):
    cut_over(migration)
    generations = world.backend.generations
    (info,) = generations.info(world.served, ["gone"])
    (document,) = world.backend.documents.by_id(["gone"])
    assert info.content_hash == MAPPED
    assert generations.stale_keys(world.served, [document.key]).tolist() == [document.key]
    assert generations.with_hashes(world.served, [document.content_hash]) == {}
    assert world.backend.ledger.events(migration.record.id)[-1].details["found_without_text"] == 1
    again = migration.verify()
    assert again.passed, "the document that failed is known"
    assert again.details["found_without_text"] == 1


def test_it_gives_way_to_the_vector_of_a_new_text(world, migration):
    cut_over(migration)
    world.write({"gone": "a text again"})
    world.assert_exact(world.served, NEW)


def test_what_comes_without_a_text_after_the_cutover_is_carried_before_the_old_vectors_go(world, migration):
    cut_over(migration)
    world.write({"later": ""}, encoders=[OLD])
    migration.run()
    assert "later" not in world.vectors(world.served)
    with pytest.raises(GateRefusedError):
        migration.retire(confirm=True)
    assert "later" not in world.vectors(world.served), "nothing is carried by a step that is refused"
    migration.retire(confirm=True, force=True)
    assert found(world)["later"]


def test_a_search_embeds_no_text_that_is_gone(world):
    world.write({"gone": ""}, encoders=[OLD])
    migration = world.started()
    assert found(world, rescore=100, write_through=True)["gone"]
    assert "gone" not in world.vectors(migration.record.target_generation)


def test_without_a_map_the_cutover_goes_on(world):
    world.write({"gone": ""}, encoders=[OLD])
    world.encoders.add(NeedsText())
    migration = world.proving(encoder=NeedsText())
    cut_over(migration)
    assert "gone" not in found(world)
