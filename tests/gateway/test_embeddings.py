"""Embeddings over HTTP, by OpenAI's own client: whose they are, in which form, of which texts."""

from __future__ import annotations

import base64
import threading

import numpy as np
import openai
import pytest

from gateway_server import NEW, OLD, TEXTS, moved, running
from revector.collection import Collection
from revector.encoders.shortened import Shortened
from revector.testing import HashEncoder

QUERIES = ["text number 3", "a text", "number 7", ""]


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_are_those_of_the_model_that_serves(gateway, form):
    found = gateway.openai.embeddings.create(model="live", input=QUERIES, encoding_format=form)
    rows = [row.embedding for row in found.data]
    if form == "base64":
        rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in rows]
    np.testing.assert_array_equal(np.array(rows, np.float32), OLD.encode(QUERIES))
    assert [row.index for row in found.data] == [0, 1, 2, 3]
    assert (found.model, found.space) == ("old", OLD.space.fingerprint)


def test_one_text_is_a_list_of_one(gateway):
    found = gateway.openai.embeddings.create(model="live", input="one text")
    assert len(found.data) == 1


def test_fields_and_headers_name_the_generation(gateway, docs):
    migration = moved(docs, NEW)
    seen = []
    for step in (lambda: None, migration.cutover, migration.rollback):
        step()
        answer = gateway.openai.embeddings.with_raw_response.create(model="live", input="a text")
        found = answer.parse()
        assert answer.headers["x-revector-generation"] == str(found.generation)
        assert answer.headers["x-revector-space"] == found.space
        seen.append((found.generation, found.space))
    assert seen[0] == seen[2] == (docs.answering[0].id, OLD.space.fingerprint)
    assert seen[1] == (docs.answering[1].id, NEW.space.fingerprint)


def test_a_generation_that_has_served_can_be_asked_until_it_is_retired(gateway, docs):
    (old,) = docs.answering
    migration = moved(docs, NEW)
    migration.cutover()
    found = gateway.openai.embeddings.create(model=f"generation-{old.id}", input="a text")
    np.testing.assert_allclose(found.data[0].embedding, OLD.encode(["a text"])[0], atol=1e-7)
    migration.retire(confirm=True, force=True)
    with pytest.raises(openai.APIStatusError, match="does not answer any more") as refused:
        gateway.openai.embeddings.create(model=f"generation-{old.id}", input="a text")
    assert (refused.value.status_code, refused.value.code) == (410, "generation_gone")


def test_the_models_are_the_one_that_serves_and_each_generation_that_answers(gateway, docs):
    before = {model.id: model.name for model in gateway.openai.models.list()}
    moved(docs, NEW).cutover()
    new, old = docs.answering
    after = {model.id: model.name for model in gateway.openai.models.list()}
    assert before == {"live": "old", f"generation-{old.id}": "old"}
    assert after == {"live": "new", f"generation-{new.id}": "new", f"generation-{old.id}": "old"}


class Prefixed(HashEncoder):
    """A model for which a query is another thing than a document."""

    def encode(self, texts, *, kind="document"):
        return super().encode([f"{kind} {text}" for text in texts], kind=kind)


def test_texts_are_queries_unless_they_are_said_to_be_documents(places):
    encoder = Prefixed(8)
    with Collection.open(places / "prefixed.db", encoder) as docs, running(docs) as gateway:
        for said, kind in (({}, "query"), ({"input_type": "document"}, "document")):
            found = gateway.openai.embeddings.create(model="live", input=["a text"], extra_body=said)
            np.testing.assert_allclose(found.data[0].embedding, encoder.encode(["a text"], kind=kind)[0], atol=1e-7)


def test_fewer_dimensions_are_the_first_ones_and_of_a_space_of_their_own(gateway):
    found = gateway.openai.embeddings.create(model="live", input=["a text"], dimensions=5)
    short = Shortened(OLD, 5)
    np.testing.assert_allclose(found.data[0].embedding, short.encode(["a text"])[0], atol=1e-7)
    assert (found.generation, found.space) == (None, short.space.fingerprint)


def test_all_dimensions_are_the_models_own(gateway, docs):
    found = gateway.openai.embeddings.create(model="live", input=["a text"], dimensions=8)
    assert (found.generation, found.space) == (docs.answering[0].id, OLD.space.fingerprint)


def test_more_dimensions_than_the_model_has_are_refused(gateway):
    with pytest.raises(openai.BadRequestError, match="dimensions is 9, expected at most 8, as old has"):
        gateway.openai.embeddings.create(model="live", input=["a text"], dimensions=9)


def test_an_unknown_model_is_refused_with_those_there_are(gateway):
    with pytest.raises(openai.NotFoundError, match=r"'text-embedding-3-small'.*'live', 'generation-"):
        gateway.openai.embeddings.create(model="text-embedding-3-small", input="a text")


def test_tokens_are_refused_with_what_to_do(gateway):
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        gateway.openai.embeddings.create(model="live", input=[[1, 2, 3]])


class Gate(HashEncoder):
    """Answers once it is opened, and writes down how many texts it was given at once."""

    def __init__(self):
        super().__init__(8)
        self.open, self.sizes = threading.Event(), []

    def encode(self, texts, *, kind="document"):
        self.sizes.append(len(texts))
        assert self.open.wait(20)
        return super().encode(texts, kind=kind)


def at_once(ask, n):
    """Ask in threads; return the answers in the order of the questions."""
    answers = [None] * n

    def one(place):
        try:
            answers[place] = ask(place)
        except openai.APIStatusError as error:
            answers[place] = error

    threads = [threading.Thread(target=one, args=(place,)) for place in range(n)]
    for thread in threads:
        thread.start()
    return answers, threads


def test_texts_of_many_clients_go_into_one_call_of_the_model(places):
    encoder = Gate()
    with Collection.open(places / "gate.db", encoder) as docs, running(docs) as gateway:
        client = gateway.openai
        answers, threads = at_once(lambda place: client.embeddings.create(model="live", input=f"number {place}"), 20)
        gateway.until('revector_gateway_waiting{work="embeddings"}', 20)
        encoder.open.set()
        for thread in threads:
            thread.join()
    rows = np.array([answer.data[0].embedding for answer in answers], np.float32)
    np.testing.assert_allclose(rows, encoder.encode([f"number {place}" for place in range(20)]), atol=1e-7)
    assert len(encoder.sizes[:-1]) <= 3  # two that were under way, and one of all that waited


def test_a_full_queue_is_told_to_come_back_and_answers_those_in_it(places):
    encoder = Gate()
    with (
        Collection.open(places / "gate.db", encoder) as docs,
        running(docs, waiting_texts=4, request_texts=4) as gateway,
    ):
        client = gateway.openai
        answers, threads = at_once(lambda place: client.embeddings.create(model="live", input=["a", "b"]), 2)
        gateway.until('revector_gateway_waiting{work="embeddings"}', 4)
        with pytest.raises(openai.RateLimitError, match="4 texts wait already") as refused:
            client.embeddings.create(model="live", input="one more")
        encoder.open.set()
        for thread in threads:
            thread.join()
    assert int(refused.value.response.headers["retry-after"]) >= 1
    assert [len(answer.data) for answer in answers] == [2, 2]


class Picky(HashEncoder):
    """Fails on one word, whatever else is in the call."""

    def encode(self, texts, *, kind="document"):
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        return super().encode(texts, kind=kind)


def test_a_text_that_the_model_fails_on_takes_no_other_client_with_it(places):
    encoder = Picky(8)
    with Collection.open(places / "picky.db", encoder) as docs, running(docs, collect_seconds=0.5) as gateway:
        client = gateway.openai
        texts = ["good", "poison", "fine"]
        answers, threads = at_once(lambda place: client.embeddings.create(model="live", input=texts[place]), 3)
        for thread in threads:
            thread.join()
    np.testing.assert_allclose(answers[0].data[0].embedding, encoder.encode(["good"])[0], atol=1e-7)
    np.testing.assert_allclose(answers[2].data[0].embedding, encoder.encode(["fine"])[0], atol=1e-7)
    assert answers[1].status_code == 500
    assert "ValueError" in str(answers[1])


def test_many_texts_come_back_in_their_order(gateway):
    texts = [f"number {place}" for place in range(1000)]
    found = gateway.openai.embeddings.create(model="live", input=texts)
    np.testing.assert_array_equal(np.array([row.embedding for row in found.data], np.float32), OLD.encode(texts))


def test_a_model_that_is_not_at_hand_is_the_gateways_fault(docs, places):
    docs.close()
    with (
        Collection.open(places / "docs.db") as docs,
        running(docs) as gateway,
        pytest.raises(openai.InternalServerError, match="EncoderError") as failed,
    ):
        gateway.openai.embeddings.create(model="live", input=TEXTS["d0"])
    assert failed.value.status_code == 503
