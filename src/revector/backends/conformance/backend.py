"""The suite that every backend passes. It needs pytest.

Use it by a subclass with a fixture that yields an empty backend::

    class TestMyBackend(BackendConformance):
        @pytest.fixture
        def backend(self, tmp_path):
            with closing(MyBackend.open(f"mine://{tmp_path}")) as backend:
                yield backend
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from revector.backends.conformance.documents import DocumentsConformance
from revector.backends.conformance.filters import FilterConformance
from revector.backends.conformance.generations import GenerationsConformance
from revector.backends.conformance.index import IndexConformance
from revector.backends.conformance.jobs import JobConformance
from revector.backends.conformance.ledger import (
    LeaseConformance,
    LedgerConformance,
    NoteConformance,
    ObservationConformance,
)
from revector.backends.conformance.samples import DIMENSION, new_generation, put, put_matrix, write
from revector.backends.conformance.transactions import TransactionsConformance
from revector.backends.contracts import Backend, Order
from revector.backends.contracts.order import PLACES
from revector.errors import ClosedError, RevectorError
from revector.ledger.jobs import JobRequest


class BackendConformance(
    DocumentsConformance,
    FilterConformance,
    GenerationsConformance,
    IndexConformance,
    TransactionsConformance,
    LedgerConformance,
    JobConformance,
    LeaseConformance,
    NoteConformance,
    ObservationConformance,
):
    """All that `revector.backends.contracts` promises: the suites of the four parts, and what they do together."""

    def test_an_empty_store_answers_everything(self, backend: Backend) -> None:
        """No documents, no generations, no alias: no errors either."""
        generation = new_generation(backend)
        for answer in (
            backend.documents.by_id([]),
            backend.documents.by_key([]),
            list(backend.documents.ids()),
            backend.documents.facts(),
        ):
            assert answer == []
        assert list(backend.documents.scan()) == []
        assert list(backend.generations.scan(generation.id)) == []
        assert backend.documents.count() == backend.generations.count(generation.id) == 0
        assert backend.documents.upsert([], []) == []
        assert backend.documents.delete([]) == []
        assert put_matrix(backend, generation, [], np.empty((0, DIMENSION), "f4")) == 0
        assert backend.generations.alias("live") is None
        assert backend.generations.load_map("a", "b") is None
        assert backend.generations.vectors(generation.id, [])[1].shape == (0, DIMENSION)
        assert backend.generations.count(generation.id, since=backend.generations.last_seq()) == 0

    def test_a_slice_is_asked_for_in_the_order_of_the_default_rule(self, backend: Backend) -> None:
        """As `Order.priority` says of each document that has no vector of its present text, and of nobody else."""
        said: list[dict[str, Any]] = [
            {}, {"value": "high"}, {"priority": "high"}, {"high_value": True}, {"high_value": 1, "value": ["high"]},
        ]  # fmt: skip
        names = [str(i) for i in range(60)]
        documents = backend.documents.upsert(names, names, [said[i % 5] for i in range(60)])
        backend.documents.record_access([d.key for d in documents[:10]], failed=True)
        backend.documents.record_access([d.key for d in documents[5:10]])
        generation = new_generation(backend)
        put(backend, generation, documents[50:])
        for changed_from in (0.0, time.time() + 60):
            order = Order(PLACES // 4, 12345, 678, queried_from=2, changed_from=changed_from)
            backend.ledger.jobs.forget_generation(generation.id)
            backend.ask(generation.id, documents[2].key, documents[-1].key, order)
            claims = backend.ledger.jobs.claim(generation.id, "me:1:1:1", 100, 60.0)
            expected = {fact.key: order.priority(fact) for fact in backend.documents.facts()[3:50]}
            assert {claim.document_key: claim.priority for claim in claims} == expected
            assert len(set(expected.values())) >= 3

    def test_a_collection_that_grows_takes_more_bytes(self, backend: Backend) -> None:
        """Those of its vectors, at least."""
        generation, before = new_generation(backend), backend.stored_bytes()
        names = [str(i) for i in range(5_000)]
        put(backend, generation, backend.documents.upsert(names, names))
        assert backend.stored_bytes() - before >= 4 * DIMENSION * len(names)

    def test_a_query_of_the_users_is_answered_by_its_first_value(self, backend: Backend) -> None:
        """By nothing where it finds no row."""
        assert backend.answer("SELECT 3, 4") == 3
        assert backend.answer("SELECT 3 WHERE 1 = 0") is None

    def test_a_query_writes_nothing_and_a_statement_does(self, backend: Backend) -> None:
        """The error is one of ours."""
        with backend.transaction():
            backend.execute("CREATE TABLE revector_conformance AS SELECT 1 AS one")
            backend.ledger.notes.keep("made", "in the same transaction")
        try:
            with pytest.raises(RevectorError):
                backend.answer("DELETE FROM revector_conformance RETURNING 1")
            assert backend.answer("SELECT count(*) FROM revector_conformance") == 1
        finally:
            backend.execute("DROP TABLE revector_conformance")

    def test_what_is_not_a_query_is_refused(self, backend: Backend) -> None:
        """Nor does it end the connection."""
        with pytest.raises(RevectorError):
            backend.answer("nonsense")
        assert backend.answer("SELECT 1") == 1

    def test_what_a_dropped_generation_took_is_given_back_and_nothing_else(self, backend: Backend) -> None:
        """Slice by slice, until there is nothing left."""
        documents = write(backend, *"abcd")
        kept, dropped = new_generation(backend), new_generation(backend)
        for generation in (kept, dropped):
            put(backend, generation, documents)
            backend.ledger.jobs.enqueue(generation.id, [JobRequest(d.key, d.content_hash, 4) for d in documents])
        backend.generations.drop(dropped.id)
        slices = 0
        while backend.reclaim():
            slices += 1
        assert backend.ledger.jobs.counts(dropped.id).total == 0
        assert backend.ledger.jobs.counts(kept.id).total == backend.generations.count(kept.id) == 4
        assert slices < 100

    def test_a_sound_backend_says_so(self, backend: Backend) -> None:
        """Nothing is damaged, and its past is the same as a moment ago."""
        before = backend.history()
        put(backend, new_generation(backend), write(backend, "a"))
        assert (backend.check(), backend.history()) == ([], before)

    @pytest.mark.parametrize(
        "use",
        [
            lambda backend: backend.documents.count(),
            lambda backend: backend.documents.upsert(["a"], ["text"]),
            lambda backend: backend.generations.all(),
            lambda backend: backend.generations.alias("live"),
            lambda backend: backend.ledger.active("live"),
            lambda backend: backend.require_writable(),
            lambda backend: backend.transaction().__enter__(),
            lambda backend: backend.snapshot().__enter__(),
        ],
    )
    def test_what_is_closed_is_not_used(self, backend: Backend, use: Callable[[Backend], object]) -> None:
        """Closing it twice does nothing."""
        backend.close()
        backend.close()
        with pytest.raises(ClosedError):
            use(backend)
