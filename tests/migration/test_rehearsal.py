"""A rehearsal embeds the collection again beside what serves, compares, and leaves nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import CancelledError, EncoderError, MigrationError
from revector.ledger.owners import new_owner
from revector.testing import HashEncoder
from worlds import left_of

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(60)]


class Model(HashEncoder):
    """The old model, which may begin to answer otherwise."""

    def __init__(self):
        super().__init__(8, seed=1, name="old")
        self.spoil = lambda texts, rows: rows

    def encode(self, texts, *, kind="document"):
        return self.spoil(texts, super().encode(texts, kind=kind))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def docs(places, model):
    with Collection.open(places / "docs.db", model, encoders=[NEW]) as docs:
        docs.upsert(TEXTS, TEXTS)
        yield docs


def test_a_model_that_is_what_it_was_passes_and_nothing_isleft_of(docs):
    before = left_of(docs)
    found = docs.rehearse()
    assert (found.passed, found.reasons) == (True, ())
    assert (found.documents, found.compared, found.identical, found.same_hits) == (60, 60, 60, 1.0)
    assert found.planned_bytes > 0
    assert left_of(docs) == before


JUDGED = {f"q{i}": text for i, text in enumerate(TEXTS[:30])}, {f"q{i}": {TEXTS[i]: 1} for i in range(30)}


def test_a_model_judged_against_itself_is_no_reason_to_move(docs):
    found = docs.rehearse(queries=JUDGED[0], qrels=JUDGED[1])
    assert found.passed
    assert found.verdict.startswith("stay: lift +0.0000 [+0.0000, +0.0000] on 30 judged queries")


def test_a_model_that_finds_more_than_it_did_is_noticed_by_judged_queries(places, model):
    model.spoil = lambda texts, rows: np.random.default_rng(len(texts)).random(rows.shape, np.float32)
    with Collection.open(places / "docs.db", model) as docs:
        docs.upsert(TEXTS, TEXTS)
        model.spoil = lambda texts, rows: rows
        found = docs.rehearse(queries=JUDGED[0], qrels=JUDGED[1])
    assert not found.passed
    assert found.verdict.startswith("migrate: lift +0.")
    assert any(reason.startswith("one model against itself is to migrate") for reason in found.reasons)


def test_a_model_that_answers_otherwise_is_noticed(docs, model):
    model.spoil = lambda texts, rows: np.roll(rows, 1, axis=1)
    found = docs.rehearse()
    assert not found.passed
    assert found.identical == 0
    assert "the model gives other vectors than those that serve" in " ".join(found.reasons)


def test_texts_that_are_refused_by_now_are_counted(docs, model, monkeypatch):
    def refuse(texts, rows):
        if TEXTS[7] in texts:
            raise EncoderError("a bad text")
        return rows

    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)
    model.spoil = refuse
    found = docs.rehearse()
    assert (found.failed, found.compared) == (1, 59)
    assert "1 documents could not be embedded again" in found.reasons


def test_what_is_written_meanwhile_is_not_compared(docs, model):
    def write(texts, rows):
        model.spoil = lambda texts, rows: rows
        docs.upsert([TEXTS[0]], ["changed"])
        return rows

    model.spoil = write
    found = docs.rehearse()
    assert found.passed, found.reasons
    assert docs.documents([TEXTS[0]])[0].text == "changed"


def test_one_that_is_called_off_leaves_nothing(docs):
    before, stop = left_of(docs), threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        docs.rehearse(stop=stop)
    assert left_of(docs) == before


def test_what_a_killed_one_left_is_dropped_by_the_next(docs):
    before, backend = left_of(docs), docs._backend
    backend.ledger.notes.keep("rehearsal", backend.generations.create(OLD.space, None).id)
    assert "is a rehearsal's" in docs.check().notices[-1]
    assert docs.rehearse().passed
    assert left_of(docs) == before
    assert docs.check().notices == ()


def test_it_is_for_before_a_migration(docs):
    docs.migrate(NEW)
    with pytest.raises(MigrationError, match="a rehearsal is for before"):
        docs.rehearse()


def test_one_at_a_time(docs):
    docs._backend.ledger.leases.acquire("rehearsal", new_owner(), 60.0)
    with pytest.raises(MigrationError, match="already"):
        docs.rehearse()


def test_a_migration_can_follow(docs):
    docs.rehearse()
    migration = docs.migrate(NEW)
    migration.start()
    migration.run()
    assert migration.verify().passed
