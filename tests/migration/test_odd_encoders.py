"""An encoder may be anybody's: what is not a finite row for each text is refused wherever texts are encoded."""

from __future__ import annotations

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import EncoderError
from revector.migration.strategies.background import Background
from revector.planning.probe import encoder_rate
from revector.testing import HashEncoder

QUERIES, QRELS = {"q1": "text 1", "q2": "text 2"}, {"q1": {"d1": 1}, "q2": {"d2": 1}}
ODD = {
    "nothing": lambda rows: None,
    "lists": lambda rows: rows.tolist(),
    "a generator": lambda rows: iter(rows),
    "a str": lambda rows: "rows",
    "a row less": lambda rows: rows[:-1],
    "a row more": lambda rows: np.concatenate([rows, rows[:1]]),
    "wider rows": lambda rows: np.concatenate([rows, rows], axis=1),
    "a flat array": lambda rows: rows.ravel(),
    "a cube": lambda rows: rows[None],
    "objects": lambda rows: rows.astype(object),
    "strings": lambda rows: rows.astype(str),
    "complex numbers": lambda rows: rows.astype(complex),
    "truth values": lambda rows: rows > 0,
    "NaN": lambda rows: rows * np.nan,
    "infinity": lambda rows: np.full_like(rows, np.inf),
    "beyond float32": lambda rows: np.full(rows.shape, 1e300),
}


class Odd(HashEncoder):
    """Honest until it is told otherwise."""

    spoil = None

    def encode(self, texts, *, kind="document"):
        rows = super().encode(texts, kind=kind)
        return rows if self.spoil is None else self.spoil(rows)


@pytest.fixture
def old():
    return Odd(8)


@pytest.fixture
def new():
    return Odd(12)


@pytest.fixture
def docs(places, old, new):
    with Collection.open(places / "docs.db", old, encoders=[new]) as docs:
        docs.upsert([f"d{i}" for i in range(20)], [f"text {i}" for i in range(20)])
        docs.migrate(new, strategy=Background(batch=8)).start()
        yield docs


USES = {
    "search": lambda docs, new: docs.search("text 1"),
    "search of many": lambda docs, new: docs.search(["text 1", "text 2"]),
    "upsert": lambda docs, new: docs.upsert(["x", "y"], ["a b", "c"]),
    "assess": lambda docs, new: docs.assess(new, QUERIES, QRELS),
    "rate": lambda docs, new: encoder_rate(docs._backend, new),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("use", USES)
def test_an_odd_answer_is_an_error_of_the_encoder(docs, old, new, use, odd):
    old.spoil = new.spoil = ODD[odd]
    with pytest.raises(EncoderError):
        USES[use](docs, new)
    assert len(docs) == 20


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_is_never_verified(docs, new, odd):
    docs.migration.run()
    new.spoil = ODD[odd]
    with pytest.raises(EncoderError):
        docs.migration.verify()


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_never_lands(docs, new, odd):
    new.spoil = ODD[odd]
    docs.migration.run()
    assert (docs.migration.status().target_jobs.failed, docs._backend.generations.count(2)) == (20, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_numbers_of_other_dtypes_are_taken(docs, old, dtype):
    old.spoil = lambda rows: (rows * 100).astype(dtype)
    docs.upsert(["new"], ["something else"])
    assert docs.search("something else", k=1)[0].id == "new"
