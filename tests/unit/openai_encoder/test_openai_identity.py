"""What an encoder's source and space say: it is found again, and migrated to."""

from __future__ import annotations

from revector.collection import Collection
from revector.encoders.base import TextEncoder
from revector.encoders.service.openai import OpenAIEncoder
from revector.testing import HashEncoder
from services import KEY, assert_rows, refuses


def test_an_encoder_follows_the_protocol_and_can_be_made_again_from_its_source(encoder, service):
    one = encoder(pacer=None, query_prefix="q: ", document_fields={"task": "x&y"}, spend_cap=5.0,
                  price_per_million_tokens=0.02, requests_per_minute=500.0)  # fmt: skip
    assert isinstance(one, TextEncoder)
    assert KEY not in one.source
    again = OpenAIEncoder.from_source(one.source)
    assert (again.space, again.source) == (one.space, one.source)
    assert_rows(again.encode(["a b"]), ["a b"])


def test_an_encoder_made_again_need_not_ask_for_the_dimension(encoder, service):
    one = encoder(dimensions=None)
    space = one.space
    again = OpenAIEncoder.from_source(one.source)
    assert again.space == space
    assert service.batches == [["a"]]
    again.encode(["b"])
    assert "dimensions" not in service.exchanges[-1].payload


def test_a_collection_finds_the_service_again(encoder, service, tmp_path):
    texts = ["how to bake bread", "how to mend a bicycle"]
    one = encoder(dimensions=None)
    with Collection.open(str(tmp_path / "docs.db"), one) as docs:
        docs.upsert(["a", "b"], texts)
    with Collection.open(str(tmp_path / "docs.db")) as docs:
        assert docs.search("bake bread", k=1)[0].id == "a"


def test_a_collection_migrates_to_a_service_and_lists_what_it_refuses(encoder, service, tmp_path):
    service.otherwise = refuses(lambda text: len(text) > 4000)
    with Collection.open(str(tmp_path / "docs.db"), HashEncoder(8)) as docs:
        docs.upsert(["a", "long", "b"], ["how to bake bread", "x" * 5000, "how to mend a bicycle"])
        migration = docs.migrate(encoder(max_texts_per_request=2))
        migration.start()
        migration.run()
        status = migration.status()
    assert (status.moved, status.target_jobs.failed, status.target_jobs.pending) == (2, 1, 0)


def test_an_encoder_with_headers_of_its_own_has_no_source(encoder):
    assert encoder(headers={"api-key": "an-azure-secret"}).source is None


def test_what_changes_the_vectors_changes_the_space(encoder):
    spaces = [
        encoder(**options).space.fingerprint
        for options in ({}, {"dimensions": 8}, {"revision": "2"}, {"query_prefix": "q"}, {"query_fields": {"a": 1}})
    ]
    assert len(set(spaces)) == len(spaces)
    assert encoder(concurrency=3, timeout_seconds=9, headers={"a": "b"}).space.fingerprint == spaces[0]
