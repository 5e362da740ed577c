"""Searches while one of the models is not at hand: nothing fails as long as anything can be answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revector import Encoder
from revector.collection import Collection
from revector.encoders.at_hand import EncoderSet
from revector.evaluation.metrics import per_query
from revector.formats.judgements import Corpus
from revector.ledger.state import Phase
from revector.mapping import Procrustes
from revector.migration.filling.bridge import FIRST_PAIRS
from revector.migration.migration import Migration
from revector.migration.strategies.background import Background
from revector.search.queries import QueryEncoder
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(24, seed=1, name="old"), HashEncoder(32, seed=2, name="new")
COLOURS = ("red", "green", "blue", "dark", "pale")
THINGS = ("lamp", "boat", "door", "coat", "tree", "bird", "road", "cup")
TEXTS = {
    f"{colour}-{thing}-{number}": f"{colour} {thing} number{number}"
    for number in range(6)
    for colour in COLOURS
    for thing in THINGS
}
QUERIES = {id_: text for place, (id_, text) in enumerate(TEXTS.items()) if not place % 7}
GONE = "the model 'old' is not at hand"


class _Stopping(HashEncoder):
    """The new model, which ends a run once it has embedded some documents."""

    def __init__(self, stop: threading.Event, documents: int) -> None:
        super().__init__(32, seed=2, name="new")
        self.stop, self.left = stop, documents

    def encode(self, texts, *, kind="document"):
        self.left -= len(texts)
        if self.left <= 0:
            self.stop.set()
        return super().encode(texts, kind=kind)


def _moved(places: Any, documents: int) -> None:
    """A collection of which about so many documents have moved."""
    stop = threading.Event()
    encoder = _Stopping(stop, documents)
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        migration = collection.migrate(encoder, strategy=Background(batch=8), retention_seconds=0)
        migration.start()
        if documents:
            migration.run(stop=stop)


def _moved_to(places: Any, phase: Phase) -> None:
    _moved(places, len(TEXTS))
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as collection:
        migration = collection.migration
        assert migration is not None
        if migration.phase is Phase.FILLING:
            migration.run()
        _advance(migration, phase)


def _advance(migration: Migration, phase: Phase) -> None:
    if phase is not Phase.PROVING:
        assert migration.verify().passed
        migration.cutover()
    if phase is Phase.ROLLED_BACK:
        migration.rollback()
    if phase is Phase.RETIRED:
        migration.retire(confirm=True)


def _ranked(collection: Collection, **options: Any) -> dict[str, list[str]]:
    found = collection.search(list(QUERIES.values()), 10, **options)
    return {id_: [hit.id for hit in hits] for id_, hits in zip(QUERIES, found, strict=True)}


def _quality(ranked: dict[str, list[str]]) -> float:
    values = per_query(ranked, {id_: {id_: 1} for id_ in QUERIES}, "nDCG@10").values()
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What a collection finds that never moved, by the name of its model."""
    found = {}
    for encoder in (OLD, NEW):
        with Collection.open(tmp_path_factory.mktemp("pure") / "docs.db", encoder) as collection:
            collection.upsert(list(TEXTS), list(TEXTS.values()))
            found[encoder.space.model] = _ranked(collection)
    return found


@pytest.fixture
def few(places: Any) -> Iterator[Collection]:
    """A collection of which too few documents have moved for a map, without the old model."""
    _moved(places, 16)
    with Collection.open(places / "docs.db", NEW) as collection:
        yield collection


def test_without_the_old_model_and_without_a_map_what_has_moved_is_found_and_flagged(few: Collection) -> None:
    assert few.migration is not None
    moved = few.migration.status().moved
    assert 0 < moved < FIRST_PAIRS
    hits = few.search(next(iter(QUERIES.values())), len(TEXTS))
    assert len(hits) == moved
    assert {hit.degraded for hit in hits} == {f"{GONE}, nor a map to its space: only what has moved is found"}


def test_what_is_mapped_is_flagged_and_what_is_not_is_not(places: Any) -> None:
    _moved(places, FIRST_PAIRS + 40)
    with Collection.open(places / "docs.db", NEW) as collection:
        (flag,) = {hit.degraded for hit in collection.search("red lamp")}
        assert flag is not None
        assert flag.startswith(f"{GONE}: its vectors are searched by mapped queries of another one")
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as collection:
        assert {hit.degraded for hit in collection.search("red lamp")} == {None}


@pytest.mark.parametrize("moved", [0.45, 0.9])
def test_while_documents_move_mapped_queries_keep_what_the_worse_model_finds(
    places: Any, pure: dict[str, dict[str, list[str]]], moved: float
) -> None:
    _moved(places, int(moved * len(TEXTS)))
    with Collection.open(places / "docs.db", NEW) as collection:
        kept = _quality(_ranked(collection, rescore=50, write_through=False))
    assert kept >= 0.95 * min(map(_quality, pure.values()))


@pytest.mark.parametrize("phase", [Phase.SERVING, Phase.PROVING, Phase.ROLLED_BACK])
@pytest.mark.parametrize("at_hand", [OLD, NEW], ids=["old", "new"])
def test_where_both_generations_are_complete_either_model_alone_finds_what_it_always_found(
    places: Any, pure: dict[str, dict[str, list[str]]], phase: Phase, at_hand: HashEncoder
) -> None:
    _moved_to(places, phase)
    with Collection.open(places / "docs.db", at_hand) as collection:
        assert _ranked(collection) == pure[at_hand.space.model]


def test_after_the_old_vectors_are_gone_the_old_model_still_finds_most(
    places: Any, pure: dict[str, dict[str, list[str]]]
) -> None:
    _moved_to(places, Phase.RETIRED)
    with Collection.open(places / "docs.db", encoders=[OLD]) as collection:
        assert _quality(_ranked(collection)) >= 0.9 * min(map(_quality, pure.values()))


def test_writes_without_the_model_that_serves_are_refused_although_searches_are_answered(places: Any) -> None:
    _moved_to(places, Phase.SERVING)
    with Collection.open(places / "docs.db", OLD) as collection:
        assert collection.search("red lamp")
        with pytest.raises(Exception, match="new"):
            collection.upsert(["fresh"], ["red lamp"])


def test_a_better_map_is_seen_by_whoever_has_loaded_the_one_before(world: Any) -> None:
    generation, generations = world.backend.generations.all()[0], world.backend.generations
    old, new = world.encoders.loaded
    texts = [f"text number {place}" for place in range(100)]
    queries = QueryEncoder(world.backend, EncoderSet([new]))
    found = []
    for rows in (old.encode(texts), -old.encode(texts)):
        fitted = Procrustes(source=new.space, target=old.space).fit(new.encode(texts), rows)
        generations.save_map(new.space.fingerprint, old.space.fingerprint, fitted.to_bytes())
        found.append(queries.encode(texts[:1], generation))
        time.sleep(0.001)
    assert (found[0] @ found[1].T).item() < 0


def test_real_models_half_way_without_the_old_one_keep_what_the_worse_one_finds(
    wordllama_folder: Path, minilm_folder: Path, docstring_corpus: Corpus, tmp_path: Path
) -> None:
    old, new = (Encoder.from_pretrained(folder) for folder in (wordllama_folder, minilm_folder))
    ids, texts = list(docstring_corpus.documents), list(docstring_corpus.documents.values())
    with Collection.open(tmp_path / "docs.db", old) as collection:
        collection.upsert(ids, texts)
        before = _judged(collection, docstring_corpus)
        collection.migrate(new, strategy=Background(batch=8)).start()
        stop = threading.Event()
        collection.migration.run(lambda seen: stop.set() if seen.done >= len(ids) // 2 else None, stop=stop)
    with Collection.open(tmp_path / "docs.db", encoders=[new]) as collection:
        collection._encoders._problems[old.space.fingerprint] = "it was switched off"
        hits = collection.search(next(iter(docstring_corpus.queries.values())))
        assert "is not at hand" in hits[0].degraded
        kept = _judged(collection, docstring_corpus)
        assert kept >= 0.95 * before


def _judged(collection: Collection, corpus: Corpus) -> float:
    found = collection.search(list(corpus.queries.values()), 10, rescore=50, write_through=False)
    run = {query: [hit.id for hit in hits] for query, hits in zip(corpus.queries, found, strict=True)}
    values = per_query(run, corpus.qrels, "nDCG@10").values()
    return sum(values) / len(values)
