"""What readers meet in the new generation beside the one that serves: the gate before the cut-over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from revector.backends.contracts import EXACT, IndexShape
from revector.errors import EncoderError, GateRefusedError
from revector.migration.parity import FEW_VALUES, few_valued, index_reasons
from worlds import NEW, OLD

GRAPH = IndexShape("hnsw", {"m": "16"})
LISTS = IndexShape("ivfflat", {"lists": "100"})


class Refusing:
    """The new encoder, but for bad texts."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        if any("bad" in text for text in texts):
            raise EncoderError("a bad text")
        return NEW.encode(texts, kind=kind)


def trusting(*_, **__):
    return SimpleNamespace(passed=True, reasons=(), details={})


def put(world, generation, encoder, tenants):
    """Store documents with a vector in one generation alone, that nobody asks for in any other."""
    ids, metadata = list(tenants), [{"tenant": tenant} for tenant in tenants.values()]
    documents = world.backend.documents.upsert(ids, ids, metadata)
    keys, hashes = [document.key for document in documents], [document.content_hash for document in documents]
    world.backend.generations.put(generation, keys, hashes, encoder.encode(ids))


def test_what_the_serving_generation_alone_finds_is_named_by_its_filter(world):
    migration = world.proving(verifier=trusting)
    put(world, world.served, OLD, {"x": "a", "y": "a", "z": "b"})
    put(world, migration.record.target_generation, NEW, {"y": "a"})
    found = migration.verify()
    assert not found.passed
    assert found.reasons[1:] == (
        "1 of 2 documents with tenant = 'a' are found now, and have no vector in the new generation",
        "1 of 1 documents with tenant = 'b' are found now, and have no vector in the new generation",
    )
    assert found.reasons[0].startswith("2 of ")
    with pytest.raises(GateRefusedError):
        migration.cutover()


def test_what_two_generations_find_alike_is_told(world):
    put(world, world.served, OLD, {"x": "a", "y": "a", "z": "b"})
    migration = world.proving(verifier=trusting)
    found = migration.verify()
    assert found.passed
    assert found.details["counted_by"] == "tenant (3 values)"  # most have none
    assert found.details["found_in_source"] == found.details["found_in_target"]
    assert (found.details["lost"], found.details["failed"]) == (0, 0)
    migration.cutover()


def test_the_fields_that_were_verified_are_looked_at_again_by_the_cutover(world, monkeypatch):
    put(world, world.served, OLD, {"x": "a"})
    migration = world.proving(verifier=trusting)
    assert migration.verify(fields=["lang"]).details["counted_by"] == "lang (1 values)"
    asked, tally = [], type(world.backend.generations).tally

    def watched(self, source, target, fields, **options):
        asked.append(fields)
        return tally(self, source, target, fields, **options)

    monkeypatch.setattr(type(world.backend.generations), "tally", watched)
    migration.cutover()
    assert asked == [["lang"]]


def test_documents_that_failed_are_no_loss(world, monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)
    world.write({"bad": "a bad text"})
    world.encoders.add(Refusing())
    migration = world.started(encoder=Refusing(), verifier=trusting)
    migration.run()
    found = migration.verify()
    assert (found.passed, found.details["failed"], found.details["lost"]) == (True, 1, 0)
    assert found.details["found_in_source"] == found.details["found_in_target"] + 1


def test_fields_with_few_plain_values_are_found(world):
    ids = [f"x{n}" for n in range(FEW_VALUES + 1)]
    metadata = [{"id": n, "lang": "en" if n % 2 else None, "flag": True, "tags": ["a"]} for n in range(len(ids))]
    world.backend.documents.upsert(ids, ids, metadata)
    assert few_valued(world.backend) == ["flag", "lang"]


@pytest.mark.parametrize(
    ("serving", "new", "reason"),
    [
        (GRAPH, GRAPH, ""),
        (LISTS, GRAPH, ""),
        (IndexShape(EXACT), GRAPH, ""),
        (IndexShape(EXACT), IndexShape(EXACT), ""),
        (GRAPH, IndexShape(EXACT, why="there are few"), ""),
        (GRAPH, IndexShape(EXACT), "has no index, and hnsw (m 16) serves"),
        (GRAPH, IndexShape("hnsw", {"m": "32"}), "is hnsw (m 32), and hnsw (m 16) serves"),
        (LISTS, IndexShape("hnsw", {"m": "32"}, is_valid=False), "is not valid"),
    ],
)
def test_an_index_is_at_least_what_serves(serving, new, reason):
    found = index_reasons(serving, new)
    assert len(found) == bool(reason)
    assert reason in "".join(found)
