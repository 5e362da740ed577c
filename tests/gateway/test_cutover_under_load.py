"""A cut-over, a rollback and another cut-over while clients ask: nobody fails, no vector meets the wrong space."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest

from gateway_server import ENCODERS, NEW, OLD, TEXTS, moved
from revector.collection import Collection
from worlds import SHARED_KINDS

CLIENTS = 6


@pytest.fixture(scope="module", params=SHARED_KINDS)
def kind(request):
    return request.param


class Client:
    """Embeds a document's text, keeps the vector for a while, and searches by it; searches by the text as well."""

    def __init__(self, gateway, place):
        self.gateway, self.place = gateway, place
        self.failures, self.seen = [], []

    def run(self, stop):
        kept = []
        with self.gateway.openai as client:
            for turn in itertools.count(self.place):
                if stop.is_set():
                    break
                name = f"d{turn % len(TEXTS)}"
                try:
                    kept.append((name, self._embedded(client, name)))
                    self._found_by_text(name)
                    if len(kept) > 5:  # made a few questions ago, perhaps before the cut-over
                        self._found_by_vector(*kept.pop(0))
                except (AssertionError, openai.OpenAIError, OSError) as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
        return self

    def _embedded(self, client, name):
        found = client.embeddings.create(model="live", input=[TEXTS[name], "another"])
        encoder = ENCODERS[found.space]
        rows = np.array([row.embedding for row in found.data], np.float32)
        np.testing.assert_allclose(rows, encoder.encode([TEXTS[name], "another"]), atol=1e-6)
        self.seen.append(found.generation)
        return found

    def _found_by_text(self, name):
        status, found = self.gateway.post("/search", {"query": TEXTS[name], "k": 1})
        assert (status, found["hits"][0]["id"]) == (200, name), found

    def _found_by_vector(self, name, made):
        asked = {"vector": made.data[0].embedding, "generation": made.generation, "space": made.space, "k": 1}
        status, found = self.gateway.post("/search", asked)
        assert status == 200, found
        assert (found["generation"], found["hits"][0]["generation"]) == (made.generation, made.generation)
        assert found["hits"][0]["id"] == name
        assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-5)


def write(gateway, stop):
    """Store documents one after the other, and find each; return what failed."""
    failures, turn = [], 0
    while not stop.wait(0.05):
        turn += 1
        name, text = f"w{turn}", f"written while others move {turn}"
        stored = gateway.post("/documents", {"upsert": [{"id": name, "text": text}]})
        found = gateway.post("/search", {"query": text, "k": 1})
        if (stored[0], found[0]) != (200, 200) or found[1]["hits"][0]["id"] != name:
            failures.append((stored, found))
    return failures


def test_a_cutover_and_a_rollback_under_load_are_noticed_by_nobody(gateway, docs, places):
    before, stop = docs.answering[0].id, threading.Event()
    with (
        Collection.open(places / "docs.db", OLD, encoders=[NEW]) as operator,  # as another process would
        ThreadPoolExecutor(CLIENTS + 1) as pool,
    ):
        writer = pool.submit(write, gateway, stop)
        clients = [pool.submit(Client(gateway, place).run, stop) for place in range(CLIENTS)]
        try:
            time.sleep(0.5)
            migration = moved(operator, NEW)
            for step in (migration.cutover, migration.rollback):
                step()
                time.sleep(1.0)
            again = moved(operator, NEW)
            again.cutover()
            time.sleep(1.0)
        finally:
            stop.set()
        done = [client.result() for client in clients]
    assert [failure for client in done for failure in client.failures] + writer.result() == []
    after = docs.answering[0].id
    assert {generation for client in done for generation in client.seen} == {before, after}
    assert all(client.seen[-1] == after for client in done)
