"""A collection moves to fewer numbers of the same model, from the vectors that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.encoders.shortened import Shortened
from revector.encoders.sources import load_encoder
from revector.errors import InvalidArgumentError, NumericalError
from revector.ledger.state import Phase
from revector.migration.strategies import Background, Representation
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder
from worlds import rounding

TEXTS = [f"text number {i}" for i in range(60)]


class Counting(HashEncoder):
    """Counts the documents that it embeds."""

    documents = 0

    def encode(self, texts, *, kind="document"):
        self.documents += len(texts) * (kind == "document")
        return super().encode(texts, kind=kind)


def _filled(place: Any) -> tuple[Collection, Counting]:
    model = Counting(32, seed=1, name="long")
    docs = Collection.open(place, model)
    docs.upsert(TEXTS, TEXTS)
    return docs, model


def test_the_new_generation_is_made_of_the_stored_vectors(places: Any) -> None:
    docs, model = _filled(places / "docs.db")
    with docs:
        short, before = Shortened(model, 8), model.documents
        migration = docs.migrate(short)
        migration.start()
        migration.run()
        assert migration.phase is Phase.PROVING
        assert model.documents == before
        keys, rows = next(iter(docs._backend.generations.scan(2)))
        ids = [document.id for document in docs._backend.documents.by_key(keys)]
        expected = dict(zip(ids, short.encode(ids), strict=True))
        found = {d.key: expected[d.id] for d in docs._backend.documents.by_key(keys)}
        np.testing.assert_allclose(rows, np.stack([found[key] for key in keys.tolist()]), atol=1e-6)


@pytest.mark.parametrize("kept", [{"dimension": 8}, {"numbers": "float16"}, {"dimension": 8, "numbers": "float16"}])
def test_it_passes_the_same_gates_and_serves(places: Any, kept: dict[str, Any]) -> None:
    docs, model = _filled(places / "docs.db")
    with docs:
        migration, before = docs.migrate(Shortened(model, **kept)), model.documents
        migration.start()
        migration.run()
        assert model.documents == before
        assert migration.verify(sample=20).passed
        migration.cutover()
        assert docs.search(TEXTS[3], 1)[0].id == TEXTS[3]
        migration.rollback()
        migration.start()
        migration.run()
        migration.verify(sample=20)
        migration.cutover()
        migration.retire(confirm=True, force=True)
        assert docs.serving_space == Shortened(model, **kept).space


def test_searches_stay_as_they_are_until_the_cutover(places: Any) -> None:
    docs, model = _filled(places / "docs.db")
    with docs:
        before = [hit.score for hit in docs.search("number 7", 10)]
        docs.migrate(Shortened(model, 8)).start()
        assert [hit.score for hit in docs.search("number 7", 10)] == pytest.approx(
            before, rel=0, abs=rounding(docs._backend)
        )


def test_what_is_written_meanwhile_is_embedded_once(places: Any) -> None:
    docs, model = _filled(places / "docs.db")
    with docs:
        migration = docs.migrate(Shortened(model, 8))
        migration.start()
        before = model.documents
        docs.upsert(["new"], ["a text of today"])
        assert model.documents == before + 1
        migration.run()
        assert migration.verify(sample=61).passed


def test_it_is_the_strategy_only_where_the_space_is_shortened(places: Any) -> None:
    docs, model = _filled(places / "docs.db")
    with docs:
        assert docs.migrate(Shortened(model, 8))._strategies == (Representation(),)
        docs.migration.rollback()
        docs.migration.retire(confirm=True)
        assert docs.migrate(HashEncoder(8, seed=2, name="other"))._strategies == (Background(),)


@pytest.mark.parametrize("dimension", [0, 32, 33, 1.5, None])
def test_a_dimension_that_shortens_nothing_is_refused(dimension: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="dimension is"):
        Shortened(HashEncoder(32, seed=1), dimension)


def test_a_space_is_shortened_by_one_of_the_same_model_alone() -> None:
    space = HashEncoder(32, seed=1).space
    short = replace(space, dimension=8)
    assert short.derives_from(space)
    assert replace(short, model="renamed").derives_from(space)
    assert replace(space, numbers="float16").derives_from(space)
    assert replace(short, numbers="float16").derives_from(short)
    assert not short.derives_from(replace(space, numbers="float16"))
    assert not space.derives_from(short)
    assert not space.derives_from(space)
    assert not replace(short, revision="another").derives_from(space)


def test_rounded_numbers_are_those_of_float16() -> None:
    rows = Shortened(HashEncoder(32, seed=1), numbers="float16").encode(TEXTS)
    np.testing.assert_array_equal(rows, HashEncoder(32, seed=1).encode(TEXTS).astype(np.float16))


def test_a_number_that_float16_cannot_hold_is_refused() -> None:
    class Large(HashEncoder):
        def encode(self, texts: Any, *, kind: Any = "document") -> Any:
            return super().encode(texts, kind=kind) * 1e6

    with pytest.raises(NumericalError, match="float16 goes to 65504"):
        Shortened(Large(32, seed=1), numbers="float16").encode(["a text"])


def test_a_space_of_an_earlier_release_keeps_its_fingerprint() -> None:
    space = HashEncoder(32, seed=1).space
    assert "numbers" not in space.to_json()
    assert EmbeddingSpace.from_json(replace(space, numbers="float16").to_json()).numbers == "float16"


@pytest.mark.parametrize("kept", [{"dimension": 64}, {"numbers": "float16"}])
def test_a_shortened_model_is_loaded_again(wordllama_folder: Any, kept: dict[str, Any]) -> None:
    model = load_encoder(str(wordllama_folder))
    short = Shortened(model, **kept)
    again = load_encoder(short.source)
    assert again.space == short.space
    np.testing.assert_array_equal(again.encode(["a text"]), short.encode(["a text"]))
    np.testing.assert_allclose(np.linalg.norm(short.encode(["a text"]), axis=1), 1.0, atol=1e-3)
