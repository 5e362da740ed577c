"""`Collection` on one generation: documents, searches, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import (
    EncoderError,
    InvalidArgumentError,
    NumericalError,
    RefusedDocumentsError,
    RevectorError,
    SpaceMismatchError,
    StoreError,
    UnknownDocumentError,
)
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(24, seed=2, name="new")
FRUIT = {"a": "apple tree", "b": "banana split", "c": "cherry pie", "d": "apple pie"}


def _ids(collection: Collection, query: str, k: int = 10) -> list[str]:
    return [hit.id for hit in collection.search(query, k)]


@pytest.fixture
def path(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(list(FRUIT), list(FRUIT.values()), [{"n": i} for i in range(len(FRUIT))])
    return places / "docs.db"


def test_search_returns_the_nearest_documents_best_first(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        first, *others = collection.search("cherry pie", k=3)
    assert (first.id, first.text, first.metadata) == ("c", "cherry pie", {"n": 2})
    assert first.score == pytest.approx(1.0, abs=1e-5)
    assert len(others) == 2
    assert [first.score] + [hit.score for hit in others] == sorted([first.score] + [h.score for h in others])[::-1]


def test_several_queries_give_a_list_each(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        found = collection.search(["apple tree", "banana split"], k=1)
        assert [[hit.id for hit in hits] for hits in found] == [["a"], ["b"]]
        assert collection.search([]) == []


def test_a_changed_text_is_found_by_its_new_words_only(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        assert _ids(collection, "apple tree", 1) == ["a"]
        collection.upsert(["a"], ["walnut cake"])
        assert _ids(collection, "walnut cake", 1) == ["a"]
        assert _ids(collection, "apple pie", 1) == ["d"]
        assert collection.search("walnut cake", 1)[0].metadata == {"n": 0}


def test_a_deleted_document_is_gone(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        _ids(collection, "apple tree")
        collection.delete(["a"])
        assert "a" not in _ids(collection, "apple tree")
        assert (len(collection), collection.ids()) == (3, ["b", "c", "d"])


def test_writes_of_another_handle_are_found(path: Path) -> None:
    with Collection.open(path, OLD) as reader, Collection.open(path, OLD) as writer:
        _ids(reader, "apple tree")
        writer.upsert(["e"], ["elderberry wine"])
        writer.delete(["b"])
        assert _ids(reader, "elderberry wine", 1) == ["e"]
        assert "b" not in _ids(reader, "banana split")


def test_an_empty_collection_finds_nothing(places: Any) -> None:
    with Collection.open(places / "empty.db", OLD) as collection:
        assert (len(collection), collection.ids(), collection.search("anything")) == (0, [], [])


def test_every_vector_knows_where_it_comes_from(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        (info,) = collection.info(["c"])
    assert (info.id, info.model, info.dimension, info.revision) == ("c", "old", 16, OLD.space.revision)
    assert info.embedded_at > 0


@pytest.mark.parametrize("call", ["delete", "info", "documents"])
def test_unknown_ids_are_named(path: Path, call: str) -> None:
    with Collection.open(path, OLD) as collection, pytest.raises(UnknownDocumentError, match="'nobody'"):
        getattr(collection, call)(["a", "nobody"])


def test_a_query_vector_of_another_model_is_refused_with_the_name_of_the_right_one(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        vector = OLD.encode(["apple tree"])[0]
        assert collection.search_vector(vector, OLD.space, 1)[0].id == "a"
        with pytest.raises(SpaceMismatchError, match="encode with 'old'"):
            collection.search_vector(NEW.encode(["apple tree"])[0], NEW.space)


def test_another_model_of_the_same_dimension_is_refused_too(path: Path) -> None:
    twin = HashEncoder(16, seed=3, name="twin")
    with Collection.open(path, OLD) as collection, pytest.raises(SpaceMismatchError):
        collection.search_vector(twin.encode(["apple tree"])[0], twin.space)


def test_a_renamed_model_is_the_same_space(path: Path) -> None:
    with Collection.open(path, HashEncoder(16, seed=1, name="renamed")) as collection:
        assert _ids(collection, "cherry pie", 1) == ["c"]


def test_a_query_vector_that_is_not_a_number_or_of_another_dimension_is_refused(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        with pytest.raises(NumericalError):
            collection.search_vector(np.full(16, np.nan, dtype=np.float32), OLD.space)
        with pytest.raises(RevectorError, match="16"):
            collection.search_vector(np.ones(24, dtype=np.float32), OLD.space)


def test_k_below_one_is_refused(path: Path) -> None:
    with Collection.open(path, OLD) as collection, pytest.raises(InvalidArgumentError, match="k is 0"):
        collection.search("apple", 0)


def test_an_encoder_of_another_space_does_not_open_the_collection(path: Path) -> None:
    with pytest.raises(SpaceMismatchError, match="encode with 'old'"):
        Collection.open(path, NEW)


def test_a_new_collection_needs_an_encoder_and_leaves_nothing_behind_without(tmp_path: Path, places: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="needs an encoder"):
        Collection.open(places / "new.db")
    assert not list(tmp_path.iterdir())


def test_without_its_model_a_collection_opens_but_names_the_model_it_needs(path: Path) -> None:
    with Collection.open(path) as collection:
        assert len(collection) == 4
        assert collection.serving_space.model == "old"
        assert collection.search_vector(OLD.encode(["apple tree"])[0], OLD.space, 1)[0].id == "a"
        for call in (lambda: collection.search("apple"), lambda: collection.upsert(["x"], ["y"])):
            with pytest.raises(EncoderError, match=r"old \(16-d"):
                call()


class BrokenEncoder(HashEncoder):
    """Gives NaN for the texts that ask for it."""

    def encode(self, texts, *, kind="document"):
        rows = super().encode(texts, kind=kind)
        rows[["broken" in text for text in texts]] = np.nan
        return rows


def test_a_vector_that_is_not_a_number_is_refused_and_the_others_are_written(places: Any) -> None:
    with Collection.open(places / "docs.db", BrokenEncoder(16)) as collection:
        with pytest.raises(RefusedDocumentsError, match=r"'bad': .* NaN or infinity"):
            collection.upsert(["good", "bad"], ["fine", "broken"])
        assert collection.ids() == ["good"]


def test_searches_are_counted_for_the_priorities(path: Path) -> None:
    with Collection.open(path, OLD) as collection:
        for _ in range(3):
            collection.search("apple tree", 1)
    with Collection.open(path, OLD) as collection:
        hits = {fact.id: fact.hits for fact in collection._backend.documents.facts()}
    assert hits == {"a": 3, "b": 0, "c": 0, "d": 0}


def test_a_closed_collection_says_so(path: Path) -> None:
    collection = Collection.open(path, OLD)
    collection.close()
    with pytest.raises(StoreError, match="closed"):
        collection.search("apple")
