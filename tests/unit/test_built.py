"""Pairs built from documents: what asks for what, what is searched, and that nothing leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revector.backends.contracts import Document
from revector.collection import Collection
from revector.encoders.templated import Templated
from revector.errors import InvalidArgumentError
from revector.evaluation.built import BUILT, DOUBT, MOST_ALIKE, Built, build_pairs, draw_built
from revector.spaces import Template
from revector.testing import HashEncoder

OLD = HashEncoder(16, seed=1, name="old")
FILLER = {
    "f1": "A heron stands in the reeds. It waits for fish all day.",
    "f2": "Mix the flour well. Then bake the loaf.",
}


def documents(texts: dict[str, str], metadata: dict[str, dict[str, Any]] | None = None) -> list[Document]:
    rows = {**FILLER, **texts}
    return [
        Document(id_, text, (metadata or {}).get(id_, {}), "", 0.0, n) for n, (id_, text) in enumerate(rows.items())
    ]


def built(texts: dict[str, str], metadata: dict[str, dict[str, Any]] | None = None, **options: Any) -> Built:
    return build_pairs(documents(texts, metadata), **options)


@pytest.mark.parametrize(
    ("text", "query", "rest"),
    [
        ("Pump up the tyres. Oil the chain well.", "Pump up the tyres.", "Oil the chain well."),
        ('He said "pump the tyres!" Then he left us.', 'He said "pump the tyres!', "Then he left us."),
        ("A title without a stop\nand then the body of it", "A title without a stop", "and then the body of it"),
        ("muscle of the heart; adapted to steady contraction", "muscle of the heart", "adapted to steady contraction"),
        (
            "自転車のタイヤに空気を入れます。チェーンに油をさします。",
            "自転車のタイヤに空気を入れます。",
            "チェーンに油をさします。",
        ),
        ("Pump the tyres. Pump the tyres. Oil the chain, too.", "Pump the tyres.", "Oil the chain, too."),
    ],
)
def test_the_first_sentence_asks_for_the_rest(text: str, query: str, rest: str) -> None:
    found = built({"d": text})
    assert found.judgements.queries["d"] == query
    assert found.judgements.qrels["d"] == {"d": 1}
    assert found.documents["d"].text == rest


def test_a_title_asks_for_the_body_and_is_taken_out_of_both() -> None:
    title = "Care of a Bicycle"
    found = built({"d": "Care of a bicycle: pump up the tyres. Oil it."}, {"d": {"title": title, "year": 2020}})
    assert found.judgements.queries["d"] == title
    assert found.documents["d"].text == ": pump up the tyres. Oil it."
    assert found.documents["d"].metadata == {"year": 2020}


@pytest.mark.parametrize(
    "text",
    ["", "One sentence alone is no pair", "Hi. This one greets before it speaks.", "This is the query of it. Short.",
     "e.g. this one goes on in lower case", "x" * 400 + " is long. And then there is a rest."],
)  # fmt: skip
def test_what_makes_no_pair_is_left_as_it_is(text: str) -> None:
    found = built({"d": text})
    assert set(found.judgements.queries) == set(FILLER)
    assert "d" not in found.documents


def test_documents_that_begin_alike_answer_alike_and_phrases_of_the_house_ask_nothing() -> None:
    twins = {f"t{n}": f"Pump up the tyres. Then there is part {n}." for n in range(2)}
    house = {f"h{n}": f"This page was made by us. It is about matter {n}." for n in range(MOST_ALIKE + 1)}
    found = built({**twins, **house})
    assert found.judgements.qrels["t0"] == {"t0": 1, "t1": 1}
    assert found.documents["t1"].text == "Then there is part 1."
    assert set(found.judgements.queries) == {"t0", *FILLER}
    assert not set(house) & set(found.documents)


def test_near_duplicates_whose_rest_is_the_same_are_relevant_too() -> None:
    found = built({"a": "Pump up the tyres. Oil the chain well.", "b": "Fill the wheels up. Oil the  chain well."})
    assert found.judgements.qrels["a"] == found.judgements.qrels["b"] == {"a": 1, "b": 1}


def test_the_judgements_say_what_they_are_and_how_much_to_doubt_them() -> None:
    judged = built({"d": "Pump up the tyres. Oil it."}, {"d": {"title": "Care of a bicycle"}}).judgements
    assert (judged.judged_by, judged.doubt) == (BUILT, DOUBT) == ("pairs built from the documents", DOUBT)
    assert "1 pairs of title → body" in judged.notes[0]
    assert "2 pairs of first sentence → rest" in judged.notes[0]
    assert "more pairs do not settle" in judged.notes[1]


def test_as_many_as_asked_are_drawn_the_same_for_one_seed() -> None:
    texts = {f"d{n}": f"Number {n} is the matter. It has the body {n}." for n in range(50)}
    first, again, other = (built(texts, most=10, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert len(first.judgements.queries) == len(other.judgements.queries) == 10
    assert first.judgements.queries != other.judgements.queries


def test_too_few_pairs_say_what_is_missing() -> None:
    with pytest.raises(InvalidArgumentError, match="0 of 1 documents make a pair: they need a 'title'"):
        build_pairs([Document("d", "nothing", {}, "", 0.0, 1)])


TEXTS = {f"d{n:02}": f"Word{n} begins thing{n} here. The rest has body{n} and more{n % 7}." for n in range(40)}


def test_both_models_search_what_is_left_and_other_vectors_stay_as_they_are(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        serving = docs._serving.read().serving
        judged, drawn = draw_built(docs._backend, serving, OLD, most=5)
        stored = docs._backend.generations.vectors(serving.id, [each.key for each in drawn.documents])[1]
    reduced = np.array([document.id in judged.queries for document in drawn.documents])
    texts = [document.text for document in drawn.documents]
    assert (len(drawn.documents), int(reduced.sum()), len(drawn.queries)) == (40, 5, 5)
    np.testing.assert_allclose(drawn.old_vectors, OLD.encode(texts), atol=1e-6)
    np.testing.assert_array_equal(drawn.old_vectors[~reduced], stored[~reduced])
    assert not any(
        query in text for text, cut in zip(texts, reduced, strict=True) if cut for query in judged.queries.values()
    )
    assert drawn.notes == judged.notes


def test_a_title_that_the_model_never_read_costs_no_embedding(tmp_path: Path) -> None:
    class Counting(HashEncoder):
        asked = 0

        def encode(self, texts: Any, *, kind: Any = "document") -> Any:
            self.asked += len(texts)
            return super().encode(texts, kind=kind)

    metadata = [{"title": f"Title of number {n}"} for n in range(len(TEXTS))]
    for name, encoder in (("plain", Counting(16, seed=1)), ("read", Counting(16, seed=1))):
        given = encoder if name == "plain" else Templated(encoder, Template(("title", "text")))
        with Collection.open(tmp_path / f"{name}.db", given) as docs:
            docs.upsert(list(TEXTS), list(TEXTS.values()), metadata)
            encoder.asked = 0
            judged, drawn = draw_built(docs._backend, docs._serving.read().serving, given, most=5)
        assert encoder.asked == (0 if name == "plain" else 5)
        assert all("title" not in each.metadata for each in drawn.documents if each.id in judged.queries)


def test_an_empty_collection_has_no_pairs(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        serving = docs._serving.read().serving
        with pytest.raises(InvalidArgumentError, match="0 of 0 documents"):
            draw_built(docs._backend, serving, OLD)
