"""What readers said of captured queries, as judgements."""

from __future__ import annotations

from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.search import capture
from revector.testing import HashEncoder

OLD = HashEncoder(16, seed=1, name="old")
TEXTS = {"a": "apple fig", "b": "banana grape", "c": "cherry plum"}


@pytest.fixture
def collection(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        collection.capture(1.0)
        yield collection


def say(collection: Collection, query: str, kinds: dict[str, str]) -> None:
    hits = {hit.id: hit.query_id for hit in collection.search(query, key="somebody")}
    for document, kind in kinds.items():
        collection.record_feedback(hits[document], document, kind)  # type: ignore[arg-type]


def test_what_was_clicked_is_relevant_and_words_weigh_more(collection: Collection) -> None:
    say(collection, "apple", {"a": "click", "b": "good", "c": "bad"})
    found = collection.feedback()
    assert (found.queries, found.judged_by) == ({"q1": "apple"}, "clicks")
    assert found.qrels == {"q1": {"a": 1, "b": 2, "c": 0}}
    assert "favours the present model" in found.notes[1]


def test_feedback_of_several_searches_and_processes_adds_up(collection: Collection, places: Any) -> None:
    say(collection, "apple", {"a": "bad"})
    collection._searcher.behind.flush()
    with Collection.open(places / "docs.db", OLD) as other:
        other.capture(1.0)
        say(other, "apple", {"a": "good", "b": "click"})
        say(other, "apple", {"a": "good"})
    assert collection.feedback().qrels == {"q1": {"a": 2, "b": 1}}


def test_a_query_that_is_not_captured_is_not_judged(collection: Collection) -> None:
    collection.capture(0.0)
    say(collection, "apple", {"a": "click"})
    with pytest.raises(InvalidArgumentError, match="capture queries"):
        collection.feedback()


def test_what_was_forgotten_is_not_judged(collection: Collection) -> None:
    say(collection, "apple", {"a": "click"})
    hits = collection.search("apple", key="somebody")
    collection.forget_captured()
    collection.record_feedback(hits[0].query_id or "", hits[0].id)
    with pytest.raises(InvalidArgumentError, match="record feedback"):
        collection.feedback()


def test_a_judgement_holds_the_query_as_it_was_kept(collection: Collection) -> None:
    say(collection, "apple for ada@example.org", {"a": "click"})
    assert collection.feedback().queries == {"q1": "apple for someone@example.com"}


def test_the_documents_of_a_query_are_bounded(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_DOCUMENTS", 1)
    say(collection, "apple", {"a": "click", "b": "click"})
    assert len(collection.feedback().qrels["q1"]) == 1


def test_only_bad_words_judge_nothing(collection: Collection) -> None:
    say(collection, "apple", {"a": "bad"})
    with pytest.raises(InvalidArgumentError, match="called good"):
        collection.feedback()


def test_ratings_are_parts_of_words(collection: Collection) -> None:
    hits = {hit.id: hit.query_id or "" for hit in collection.search("apple", key="somebody")}
    for document, stars in {"a": 4, "b": 3, "c": 1.5}.items():
        collection.record_feedback(hits[document], document, "rating", stars)
    collection.record_feedback(hits["b"], "b", "click")
    assert collection.feedback().qrels == {"q1": {"a": 2, "b": 1, "c": 0}}


def test_a_good_answer_is_a_weak_word_for_each_of_its_documents(collection: Collection) -> None:
    hits = collection.search("apple", key="somebody")
    collection.record_feedback(hits[0].query_id or "", ["a", "b", "c"], "answer", True)
    collection.record_feedback(hits[0].query_id or "", "b", "bad")
    assert collection.feedback().qrels == {"q1": {"a": 1, "b": 0, "c": 1}}


def test_bad_answers_alone_judge_nothing_and_outweigh_as_many_good_ones(collection: Collection) -> None:
    for good, documents in ((True, ["a", "b"]), (False, ["b", "c"])):
        hits = collection.search("apple", key="somebody")
        collection.record_feedback(hits[0].query_id or "", documents, "answer", good)
    assert collection.feedback().qrels == {"q1": {"a": 1}}


@pytest.mark.parametrize(
    ("said", "value", "problem"),
    [
        ("rating", None, "from 1 to 5"),
        ("rating", 5.5, "from 1 to 5"),
        ("rating", 0, "at least 1"),
        ("rating", True, "from 1 to 5"),
        ("answer", None, "value is None"),
        ("answer", 1, "value is 1"),
        ("click", 1, "expected none"),
        ("stars", 1, "'rating', 'answer'"),
    ],
)
def test_a_value_that_the_kind_does_not_have_is_refused(
    collection: Collection, said: Any, value: Any, problem: str
) -> None:
    hit = collection.search("apple", key="somebody")[0]
    with pytest.raises(InvalidArgumentError, match=problem):
        collection.record_feedback(hit.query_id or "", hit.id, said, value)


def test_an_answer_is_made_of_documents(collection: Collection) -> None:
    hit = collection.search("apple", key="somebody")[0]
    with pytest.raises(InvalidArgumentError, match="is empty"):
        collection.record_feedback(hit.query_id or "", [], "answer", True)
    with pytest.raises(InvalidArgumentError, match="was not among"):
        collection.record_feedback(hit.query_id or "", [hit.id, "nobody"], "answer", True)
