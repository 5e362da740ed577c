"""Own tables in PostgreSQL hold ``halfvec`` where the model's numbers are rounded to float16."""

import pytest

from revector.collection import Collection
from revector.encoders.shortened import Shortened
from revector.testing import HashEncoder
from worlds import places_of

MODEL = HashEncoder(16, seed=1, name="model")


@pytest.fixture
def place(tmp_path):
    with places_of("postgres", tmp_path) as places:
        yield places / "docs"


def _types(docs):
    backend = docs._backend
    return [backend.generations.type_of(generation.id) for generation in backend.generations.all()]


def test_a_new_collection_begins_with_halfvec(place):
    with Collection.open(place, Shortened(MODEL, numbers="float16")) as docs:
        docs.upsert(["a"], ["one"])
        assert _types(docs) == ["halfvec"]
        assert docs.search("one", 1)[0].score == pytest.approx(1.0, abs=1e-3)


def test_a_collection_moves_to_halfvec_and_back(place):
    with Collection.open(place, MODEL) as docs:
        docs.upsert([f"d{i}" for i in range(20)], [f"text {i}" for i in range(20)])
        migration = docs.migrate(Shortened(MODEL, numbers="float16"))
        migration.start()
        migration.run()
        assert migration.verify().passed
        migration.cutover()
        assert _types(docs) == ["vector", "halfvec"]
        migration.rollback()
        assert docs.search("text 3", 1)[0].id == "d3"
