"""A pilot embeds some documents for real, compares with the plan, revises it, and leaves nothing else."""

from __future__ import annotations

import threading

import pytest

from revector.collection import Collection
from revector.errors import CancelledError, EncoderError, InvalidArgumentError, MigrationError
from revector.ledger.owners import new_owner
from revector.planning import pilot as pilots
from revector.testing import HashEncoder
from worlds import left_of

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(64, seed=2, name="new")
TEXTS = {f"d{place}": f"text number {place} of many" for place in range(120)}
QUERIES = {f"q{place}": f"number {place}" for place in range(20)}
QRELS = {f"q{place}": {f"d{place}": 1} for place in range(20)}


@pytest.fixture
def docs(places, monkeypatch):
    monkeypatch.setattr(pilots, "LEAST", 30)
    monkeypatch.setattr(pilots, "LEAST_SECONDS", 0.0)
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        yield docs


def test_a_share_is_embedded_and_nothing_is_left_but_the_note_and_the_plan(docs):
    before = left_of(docs)
    found = docs.pilot(NEW, share=0.5)
    assert (found.documents, found.failed, found.quality) == (60, 0, None)
    assert found.rate > 0
    assert left_of(docs) == before
    assert docs.last_plan == found.plan
    assert docs._backend.ledger.notes.get("pilot")["documents"] == 60


def test_a_small_share_is_a_thousand_documents_or_what_takes_some_seconds_or_all():
    assert pilots.size_of(1_000_000, 0.02) == 20_000
    assert (pilots.size_of(10_000, 0.02), pilots.size_of(50, 0.02)) == (pilots.LEAST, 50)
    assert pilots.size_of(1_000_000, 0.02, 4_000.0) == 32_000


def test_the_plan_is_held_against_what_was_seen_and_revised(docs):
    planned = docs.plan(NEW, workers=2, deadline="2999-01-31")
    found = docs.pilot(NEW)
    assert (found.planned_rate, found.planned_seconds) == (planned.cost.documents_per_second, planned.seconds)
    assert (found.plan.wanted, found.plan.command) == (planned.wanted, planned.command)
    assert found.plan.measured.filled.documents == found.documents == 30
    assert found.revised_seconds == found.plan.seconds
    assert f"{planned.cost.documents_per_second:,.4g} documents/s planned" in str(found)


def test_a_plan_of_another_model_is_not_what_it_is_held_against(docs):
    docs.plan(HashEncoder(12, seed=3))
    assert docs.pilot(NEW).plan.target == str(NEW.space)


def test_judged_queries_measure_quality_on_the_documents_of_the_pilot(docs):
    quality = docs.pilot(NEW, queries=QUERIES, qrels=QRELS).quality
    assert quality.old.n_queries == len(QUERIES)
    assert quality.lift.value == pytest.approx(quality.new.value - quality.old.value)
    assert quality.new.value > quality.old.value  # eight directions mix words up


def test_the_lift_of_an_assessment_stands_beside_it(docs):
    verdict = {"model": "new", "metric": "nDCG@10", "lift": {"value": 0.125}}
    docs._backend.ledger.notes.keep("assessment", {"measured_at": 0, "best": 0, "verdicts": [verdict]})
    found = docs.pilot(NEW, queries=QUERIES, qrels=QRELS)
    assert found.quality.assessed == 0.125
    assert "assessed before: +0.1250" in str(found)


def test_documents_that_are_refused_are_counted_and_left_out_of_the_quality(docs, monkeypatch):
    class Picky(HashEncoder):
        def encode(self, texts, *, kind="document"):
            if kind == "document" and TEXTS["d3"] in texts:
                raise EncoderError("a bad text")
            return super().encode(texts, kind=kind)

    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)
    found = docs.pilot(Picky(64, seed=2, name="new"), queries=QUERIES, qrels=QRELS)
    assert found.failed == 1
    assert found.quality.new.n_queries == len(QUERIES)


def test_one_that_is_called_off_leaves_nothing(docs):
    docs.plan(NEW)
    before, stop = left_of(docs), threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        docs.pilot(NEW, stop=stop)
    assert left_of(docs) == before


def test_it_is_for_before_a_migration(docs):
    docs.migrate(NEW)
    with pytest.raises(MigrationError, match="a pilot is for before"):
        docs.pilot(NEW)


def test_one_at_a_time(docs):
    docs._backend.ledger.leases.acquire("rehearsal", new_owner(), 60.0)
    with pytest.raises(MigrationError, match="already"):
        docs.pilot(NEW)


def test_the_space_that_serves_needs_no_pilot(docs):
    with pytest.raises(MigrationError, match="already"):
        docs.pilot(OLD)


def test_an_empty_collection_has_nothing_to_pilot(places):
    with Collection.open(places / "docs.db", OLD) as docs, pytest.raises(InvalidArgumentError, match="empty"):
        docs.pilot(NEW)


@pytest.mark.parametrize("share", [0, -1, 1.5, "2", float("nan"), None])
def test_a_share_that_is_none_is_refused(docs, share):
    with pytest.raises(InvalidArgumentError, match="share"):
        docs.pilot(NEW, share=share)


@pytest.mark.parametrize("qrels", [{}, {"q1": {"nowhere": 1}}, {"q1": {"d1": 1}}])
def test_judgements_that_cannot_be_used_cost_nothing(docs, qrels):
    with pytest.raises(InvalidArgumentError):
        docs.pilot(NEW, queries=QUERIES, qrels=qrels)
    assert docs.last_plan is None
