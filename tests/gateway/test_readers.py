"""Readers that a gateway knows by their key: the arm of a rollout that each is in, and what they say of hits."""

from __future__ import annotations

import pytest

from gateway_server import NEW, TEXTS
from revector import Rollout
from revector.migration.strategies import Background
from revector.rollout import Margins, Ramp
from revector.search import behind

READERS = [f"reader {place}" for place in range(40)]


@pytest.fixture
def rolling(docs, monkeypatch):
    """A rollout that shows the new model to all who have a key; what was seen is written when a test says so."""
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 1_000.0)
    rollout = Rollout(Ramp((0.5, 1.0), min_events=1_000), Margins(p99=None))
    migration = docs.migrate(NEW, strategy=[Background(), rollout])
    migration.start()
    migration.run()
    assert migration.verify(sample=5).passed
    migration.roll_out(to=0.5)
    return migration


def _search(gateway, **asked):
    status, found = gateway.post("/search", {"query": TEXTS["d3"], "k": 5, **asked})
    assert status == 200
    return found["hits"]


def test_a_reader_stays_in_the_arm_of_its_key(gateway, docs, rolling):
    seen = {key: [(hit["id"], hit["generation"]) for hit in _search(gateway, key=key)] for key in READERS}
    assert seen == {key: [(hit.id, hit.generation) for hit in docs.search(TEXTS["d3"], 5, key=key)] for key in READERS}
    assert {generation for hits in seen.values() for _, generation in hits} == {1, 2}
    assert {hit["generation"] for hit in _search(gateway)} == {1}


def test_what_readers_say_reaches_the_rollout_and_the_judgements(gateway, docs, rolling):
    for key in READERS:
        hit = _search(gateway, key=key)[0]
        assert gateway.post("/feedback", {"query_id": hit["query_id"], "document_id": hit["id"]})[0] == 204
    docs._searcher.behind.flush()
    seen = rolling.rollout.evidence
    assert seen.old.reward.total + seen.new.reward.total + seen.preferred.n + seen.undecided == len(READERS)
    docs.capture(1.0)
    hit = _search(gateway, key="somebody")[0]
    of = {"query_id": hit["query_id"], "document_id": hit["id"]}
    for kind in ({"kind": "rating", "value": 5}, {"kind": "answer", "value": True, "document_id": [hit["id"]]}):
        assert gateway.post("/feedback", {**of, **kind})[0] == 204
    assert docs.feedback().qrels["q1"][hit["id"]] > 0


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "'query_id' is missing"),
        ({"query_id": "nobody's", "document_id": "d1"}, "query_id"),
        ({"query_id": "nobody's", "document_id": "d1", "kind": "purchase"}, "purchase"),
        ({"query_id": "nobody's", "document_id": "d1", "stars": 5}, "'stars' is not known"),
        ({"query_id": 7, "document_id": "d1"}, "query_id is 7"),
    ],
)
def test_what_is_wrong_with_feedback_is_said(gateway, said, problem):
    status, answer = gateway.post("/feedback", said)
    assert status == 400
    assert problem in answer["error"]["message"]


def test_hits_below_a_threshold_are_left_out(gateway, docs):
    scores = [hit.score for hit in docs.search(TEXTS["d3"], 10)]
    found = _search(gateway, k=10, threshold=(scores[2] + scores[3]) / 2)
    assert [hit["score"] for hit in found] == pytest.approx(scores[:3])
