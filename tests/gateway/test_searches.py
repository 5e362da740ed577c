"""Searches and writes over HTTP: by a text, by a vector that says where it is from, and what is found afterwards."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gateway_server import NEW, OLD, TEXTS, moved, running


def _ids(found):
    return [hit["id"] for hit in found["hits"]]


def test_a_text_finds_what_the_collection_finds(gateway, docs):
    status, found = gateway.post("/search", {"query": TEXTS["d3"], "k": 4})
    hits = docs.search(TEXTS["d3"], 4)
    assert (status, _ids(found)) == (200, [hit.id for hit in hits])
    assert found["hits"][0]["score"] == pytest.approx(hits[0].score)
    assert found["hits"][0]["text"] == TEXTS["d3"]


def test_a_filter_and_an_explanation_are_passed_on(gateway):
    asked = {"query": TEXTS["d3"], "where": {"number": {">=": 10}}, "explain": True, "k": 30}
    found = gateway.post("/search", asked)[1]
    assert sorted(_ids(found)) == sorted(f"d{place}" for place in range(10, 30))
    assert {hit["explanation"]["arm"] for hit in found["hits"]} == {"alone"}


def test_a_vector_is_answered_in_the_generation_that_it_names(gateway, docs):
    migration = moved(docs, NEW)
    migration.cutover()
    new, old = docs.answering
    for generation, encoder in ((new, NEW), (old, OLD)):
        vector = encoder.encode([TEXTS["d5"]])[0]
        for form in (vector.tolist(), base64.b64encode(vector.tobytes()).decode()):
            for named in ({"generation": generation.id}, {"space": encoder.space.fingerprint}):
                found = gateway.post("/search", {"vector": form, "k": 2, "explain": True, **named})[1]
                assert _ids(found)[0] == "d5"
                assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-6)
                assert (found["generation"], found["space"]) == (generation.id, encoder.space.fingerprint)
                assert {hit["generation"] for hit in found["hits"]} == {generation.id}


def test_a_vector_of_a_generation_that_is_retired_is_gone(gateway, docs):
    (old,) = docs.answering
    migration = moved(docs, NEW)
    migration.cutover()
    migration.retire(confirm=True, force=True)
    asked = {"vector": OLD.encode(["a"])[0].tolist(), "generation": old.id}
    status, answer = gateway.post("/search", asked)
    assert (status, answer["error"]["code"]) == (410, "generation_gone")
    assert "embed the query again" in answer["error"]["message"]


def test_a_vector_of_a_generation_that_only_fills_is_not_answered(gateway, docs):
    docs.migrate(NEW).start()
    status, answer = gateway.post("/search", {"vector": NEW.encode(["a"])[0].tolist(), "space": NEW.space.fingerprint})
    assert (status, answer["error"]["param"]) == (410, "space")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"vector": [0.5] * 8}, "needs the generation or the space"),
        ({"vector": [0.5] * 8, "generation": 1, "space": NEW.space.fingerprint}, "is not of the space"),
        ({"vector": [0.5] * 7, "generation": 1}, "vector has 7 numbers, expected 8"),
        ({"vector": [1e300] * 8, "generation": 1}, "NaN or infinity"),
        ({"vector": ["a"] * 8, "generation": 1}, "expected a list of numbers"),
        ({"vector": [True] * 8, "generation": 1}, "expected a list of numbers"),
        ({"vector": [], "generation": 1}, "vector has 0 numbers"),
        ({"vector": "%%%", "generation": 1}, "base64"),
        ({"vector": "abc=", "generation": 1}, "base64"),
        ({"vector": [0.5] * 8, "generation": 1, "rerank": True}, "no re-ranker"),
        ({"query": "a", "generation": 1}, "a text is of no generation"),
        ({"query": "a", "vector": [0.5] * 8}, "either"),
        ({}, "either"),
        ({"query": ["a"]}, "expected a text"),
        ({"query": "a", "k": 0}, "k is 0"),
        ({"query": "a", "k": 10**9}, "at most 1,000"),
        ({"query": "a", "where": {"number": {"$gt": 1}}}, "'number'"),
        ({"query": "a", "explain": "yes"}, "explain is 'yes'"),
        ({"query": "a", "rerank": True}, "--rerank MODEL"),
        ({"query": "a", "top": 3}, "'top' is not known"),
        ({"query": "a", "threshold": "high"}, "threshold is 'high'"),
        ({"query": "a", "key": ""}, "key is ''"),
        ({"query": "a", "key": 7}, "key is 7"),
        ({"vector": [0.5] * 8, "generation": 1, "threshold": 0.5}, "threshold is for searches by a text"),
        ({"vector": [0.5] * 8, "generation": 1, "key": "a"}, "key is for searches by a text"),
    ],
)
def test_what_is_wrong_with_a_search_is_said(gateway, asked, said):
    status, answer = gateway.post("/search", asked)
    assert status == 400
    assert said in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"


class Backwards:
    """A re-ranker for which the highest number is the best."""

    def score(self, query, texts):
        return np.array([float(text.rsplit(" ", 1)[1]) for text in texts])


def test_a_re_ranker_decides_the_order_of_those_who_ask_for_it(docs):
    with running(docs, reranker=Backwards()) as gateway:
        ranked = gateway.post("/search", {"query": "number", "k": 3, "rerank": True})[1]
        plain = gateway.post("/search", {"query": TEXTS["d3"], "k": 1})[1]
    assert _ids(ranked) == ["d29", "d28", "d27"]
    assert ranked["hits"][0]["rerank_score"] == 29
    assert _ids(plain) == ["d3"]


def test_what_is_written_is_found_and_what_is_deleted_is_not(gateway, docs):
    document = {"id": "new", "text": "a walnut cake", "metadata": {"kind": "cake"}}
    assert gateway.post("/documents", {"upsert": [document], "delete": ["d1"]}) == (200, {"upserted": 1, "deleted": 1})
    found = gateway.post("/search", {"query": "a walnut cake", "k": 1})[1]["hits"][0]
    assert {name: found[name] for name in document} == document
    assert "d1" not in docs.ids()


def test_an_unknown_id_is_named_and_nothing_is_written(gateway, docs):
    asked = {"upsert": [{"id": "new", "text": "new"}], "delete": ["d1", "nobody"]}
    status, answer = gateway.post("/documents", asked)
    assert (status, answer["error"]["code"]) == (404, "unknown_document")
    assert "'nobody'" in answer["error"]["message"]
    assert sorted(docs.ids()) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "nothing to write"),
        ({"upsert": {}}, "expected a list"),
        ({"upsert": ["text"]}, "upsert[0] is 'text'"),
        ({"upsert": [{"id": "a"}]}, "upsert[0] has no 'text'"),
        ({"upsert": [{"id": 7, "text": "a"}]}, "ids[0] is 7"),
        ({"upsert": [{"id": "a\0", "text": "a"}]}, "without NUL"),
        ({"upsert": [{"id": "a", "text": "a"}] * 2}, "both 'a'"),
        ({"upsert": [{"id": "a", "text": "a", "metadata": [1]}]}, "not a JSON object"),
        ({"upsert": [{"id": "a", "text": "a", "vector": [1]}]}, "'vector' is not known"),
        ({"upsert": [{"id": "d1", "text": "a"}], "delete": ["d1"]}, "say one of them"),
        ({"delete": "d1"}, "expected a list"),
        ({"delete": [1]}, "ids[0] is 1"),
    ],
)
def test_what_is_wrong_with_a_write_is_said_and_nothing_is_written(gateway, docs, asked, said):
    status, answer = gateway.post("/documents", asked)
    assert status == 400
    assert said in answer["error"]["message"]
    assert sorted(docs.ids()) == sorted(TEXTS)


def test_metrics_are_those_of_the_collection_and_of_the_gateway(gateway):
    gateway.post("/search", {"query": "a text"})
    gateway.post("/search", {})
    assert gateway.metric("revector_documents") == 30
    assert gateway.metric("revector_up") == 1
    assert gateway.metric('revector_gateway_answers{status="400"}') == 1
    assert gateway.metric('revector_gateway_texts{work="search"}') == 1


def test_a_gateway_whose_store_cannot_be_asked_is_alive_and_not_ready(docs):
    with running(docs) as gateway:
        before = [gateway.get(path)[0] for path in ("/healthz", "/readyz")]
        docs.close()
        after = [gateway.get(path)[0] for path in ("/healthz", "/readyz")]
        status, answer = gateway.post("/search", {"query": "a"})
    assert (before, after) == ([200, 200], [200, 503])
    assert status == 500
    assert "ClosedError" in answer["error"]["message"]
    assert "docs.db" not in answer["error"]["message"]
