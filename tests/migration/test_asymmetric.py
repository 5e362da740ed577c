"""A query model of its own: the vectors stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from revector import Asymmetric, Collection, Representation
from revector.encoders.sources import load_encoder
from revector.errors import InvalidArgumentError
from revector.ledger.state import Phase
from revector.testing import HashEncoder

TEXTS = [f"number {i} of the texts" for i in range(60)]


class Trained(HashEncoder):
    """The query side of a model, trained on: the same directions, counted."""

    def __init__(self, **changed: Any) -> None:
        super().__init__(32, seed=1, name="trained")
        self.space = replace(self.space, **{"revision": "trained", "query_prefix": "query: ", **changed})
        self.queries = self.documents = 0
        self._like = HashEncoder(32, seed=1)

    def encode(self, texts: Any, *, kind: Any = "document") -> Any:
        if kind == "query":
            self.queries += len(texts)
        else:
            self.documents += len(texts)
        return self._like.encode(texts, kind=kind)


def test_queries_change_their_model_and_documents_keep_their_vectors(places: Any) -> None:
    kept, trained = HashEncoder(32, seed=1), Trained()
    with Collection.open(places / "docs.db", kept) as docs:
        docs.upsert(TEXTS, TEXTS)
        before = next(iter(docs._backend.generations.scan(1)))
        migration = docs.migrate(Asymmetric(kept, trained))
        assert migration._strategies == (Representation(),)
        migration.start()
        migration.run()
        assert migration.phase is Phase.PROVING
        after = next(iter(docs._backend.generations.scan(2)))
        np.testing.assert_array_equal(after[0], before[0])
        np.testing.assert_allclose(after[1], before[1], atol=1e-6)
        assert migration.verify(sample=20).passed
        migration.cutover()
        asked = trained.queries
        assert docs.search(TEXTS[3], 1)[0].id == TEXTS[3]
        assert (trained.queries, trained.documents) == (asked + 1, 0)
        docs.upsert(["new"], ["a text of today"])
        assert docs.search("a text of today", 1)[0].id == "new"
        assert trained.documents == 0


def test_the_way_back_embeds_nothing_either(places: Any) -> None:
    kept, trained = HashEncoder(32, seed=1), Trained()
    asked = Asymmetric(kept, trained)
    with Collection.open(places / "docs.db", asked) as docs:
        docs.upsert(TEXTS, TEXTS)
        assert docs.migrate(kept)._strategies == (Representation(),)
    assert kept.space.derives_from(asked.space)
    assert asked.space.derives_from(kept.space)
    assert not asked.space.derives_from(trained.space)


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        (HashEncoder(16, seed=1), "the dimension is 16, expected 32"),
        (Trained(metric="dot"), "the metric is dot, expected cosine"),
        (HashEncoder(32, seed=1, name="renamed"), "both of"),
        ("minilm", "expected an encoder"),
    ],
)
def test_what_cannot_ask_is_refused(queries: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        Asymmetric(HashEncoder(32, seed=1), queries)


def test_both_models_are_loaded_again(wordllama_folder: Any) -> None:
    source = f"asymmetric:{wordllama_folder}?queries=shortened%3A{wordllama_folder}%3Fnumbers%3Dfloat16"
    model = load_encoder(source)
    again = load_encoder(str(model.source))
    assert again.space == model.space
    np.testing.assert_array_equal(again.encode(["a text"], kind="query"), model.encode(["a text"], kind="query"))


def test_a_source_without_a_query_model_is_refused(wordllama_folder: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"add \?queries="):
        load_encoder(f"asymmetric:{wordllama_folder}")


def test_a_model_without_a_source_has_none() -> None:
    assert Asymmetric(HashEncoder(32, seed=1), Trained()).source is None
