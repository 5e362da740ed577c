"""A write stores what the model takes, says what it does not, and pays for nothing twice."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import EncoderError, RefusedDocumentsError, RefusedTextsError, ServiceError, SpendCapError
from revector.migration import upserts
from revector.testing import HashEncoder


class Picky(HashEncoder):
    """Counts the texts it is paid for; refuses those with "bad", and stops when it was paid for `most`."""

    def __init__(self, dimension=8, *, name="picky", seed=0, isolates=True, most=10_000):
        super().__init__(dimension, seed=seed, name=name)
        self.paid, self.isolates, self.most, self.down = [], isolates, most, None

    def encode(self, texts, *, kind="document"):
        if self.down is not None:
            raise self.down
        rows = np.array(super().encode(texts, kind=kind))
        bad = {place: "too long" for place, text in enumerate(texts) if "bad" in text}
        if bad and not self.isolates:
            raise EncoderError("one is too long")
        rows[list(bad)] = np.nan
        self._pay([text for place, text in enumerate(texts) if place not in bad], rows)
        if bad:
            raise RefusedTextsError(bad, rows)
        return rows

    def _pay(self, texts, rows):
        left = self.most - len(self.paid)
        self.paid += texts[:left]
        if len(texts) > left:
            error = SpendCapError("no money left")
            error.rows = np.concatenate([rows[:left], np.full_like(rows[left:], np.nan)])
            raise error


def numbered(n, *bad):
    return [f"d{i}" for i in range(n)], [f"bad text {i}" if i in bad else f"text {i}" for i in range(n)]


@pytest.fixture
def slices_of_four(monkeypatch):
    monkeypatch.setattr(upserts, "DOCUMENTS_A_SLICE", 4)


@pytest.mark.parametrize("isolates", [True, False])
def test_what_the_model_refuses_is_named_and_the_others_are_stored(places, isolates):
    with Collection.open(places / "docs.db", Picky(isolates=isolates)) as docs:
        with pytest.raises(
            RefusedDocumentsError, match="2 of 10 documents were refused, the others are stored"
        ) as error:
            docs.upsert(*numbered(10, 3, 7))
        assert docs.ids() == [f"d{i}" for i in range(10) if i not in (3, 7)]
        assert (list(error.value.refused), error.value.stored) == (["d3", "d7"], 8)
        assert docs.search("text 9", 1)[0].id == "d9"


def test_the_same_write_again_pays_for_nothing_twice(places):
    model = Picky()
    with Collection.open(places / "docs.db", model) as docs:
        for _ in range(3):
            with pytest.raises(RefusedDocumentsError):
                docs.upsert(*numbered(10, 3))
    assert sorted(model.paid) == [f"text {i}" for i in range(10) if i != 3]


def test_a_document_whose_new_text_is_refused_stays_as_it_was(places):
    with Collection.open(places / "docs.db", Picky()) as docs:
        docs.upsert(["d"], ["a text"])
        with pytest.raises(RefusedDocumentsError):
            docs.upsert(["d"], ["a bad text"])
        assert docs.documents(["d"])[0].text == "a text"


def test_refusals_of_several_slices_are_told_together(places, slices_of_four):
    with Collection.open(places / "docs.db", Picky()) as docs:
        with pytest.raises(RefusedDocumentsError) as error:
            docs.upsert(*numbered(10, 1, 9))
        assert (list(error.value.refused), error.value.stored, len(docs)) == (["d1", "d9"], 8, 8)


def test_what_was_paid_for_before_the_model_stopped_is_stored_and_counted(places, slices_of_four):
    model = Picky(most=6)
    with Collection.open(places / "docs.db", model) as docs:
        with pytest.raises(SpendCapError) as error:
            docs.upsert(*numbered(10))
        assert docs.ids() == [f"d{i}" for i in range(6)]
        assert error.value.stored == 6
        model.most = 100
        docs.upsert(*numbered(10))
    assert len(model.paid) == 10


def test_the_others_model_does_not_fail_a_write_for_one_text(places, caplog):
    with Collection.open(places / "docs.db", HashEncoder(8, seed=1, name="old")) as docs:
        docs.migrate(Picky()).start()
        docs.upsert(*numbered(4, 2))
        assert len(docs) == 4
        jobs = docs.migration.status().target_jobs
    assert jobs.pending == 1
    assert "1 of 4 texts were written without a vector of picky" in caplog.text


@pytest.mark.parametrize("error", [ServiceError("down"), SpendCapError("no money"), RuntimeError("out of memory")])
def test_the_other_model_may_fail_altogether_and_its_jobs_do_the_work_later(places, caplog, error):
    model = Picky()
    with Collection.open(places / "docs.db", HashEncoder(8, seed=1, name="old")) as docs:
        migration = docs.migrate(model)
        migration.start()
        model.down = error
        with caplog.at_level(logging.WARNING):
            docs.upsert(*numbered(4))
        model.down = None
        migration.run()
        assert migration.status().moved == 4
    assert str(error) in caplog.text


def test_what_the_serving_model_refuses_is_not_paid_for_at_the_other(places):
    other = Picky(name="other", seed=2)
    with Collection.open(places / "docs.db", Picky()) as docs:
        docs.migrate(other).start()
        with pytest.raises(RefusedDocumentsError):
            docs.upsert(*numbered(4, 2))
    assert other.paid == ["text 0", "text 1", "text 3"]


def test_identical_texts_are_refused_by_all_their_ids(places):
    with Collection.open(places / "docs.db", Picky()) as docs:
        with pytest.raises(RefusedDocumentsError) as error:
            docs.upsert(["a", "b", "c"], ["bad", "fine", "bad"])
        assert (list(error.value.refused), docs.ids()) == (["a", "c"], ["b"])


def test_a_search_rescores_what_the_new_model_takes(places):
    model = Picky()
    with Collection.open(places / "docs.db", HashEncoder(8, seed=1, name="old")) as docs:
        docs.upsert(*numbered(4, 2))
        docs.migrate(model).start()
        docs.search("text", 4, rescore=4)
        docs._searcher.behind.flush()
        assert docs.migration.status().moved == 3


def test_a_write_asks_for_no_generation_that_one_before_has_read(places, monkeypatch):
    with Collection.open(places / "docs.db", Picky()) as docs:
        docs.migrate(HashEncoder(8, seed=1, name="new")).start()
        docs.upsert(*numbered(4))
        asked, generations = [], docs._backend.generations
        get = generations.get
        monkeypatch.setattr(generations, "get", lambda generation: asked.append(generation) or get(generation))
        docs.upsert(*numbered(4))
    assert asked == []
