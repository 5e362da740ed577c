"""Searches under a filter: only what matches, as much as there is, and the nearest of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.search.recall import Recall
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder
from worlds import places_of

N, QUERIES, DIMENSION = 3000, 40, 32
MOVED = 0.5


class Looked:
    """Encodes "d7" and "q7" as rows of a table: topics seen by a model, which has a view, and errors, of its own."""

    source = None

    def __init__(self, seed: int) -> None:
        topics = np.random.default_rng(0)
        centres = topics.standard_normal((30, DIMENSION))
        meant = centres[topics.integers(30, size=N + QUERIES)] + topics.standard_normal((N + QUERIES, DIMENSION))
        view = np.random.default_rng(seed)
        rows = meant @ view.standard_normal((DIMENSION, DIMENSION)) + view.standard_normal(meant.shape)
        self._rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        self.space = EmbeddingSpace(model=f"looked {seed}", dimension=DIMENSION, revision=str(seed))

    def encode(self, texts: list[str], *, kind: str = "document") -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._rows[[int(text[1:]) + (N if text[0] == "q" else 0) for text in texts]]


@pytest.fixture(scope="module", params=["alone", "half moved"])
def looked(request: pytest.FixtureRequest, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    ids = [f"d{place}" for place in range(N)]
    ranks = np.random.default_rng(1).permutation(N).tolist()
    folder = tmp_path_factory.mktemp("looked")
    with places_of(kind, folder) as places, Collection.open(places / "docs.db", Looked(1)) as docs:
        docs.upsert(ids, ids, [{"rank": rank} for rank in ranks])
        if request.param == "half moved":
            move_half(docs)
        yield docs


def move_half(docs: Collection) -> None:
    migration = docs.migrate(Looked(2))
    migration.start()

    class EnoughError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.share >= MOVED:
            raise EnoughError

    with pytest.raises(EnoughError):
        migration.run(on_progress=stop)


def _found(docs: Collection, where: dict[str, Any]) -> list[list[str]]:
    return [
        [hit.id for hit in docs.search(f"q{query}", where=where, rescore=10, write_through=False)]
        for query in range(QUERIES)
    ]


@pytest.mark.parametrize(("share", "least"), [(0.5, 0.98), (0.1, 0.98), (0.01, 1.0), (0.001, 1.0)])
def test_recall_under_a_filter_is_that_of_measuring_all_that_match(
    looked: Collection, monkeypatch: pytest.MonkeyPatch, share: float, least: float
) -> None:
    where = {"rank": {"<": share * N}}
    found = _found(looked, where)
    monkeypatch.setattr(Recall, "_filtered", lambda self, matching, *rest: self._measured(matching.all, *rest[:-1]))
    expected = _found(looked, where)
    shared = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True))
    assert shared >= least * sum(map(len, expected))
    assert {len(hits) for hits in found} == {min(10, int(share * N))}


def test_where_many_match_not_all_documents_are_looked_at(looked: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(looked._backend.documents), "matching_keys", None)
    assert len(looked.search("q0", where={"rank": {"<": N / 10}})) == 10


@pytest.fixture
def docs(places: Any) -> Iterator[Collection]:
    """Return 300 documents of tenant a, which are all alike, and three of tenant b, which are like nothing else."""
    with Collection.open(places / "docs.db", HashEncoder(16, 1)) as docs:
        texts = [*(f"red apple {place}" for place in range(300)), "blue car", "green car", "old car"]
        ids = [f"d{place}" for place in range(303)]
        docs.upsert(ids, texts, [{"tenant": "a" if place < 300 else "b"} for place in range(303)])
        yield docs


B = ["d300", "d301", "d302"]


def test_all_that_match_are_found_though_none_is_near_the_query(docs: Collection) -> None:
    hits = docs.search("red apple", where={"tenant": "b"})
    assert sorted(hit.id for hit in hits) == B


def test_a_filter_holds_in_every_phase_of_a_migration(docs: Collection) -> None:
    def found() -> list[str]:
        return sorted(hit.id for hit in docs.search("red apple", where={"tenant": {"!=": "a"}}))

    seen = [found()]
    migration = docs.migrate(HashEncoder(12, 2))
    for step in (
        migration.start,
        migration.run,
        migration.verify,
        migration.cutover,
        migration.rollback,
        migration.start,
        migration.run,
        migration.verify,
        migration.cutover,
        lambda: migration.retire(confirm=True, force=True),
    ):
        step()
        seen.append(found())
    assert seen == [B] * 11


def test_a_vector_is_searched_for_among_what_matches(docs: Collection) -> None:
    encoder = HashEncoder(16, 1)
    hits = docs.search_vector(encoder.encode(["red apple"])[0], encoder.space, where={"tenant": "b"})
    assert sorted(hit.id for hit in hits) == B


def test_several_queries_share_a_filter(docs: Collection) -> None:
    hits = docs.search(["red apple", "blue car"], k=1, where={"tenant": {"in": ["b", "c"]}})
    assert [hit.metadata for (hit,) in hits] == [{"tenant": "b"}] * 2


def test_an_empty_filter_lets_everything_through(docs: Collection) -> None:
    assert docs.search("blue car", where={}) == docs.search("blue car")


def test_nothing_matches_and_nothing_is_found(docs: Collection) -> None:
    assert docs.search("red apple", where={"tenant": 1}) == []


def test_a_document_that_changes_hands_during_a_search_is_found_as_it_was_or_not_at_all(
    docs: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(docs._backend.documents)
    plain = kind.matching

    def meanwhile(self: Any, where: Any, keys: Any) -> Any:
        found = plain(self, where, keys)
        writer = threading.Thread(target=docs.upsert, args=(["d300"], ["blue car"], [{"tenant": "c"}]))
        writer.start()
        writer.join()
        return found

    monkeypatch.setattr(kind, "matching", meanwhile)
    hits = docs.search("blue car", k=3, where={"tenant": "b"})
    assert {hit.metadata["tenant"] for hit in hits} == {"b"}
