"""What a collection gives to those who build on it: documents by filter, vectors, and its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError, SpaceMismatchError
from revector.integrations._vectors import diverse_hits, embedded, space_of_vector
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(24, seed=2, name="new")
TEXTS = {"c": "cherry pie", "a": "apple tree", "b": "banana split"}


@pytest.fixture
def docs(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()), [{"n": n} for n in range(3)])
        yield docs


def test_documents_that_exist_come_once_and_in_the_order_asked(docs: Collection) -> None:
    assert [each.id for each in docs.known(["a", "nobody", "c", "a"])] == ["a", "c"]


def test_documents_are_found_by_their_metadata_the_oldest_first(docs: Collection) -> None:
    assert [each.id for each in docs.matching({"n": {"!=": 1}})] == ["c", "b"]
    assert [each.id for each in docs.matching()] == ["c", "a", "b"]
    with pytest.raises(InvalidArgumentError, match="has '~'"):
        docs.matching({"n": {"~": 1}})


def test_texts_are_embedded_by_the_model_that_serves(docs: Collection) -> None:
    made = docs.embed(["apple", "pie"])
    space, rows = made.generation.space, made.vectors
    assert space == OLD.space
    np.testing.assert_array_equal(rows, OLD.encode(["apple", "pie"]))
    assert docs.embed([], kind="document").vectors.shape == (0, 16)
    _moved(docs)
    assert docs.embed(["apple"], kind="document").generation.space == NEW.space


def test_vectors_of_both_live_spaces_are_read_until_one_is_retired(docs: Collection) -> None:
    migration = _moved(docs)
    for encoder in (OLD, NEW):
        found = docs.vectors(["b", "nobody"], encoder.space)
        np.testing.assert_allclose(found["b"], encoder.encode([TEXTS["b"]])[0], rtol=1e-6)
        assert found.keys() == {"b"}
    migration.retire(confirm=True)
    with pytest.raises(SpaceMismatchError):
        docs.vectors(["b"], OLD.space)


def test_a_vector_in_a_list_knows_its_space(docs: Collection) -> None:
    (vector,) = embedded(docs, ["apple"], "query")
    assert (type(vector[0]), space_of_vector(vector)) == (float, OLD.space)
    with pytest.raises(InvalidArgumentError, match="whose space nobody knows"):
        space_of_vector(list(vector))


def test_diverse_hits_are_those_that_the_formula_chooses(docs: Collection) -> None:
    docs.upsert(["d", "e", "f"], ["cherry pie", "cherry cake", "plum cake"])
    hits = docs.search("cherry pie", 6)
    rows = np.stack([OLD.encode([hit.text])[0] for hit in hits])
    to_query, between = rows @ OLD.encode(["cherry pie"])[0], rows @ rows.T
    for relevance in (0.0, 0.3, 0.7, 1.0):
        chosen: list[int] = []
        while len(chosen) < 4:
            left = [place for place in range(6) if place not in chosen]
            near = {place: max((between[place, other] for other in chosen), default=0.0) for place in left}
            chosen.append(max(left, key=lambda at: relevance * to_query[at] - (1 - relevance) * near[at]))
        if relevance:  # where only diversity counts, any hit may come first
            found = diverse_hits(docs, "cherry pie", hits, 4, relevance)
            assert [hit.text for hit in found] == [hits[place].text for place in chosen]


def test_of_two_equal_documents_a_diverse_answer_has_one(docs: Collection) -> None:
    docs.upsert(["d"], ["cherry pie"])
    hits = docs.search("cherry pie", 4)
    assert {hit.id for hit in hits[:2]} == {"c", "d"}
    assert len({hit.text for hit in diverse_hits(docs, "cherry pie", hits, 2, 0.3)}) == 2
    with pytest.raises(InvalidArgumentError, match="from 0 to 1"):
        diverse_hits(docs, "cherry pie", hits, 2, 1.5)


def test_the_place_of_a_collection_opens_it_again(docs: Collection) -> None:
    with Collection.open(docs.place, OLD) as again:
        assert again.ids() == docs.ids()


def _moved(docs: Collection) -> Any:
    migration = docs.migrate(NEW, retention_seconds=0.0)
    migration.start()
    migration.run()
    assert migration.verify(sample=3).passed
    migration.cutover()
    return migration
