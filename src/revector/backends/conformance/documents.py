"""The suite that the documents of every backend pass. It needs pytest."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from revector.backends.arguments import checked_documents
from revector.backends.conformance.samples import new_generation, put, write
from revector.backends.contracts import Backend, NewDocument, content_hash
from revector.errors import (
    InvalidArgumentError,
    UnknownDocumentError,
)
from revector.spaces import Template


class DocumentsConformance:
    """What `revector.backends.contracts.Documents` promises, one behaviour a test."""

    def test_documents_come_back_as_written_in_the_order_asked_for(self, backend: Backend) -> None:
        """Texts of any kind, the empty one included, with their hash and metadata."""
        texts = ["", "plain", "emoji 🎈 and ünïcode", "line\nbreak"]
        ids = [f"d{place}" for place in range(len(texts))]
        backend.documents.upsert(
            ids, texts, [{"place": place, "deep": {"x": [1, None]}} for place in range(len(texts))]
        )
        found = backend.documents.by_id(ids[::-1])
        assert [d.text for d in found] == texts[::-1]
        assert [d.content_hash for d in found] == [content_hash(text) for text in texts[::-1]]
        assert found[0].metadata == {"place": 3, "deep": {"x": [1, None]}}

    def test_upsert_changes_hash_and_time_only_with_the_text(self, backend: Backend) -> None:
        """Metadata that is not given is kept; a document keeps its key."""
        (first,) = backend.documents.upsert(["a"], ["one"], [{"kept": True}])
        (same,) = backend.documents.upsert(["a"], ["one"])
        (changed,) = backend.documents.upsert(["a"], ["two"])
        assert same == first
        assert (changed.key, changed.metadata) == (first.key, {"kept": True})
        assert changed.content_hash != first.content_hash
        assert changed.updated_at >= first.updated_at

    @pytest.mark.parametrize(
        ("ids", "texts", "metadata"),
        [
            (["a", "a"], ["x", "y"], None),
            (["a"], ["x", "y"], None),
            (["a"], ["x"], [{}, {}]),
            ([""], ["x"], None),
            ([1], ["x"], None),
            (["a"], [None], None),
            (["a"], ["lone \ud800 surrogate"], None),
            (["a"], ["x"], [{"not json": object()}]),
            (["a"], ["x"], [{"nan": float("nan")}]),
            (["a"], ["x"], ["text"]),
            (["a"], ["x"], [{1: "comes back as a string"}]),
            (["a"], ["x"], [{"half": "\ud83d"}]),
            (["a"], ["x"], {"one": "dict"}),
            ("a", "x", None),
            (b"a", ["x"], None),
            ({"a": "x"}, ["x"], None),
            ({"a"}, ["x"], None),
            (["a\ud83d"], ["x"], None),
        ],
    )
    def test_invalid_documents_are_refused_and_nothing_is_written(
        self, backend: Backend, ids: Any, texts: Any, metadata: Any
    ) -> None:
        """Each with an error that is also a `ValueError`."""
        with pytest.raises(InvalidArgumentError):
            backend.documents.upsert(ids, texts, metadata)
        assert backend.documents.count() == 0

    @pytest.mark.parametrize(
        ("id_", "text", "metadata"),
        [
            ("a", "nul \0 inside", {}),
            ("a", "text", {"x": ["\0"]}),
            ("a", "text", {"\0": 1}),
            ("long" * 1000, "text", {}),
            ("größer" * 1000, "text", {}),
        ],
        ids=["text", "metadata", "name of a field", "id", "id of more bytes"],
    )
    def test_what_not_every_store_holds_comes_back_as_written_or_is_refused_by_the_id(
        self, backend: Backend, id_: str, text: str, metadata: dict[str, Any]
    ) -> None:
        """Before it is paid for, and before anything of the call is written."""
        checked = checked_documents(["first", id_], ["other", text], [None, metadata])
        if (refused := _refused(backend, checked)) is None:
            backend.documents.put(checked)
            (found,) = backend.documents.by_id([id_])
            assert (found.text, found.metadata) == (text, metadata)
        else:
            with pytest.raises(InvalidArgumentError, match=id_[:40]):
                backend.documents.put(checked)
            assert (backend.documents.count(), id_[:40] in str(refused)) == (0, True)

    def test_an_id_that_no_document_can_have_is_unknown(self, backend: Backend) -> None:
        """As every other one that no document has."""
        write(backend, "a")
        assert backend.documents.keys(["id-a", "\0", "long" * 1000]).keys() == {"id-a"}
        assert backend.documents.metadata(["id-a", "\0"]) == {"id-a": {}}
        for ask in (backend.documents.by_id, backend.documents.delete):
            with pytest.raises(UnknownDocumentError):
                ask(["id-a", "\0"])

    @pytest.mark.parametrize(
        "number",
        [1, 1.0, -0.0, 0.1, 1e5, 1e16, -1e23, 1.7976931348623157e308, 5e-324, 2.0**53, 2**53 + 1, 10**23, -(2**70)],
        ids=repr,
    )
    def test_numbers_come_back_as_the_same_number(self, backend: Backend, number: float) -> None:
        """Whatever their size and precision, and text that looks like one as it is."""
        metadata = {"x": number, "deep": [{"x": number}], f"{number}": f'"{number}\\"'}
        (document,) = backend.documents.upsert(["a"], ["text"], [metadata])
        assert document.metadata == backend.documents.by_id(["a"])[0].metadata == metadata
        assert type(document.metadata["x"]) is type(number)

    def test_texts_are_rendered_by_a_template(self, backend: Backend) -> None:
        """With what the document has of it; `metadata` leaves out what does not exist."""
        (titled,) = backend.documents.upsert(["a"], ["text"], [{"title": "T"}])
        found = backend.documents.texts([titled.key], Template(("title", "text")))
        assert found == {titled.key: (titled.content_hash, "T\ntext")}
        assert backend.documents.metadata(["ghost", "a"]) == {"a": {"title": "T"}}

    def test_another_hash_goes_to_the_documents_that_had_the_present_one_and_their_vectors(
        self, backend: Backend
    ) -> None:
        """Neither to documents that have changed, nor to vectors that are stale."""
        generation = new_generation(backend)
        same, changed, stale = write(backend, "same", "changed", "stale")
        put(backend, generation, [same, changed, stale])
        backend.documents.upsert([changed.id], ["newer"])
        (newer,) = backend.documents.upsert([stale.id], ["newest"])
        backend.documents.rehash([(d.key, d.content_hash, content_hash(d.id)) for d in (same, changed, newer)])
        hashes = [d.content_hash for d in backend.documents.by_id([same.id, changed.id, stale.id])]
        assert hashes == [content_hash(same.id), content_hash("newer"), content_hash(stale.id)]
        keys = [same.key, changed.key, stale.key]
        assert backend.generations.stale_keys(generation.id, keys).tolist() == keys[1:]

    def test_unknown_ids_are_named_and_nothing_is_deleted(self, backend: Backend) -> None:
        """All or nothing."""
        write(backend, "a")
        with pytest.raises(UnknownDocumentError) as caught:
            backend.documents.delete(["id-a", "ghost"])
        assert caught.value.ids == ("ghost",)
        with pytest.raises(UnknownDocumentError):
            backend.documents.by_id(["ghost"])
        assert list(backend.documents.ids()) == ["id-a"]

    @pytest.mark.parametrize("ids", ["12", b"12", 12, [1, 2], [None], {"1": "2"}, ["1\ud83d"], None])
    @pytest.mark.parametrize("method", ["documents.by_id", "documents.delete", "generations.info"])
    def test_what_is_not_a_list_of_ids_is_refused_and_nothing_is_deleted(
        self, backend: Backend, method: str, ids: Any
    ) -> None:
        """A single str above all, whose characters would be taken for ids."""
        backend.documents.upsert(["1", "2", "12"], ["one", "two", "twelve"])
        arguments = (new_generation(backend).id, ids) if method == "generations.info" else (ids,)
        with pytest.raises(InvalidArgumentError, match="ids"):
            attrgetter(method)(backend)(*arguments)
        assert backend.documents.count() == 3

    def test_ids_come_in_any_sequence(self, backend: Backend) -> None:
        """An array, a generator, a set to delete; an id may be named twice."""
        write(backend, "a", "b", "c", "d")
        array: Any = np.array(["id-b", "id-a"])
        assert [d.id for d in backend.documents.by_id(array)] == ["id-b", "id-a"]
        backend.documents.delete(id_ for id_ in ["id-a", "id-a"])
        backend.documents.delete({"id-b", "id-c"})
        assert list(backend.documents.ids()) == ["id-d"]

    def test_a_deleted_id_comes_back_with_a_new_key(self, backend: Backend) -> None:
        """Otherwise indexes would take the new document for the old one."""
        (before,) = write(backend, "a")
        assert backend.documents.delete(["id-a"]) == [before.key]
        (after,) = write(backend, "a")
        assert after.key > before.key
        assert backend.documents.by_key([before.key, after.key]) == [after]

    def test_scans_return_everything_in_key_order(self, backend: Backend) -> None:
        """In batches of at most the size asked for."""
        documents, generation = write(backend, *"abcdefg"), new_generation(backend)
        put(backend, generation, documents)
        keys = [document.key for document in documents]
        batches = list(backend.documents.scan(batch=3))
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert [document for batch in batches for document in batch] == documents
        assert np.concatenate([batch for batch, _ in backend.generations.scan(generation.id, batch=3)]).tolist() == keys

    def test_keys_are_found_by_id_and_in_their_order(self, backend: Backend) -> None:
        """Ids that do not exist are left out; slices of keys skip what was deleted."""
        a, b, c = write(backend, "a", "b", "c")
        backend.documents.delete(["id-b"])
        assert backend.documents.keys(["id-c", "id-b", "id-a"]) == {"id-a": a.key, "id-c": c.key}
        assert [backend.documents.next_key(after) for after in (0, a.key, b.key, c.key)] == [a.key, c.key, c.key, None]

    def test_documents_are_counted_by_their_hits(self, backend: Backend) -> None:
        """The most hits first; those without any are left out."""
        a, b, c, _ = write(backend, "a", "b", "c", "d")
        for keys in ([a.key, b.key, c.key], [a.key], [a.key]):
            backend.documents.record_access(keys)
        assert backend.documents.hit_counts() == [(3, 1), (1, 2)]

    def test_access_is_counted(self, backend: Backend) -> None:
        """Per document; keys that are gone are left out."""
        a, b = write(backend, "a", "b")
        backend.documents.record_access([a.key, b.key, a.key, 999])
        backend.documents.record_access([b.key], failed=True)
        assert [(fact.hits, fact.failures) for fact in backend.documents.facts()] == [(2, 0), (2, 1)]
        assert [(fact.id, fact.text_length) for fact in backend.documents.facts(after=b.key - 1)] == [("id-b", 1)]

    def test_texts_come_with_their_hashes(self, backend: Backend) -> None:
        """By key, without those that do not exist."""
        documents = write(backend, "a", "b")
        found = backend.documents.texts([documents[1].key, 999, documents[0].key])
        assert found == {d.key: (d.content_hash, d.text) for d in documents}

    def test_metadata_come_by_id(self, backend: Backend) -> None:
        """Ids that do not exist are left out."""
        backend.documents.upsert(["a", "b"], ["one", "two"], [{"n": 1}, None])
        assert backend.documents.metadata(["b", "ghost", "a"]) == {"a": {"n": 1}, "b": {}}

    def test_what_a_reader_does_to_a_document_is_its_own_affair(self, backend: Backend) -> None:
        """What is stored stays as it is."""
        backend.documents.upsert(["a"], ["one"], [{"tags": ["kept"]}])
        backend.documents.by_id(["a"])[0].metadata["tags"].append("added")
        assert backend.documents.by_id(["a"])[0].metadata == {"tags": ["kept"]}

    def test_a_document_that_many_write_at_once_is_one(self, backend: Backend) -> None:
        """With the text of one of them, and its hash."""
        texts = [f"text {place}" for place in range(8)]
        threads = [threading.Thread(target=backend.documents.upsert, args=(["a"], [text])) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (document,) = backend.documents.by_id(["a"])
        assert document.text in texts
        assert (backend.documents.count(), document.content_hash) == (1, content_hash(document.text))

    def test_a_scan_goes_on_past_what_is_deleted_meanwhile(self, backend: Backend) -> None:
        """Each batch is one moment."""
        write(backend, *"abcdef")
        seen: list[str] = []
        for batch in backend.documents.scan(batch=2):
            seen += [document.id for document in batch]
            backend.documents.delete(list(backend.documents.keys(["id-b", "id-c"])))
        assert seen == ["id-a", "id-b", "id-d", "id-e", "id-f"]


def _refused(backend: Backend, documents: Sequence[NewDocument]) -> InvalidArgumentError | None:
    """Return why a store cannot hold one of some documents."""
    try:
        backend.documents.require_storable(documents)
    except InvalidArgumentError as error:
        return error
    return None
