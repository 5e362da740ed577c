"""The suite of transactions and snapshots over all parts of a backend. It needs pytest."""

from __future__ import annotations

import threading

import pytest

from revector.backends.conformance.samples import new_generation, put, write
from revector.backends.contracts import Backend
from revector.errors import StoreError, UnknownDocumentError
from revector.ledger.jobs import JobRequest


def _require_transactions(backend: Backend) -> None:
    if not backend.capabilities.transactions:
        pytest.skip("the backend has no transactions")


def _write_to_all_parts(backend: Backend, generation: int, text: str) -> None:
    (document,) = write(backend, text)
    backend.generations.create_alias(text, generation)
    backend.ledger.jobs.enqueue(generation, [JobRequest(document.key, document.content_hash, 1)])


def _seen(backend: Backend, generation: int) -> tuple[int, int, int]:
    """Return how many documents, aliases and jobs there are."""
    aliases = [name for name in "ab" if backend.generations.alias(name)]
    return backend.documents.count(), len(aliases), backend.ledger.jobs.counts(generation).total


class TransactionsConformance:
    """What `transaction`, `exclusive` and `snapshot` promise, one behaviour a test."""

    def test_a_transaction_that_raises_leaves_nothing(self, backend: Backend) -> None:
        """Documents, vectors, aliases and jobs together."""
        _require_transactions(backend)
        generation = new_generation(backend)

        def write_and_fail() -> None:
            with backend.transaction():
                put(backend, generation, write(backend, "b"))
                _write_to_all_parts(backend, generation.id, "a")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_and_fail()
        assert _seen(backend, generation.id) == (0, 0, 0)
        assert backend.generations.count(generation.id) == 0

    def test_an_error_inside_a_transaction_undoes_only_its_own_call(self, backend: Backend) -> None:
        """What the caller chose to go on with is committed."""
        _require_transactions(backend)
        with backend.transaction():
            write(backend, "a")
            with pytest.raises(UnknownDocumentError):
                backend.documents.delete(["id-a", "ghost"])
        assert list(backend.documents.ids()) == ["id-a"]

    def test_a_transaction_inside_another_is_undone_alone_and_committed_with_it(self, backend: Backend) -> None:
        """It joins; the outer one decides."""
        _require_transactions(backend)
        generation = new_generation(backend).id

        def fail_inside() -> None:
            with backend.transaction():
                _write_to_all_parts(backend, generation, "b")
                raise KeyboardInterrupt

        with backend.transaction():
            _write_to_all_parts(backend, generation, "a")
            with pytest.raises(KeyboardInterrupt):
                fail_inside()
        assert _seen(backend, generation) == (1, 1, 1)

    def test_a_transaction_sees_what_it_has_written_and_nobody_else_does(self, backend: Backend) -> None:
        """Nor do readers wait for it."""
        _require_transactions(backend)
        generation, others = new_generation(backend).id, []
        with backend.transaction():
            _write_to_all_parts(backend, generation, "a")
            assert _seen(backend, generation) == (1, 1, 1)
            reader = threading.Thread(target=lambda: others.append(_seen(backend, generation)))
            reader.start()
            reader.join()
        assert others == [(0, 0, 0)]

    def test_a_snapshot_does_not_see_later_writes(self, backend: Backend) -> None:
        """Readers never wait, and see one moment of all parts."""
        _require_transactions(backend)
        generation = new_generation(backend).id
        with backend.snapshot():
            assert _seen(backend, generation) == (0, 0, 0)
            writer = threading.Thread(target=_write_to_all_parts, args=(backend, generation, "a"))
            writer.start()
            writer.join()
            with backend.snapshot():
                assert _seen(backend, generation) == (0, 0, 0)
        assert _seen(backend, generation) == (1, 1, 1)

    def test_a_snapshot_sees_all_of_a_transaction_or_nothing(self, backend: Backend) -> None:
        """However often one looks while somebody writes."""
        _require_transactions(backend)
        generation = new_generation(backend).id
        begun, ended = threading.Event(), threading.Event()

        def work() -> None:
            for place in range(50):
                with backend.transaction():
                    (document,) = write(backend, str(place))
                    backend.ledger.jobs.enqueue(generation, [JobRequest(document.key, document.content_hash, 1)])
                begun.set()
            ended.set()

        writer = threading.Thread(target=work)
        writer.start()
        begun.wait()
        torn = []
        while not ended.is_set():
            with backend.snapshot():
                seen = backend.documents.count(), backend.ledger.jobs.counts(generation).total
            torn += [seen] if seen[0] != seen[1] else []
        writer.join()
        assert torn == []

    def test_a_snapshot_is_not_written_in(self, backend: Backend) -> None:
        """What it has read may be out of date by now."""
        _require_transactions(backend)
        with backend.snapshot(), pytest.raises(StoreError):
            write(backend, "a")
        assert backend.documents.count() == 0

    def test_others_write_once_an_exclusive_transaction_is_over(self, backend: Backend) -> None:
        """What it has looked at stays as it is."""
        writer = threading.Thread(target=write, args=(backend, "a"))
        with backend.exclusive():
            writer.start()
            writer.join(0.1)
            assert backend.documents.count() == 0
        writer.join()
        assert backend.documents.count() == 1

    def test_whoever_waits_too_long_to_be_alone_is_told_and_nothing_has_happened(self, backend: Backend) -> None:
        """The timeout is the caller's."""
        told: list[StoreError] = []

        def ask() -> None:
            try:
                with backend.exclusive(0.05):
                    write(backend, "a")
            except StoreError as error:
                told.append(error)

        with backend.exclusive():
            waiting = threading.Thread(target=ask)
            waiting.start()
            waiting.join()
        assert (len(told), backend.documents.count()) == (1, 0)
