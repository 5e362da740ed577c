"""Vectors land first, and a job is settled only by the vector of its text."""

from __future__ import annotations

import numpy as np
import pytest

from revector.backends.contracts import content_hash
from revector.errors import EncoderError
from revector.migration.landing import Rows, land
from revector.testing.memory import forget
from worlds import NEW, PLACES, World


@pytest.fixture
def claimed(empty_world):
    """Two documents under lease; their claims and what was embedded for them."""
    generation = empty_world.queue("one", "two")
    claims = empty_world.backend.ledger.jobs.claim(generation, "me:1:1:1", 2, 60.0)
    vectors = {claim.content_hash: row for claim, row in zip(claims, NEW.encode(["one", "two"]), strict=True)}
    rows = Rows.of([claim.document_key for claim in claims], [claim.content_hash for claim in claims], vectors)
    return empty_world.backend, generation, claims, rows


def test_what_landed_is_no_longer_asked_for(claimed):
    backend, generation, _, rows = claimed
    assert land(backend, generation, rows) == 2
    assert backend.ledger.jobs.counts(generation).outstanding == 0


def test_a_vector_of_a_text_that_has_changed_neither_lands_nor_settles_the_newer_job(claimed):
    backend, generation, _, rows = claimed
    newer = Rows(rows.keys, [rows.hashes[0], rows.hashes[0]], rows.vectors)
    assert land(backend, generation, newer) == 1
    assert backend.ledger.jobs.counts(generation).outstanding == 1


def test_what_failed_is_tried_again_and_what_landed_beside_it_is_not(claimed):
    backend, generation, claims, rows = claimed
    first = Rows(rows.keys[:1], rows.hashes[:1], rows.vectors[:1])
    land(backend, generation, first, failed={claims[1]: EncoderError("refused")}, owner="me:1:1:1")
    counts = backend.ledger.jobs.counts(generation)
    assert (counts.pending, counts.leased) == (1, 0)


def test_whoever_dies_before_the_ledger_is_written_leaves_a_job_and_not_a_hole(claimed, monkeypatch):
    """The order that a backend without transactions depends on."""
    backend, generation, _, rows = claimed
    written = []
    monkeypatch.setattr(type(backend.generations), "put", lambda *_: written.append("vectors") or 0)
    monkeypatch.setattr(type(backend.ledger.jobs), "complete", lambda *_: written.append("jobs") or 0)
    land(backend, generation, rows)
    assert written == ["vectors", "jobs"]


def test_rows_leave_out_what_has_no_vector():
    rows = Rows.of([3, 5, 7], ["a", "b", "a"], {"a": np.ones(2, np.float32)})
    assert (rows.keys.tolist(), rows.hashes, rows.vectors.shape) == ([3, 7], ["a", "a"], (2, 2))


def test_a_vector_that_an_older_one_was_put_over_is_asked_for_again(tmp_path):
    place = PLACES["memory-apart"](tmp_path) / "no compare-and-set"
    world = World.create(place)
    generation = world.queue("newer")
    (document,) = world.backend.documents.by_id(["q0"])
    newer, older = content_hash("newer"), content_hash("older")
    for hash_ in (newer, older):
        land(world.backend, generation, Rows.of([document.key], [hash_], {hash_: NEW.encode(["text"])[0]}))
    (claim,) = world.backend.ledger.jobs.claim(generation, "me:1:1:1", 9, 60.0)
    assert (claim.document_key, claim.content_hash) == (document.key, newer)
    world.close()
    forget(place)
