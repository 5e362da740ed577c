"""Searches of a `Collection` while it moves from one model to another, and when it moves back."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revector.backends.contracts import content_hash
from revector.collection import Collection
from revector.errors import EncoderError, SpaceMismatchError
from revector.ledger.state import Phase
from revector.migration.migration import Migration
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder, RecordingEncoder

OLD, NEW = HashEncoder(24, seed=1, name="old"), HashEncoder(32, seed=2, name="new")
WORDS = [f"{kind}{i}" for kind in ("red", "green", "blue", "dark") for i in range(15)]
N = 240


def _texts(seed: int, n: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.sample(WORDS, 5)) for _ in range(n)]


TEXTS = dict(zip([f"doc{i:03}" for i in range(N)], _texts(0, N), strict=True))
QUERIES = _texts(1, 12)


def _fill(path: Path, encoder: HashEncoder = OLD) -> Collection:
    collection = Collection.open(path, encoder)
    collection.upsert(list(TEXTS), list(TEXTS.values()))
    return collection


def _ranked(collection: Collection, k: int = 10) -> list[list[str]]:
    return [[hit.id for hit in hits] for hits in collection.search(QUERIES, k)]


def _run_some(migration: Migration, documents: int) -> None:
    """Stop once so many documents were embedded; those in hand land."""
    stop, encode, left = threading.Event(), NEW.encode, documents

    def counted(texts: list[str], *, kind: str = "document") -> np.ndarray:
        nonlocal left
        left -= len(texts)
        if left <= 0:
            stop.set()
        return encode(texts, kind=kind)

    if documents:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(NEW, "encode", counted)
            migration.run(stop=stop)


def _serve_new(collection: Collection, writers: int = 0) -> Migration:
    """Migrate. A write that began before `start` knows nothing of the new model; each writer may be late by one."""
    migration = collection.migrate(NEW, retention_seconds=0)
    migration.start()
    migration.run()
    verdicts = [migration.verify()]
    while not verdicts[-1].passed and len(verdicts) <= writers:
        verdicts.append(migration.verify())
    assert verdicts[-1].passed, verdicts
    migration.cutover()
    return migration


@pytest.fixture
def collection(places: Any) -> Iterator[Collection]:
    with _fill(places / "docs.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def pure_old(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    with _fill(tmp_path_factory.mktemp("old") / "docs.db", OLD) as opened:
        return _ranked(opened)


@pytest.fixture(scope="module")
def pure_new(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    with _fill(tmp_path_factory.mktemp("new") / "docs.db", NEW) as opened:
        return _ranked(opened)


# Phases


def test_readers_keep_what_they_had_when_all_documents_have_moved_until_the_cutover(
    collection: Collection, pure_old: list[list[str]], pure_new: list[list[str]]
) -> None:
    seen: dict[Phase | None, list[list[str]]] = {None: _ranked(collection)}
    migration = collection.migrate(NEW, retention_seconds=0)
    seen[migration.phase] = _ranked(collection)
    migration.start()
    migration.run()
    seen[migration.phase] = _ranked(collection)
    migration.verify()
    migration.cutover()
    seen[migration.phase] = _ranked(collection)
    migration.rollback()
    seen[migration.phase] = _ranked(collection)
    assert seen == {
        None: pure_old,
        Phase.PLANNED: pure_old,
        Phase.PROVING: pure_new,
        Phase.SERVING: pure_new,
        Phase.ROLLED_BACK: pure_old,
    }


def test_after_retiring_only_the_new_generation_is_left(collection: Collection, pure_new: list[list[str]]) -> None:
    _ranked(collection)
    migration = _serve_new(collection)
    migration.retire(confirm=True)
    assert _ranked(collection) == pure_new
    assert collection.migration is None
    assert collection.serving_space == NEW.space


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("rescore", [0, 10])
def test_every_document_is_found_by_its_own_text_at_every_share(
    collection: Collection, share: float, rescore: int
) -> None:
    migration = collection.migrate(NEW, strategy=Background(batch=8))
    migration.start()
    _run_some(migration, int(share * N))
    assert migration.phase is Phase.FILLING
    sample = list(TEXTS)[::7]
    found = collection.search([TEXTS[id_] for id_ in sample], 3, rescore=rescore, write_through=False)
    assert [hits[0].id for hits in found] == sample


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_with_everything_rescored_the_blend_is_the_new_models_ranking(
    collection: Collection, share: float, pure_new: list[list[str]]
) -> None:
    migration = collection.migrate(NEW, strategy=Background(batch=8))
    migration.start()
    _run_some(migration, int(share * N))
    found = collection.search(QUERIES, 10, rescore=N)
    assert [[hit.id for hit in hits] for hits in found] == pure_new


def test_hits_say_which_generation_they_come_from(collection: Collection) -> None:
    migration = collection.migrate(NEW)
    migration.start()
    record = migration.record
    hits = collection.search(QUERIES[0], 20, rescore=5, write_through=False)
    assert [hit.generation for hit in hits].count(record.target_generation or -1) == 5
    assert {hit.generation for hit in hits} == {record.source_generation, record.target_generation}


def test_no_document_comes_twice_in_a_blend(collection: Collection) -> None:
    migration = collection.migrate(NEW, strategy=Background(batch=8))
    migration.start()
    _run_some(migration, N // 2)
    for hits in collection.search(QUERIES, 100):
        assert len({hit.id for hit in hits}) == len(hits) == 100


class InterruptedEncoder(HashEncoder):
    """Lets something happen while it encodes the next query, or the next documents."""

    def __init__(self, like: HashEncoder, interrupted: str = "query") -> None:
        super().__init__(like.space.dimension, int(like.space.revision.split(":")[1]), name=like.space.model)
        self.interrupted = interrupted
        self.meanwhile: list[Callable[[], None]] = []

    def encode(self, texts, *, kind="document"):
        rows = super().encode(texts, kind=kind)
        if kind == self.interrupted and self.meanwhile:
            self.meanwhile.pop()()
        return rows


@pytest.mark.parametrize("retires", [False, True])
def test_a_search_that_is_overtaken_by_a_cutover_starts_again(
    places: Any, pure_new: list[list[str]], retires: bool
) -> None:
    encoder = InterruptedEncoder(OLD)
    with _fill(places / "docs.db", encoder) as collection:
        _ranked(collection)
        migration = collection.migrate(NEW, retention_seconds=0)
        migration.start()
        migration.run()
        migration.verify()

        def overtake() -> None:
            migration.cutover()
            if retires:
                migration.retire(confirm=True)

        encoder.meanwhile.append(overtake)
        assert _ranked(collection) == pure_new
        assert not encoder.meanwhile


def test_a_document_deleted_under_a_search_is_left_out(places: Any) -> None:
    encoder = InterruptedEncoder(OLD)
    with _fill(places / "docs.db", encoder) as collection:
        encoder.meanwhile.append(lambda: collection.delete(["doc000"]))
        assert "doc000" not in [hit.id for hit in collection.search(TEXTS["doc000"])]


# Writing through


def test_a_rescored_document_is_written_through_and_embedded_once(tmp_path: Path, places: Any) -> None:
    log = tmp_path / "encoded"
    with _fill(places / "docs.db") as collection:
        migration = collection.migrate(RecordingEncoder(NEW, log))
        migration.start()
        for searches in (1, 2):
            collection.search(QUERIES[0], rescore=10)
            collection._searcher.behind.flush()
            assert migration.status().moved == 10 * searches
        migration.run()
        embedded = Counter(log.read_text().split())
        del embedded[content_hash(QUERIES[0])]
        assert embedded == Counter(content_hash(text) for text in TEXTS.values())
        assert migration.phase is Phase.PROVING
        assert migration.verify().passed


def test_without_write_through_a_search_changes_nothing(collection: Collection) -> None:
    migration = collection.migrate(NEW)
    migration.start()
    collection.search(QUERIES, rescore=10, write_through=False)
    collection._searcher.behind.flush()
    assert migration.status().moved == 0


def test_a_text_that_changes_while_it_is_rescored_is_not_overwritten_by_the_older_one(collection: Collection) -> None:
    encoder = InterruptedEncoder(NEW, "document")
    migration = collection.migrate(encoder)
    migration.start()

    def change() -> None:
        collection.upsert(["doc000"], ["a walnut cake"])

    encoder.meanwhile.append(change)
    collection.search(TEXTS["doc000"], rescore=10)
    migration.run()
    assert migration.verify(sample=N).passed
    assert collection.search("a walnut cake", 1)[0].id == "doc000"


class ForgetfulEncoder(HashEncoder):
    """Encodes queries only."""

    def encode(self, texts, *, kind="document"):
        if kind == "document":
            raise EncoderError("out of memory")
        return super().encode(texts, kind=kind)


def test_a_search_goes_on_when_the_new_model_fails_to_rescore(
    collection: Collection, pure_old: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    collection.migrate(ForgetfulEncoder(32, seed=2, name="new")).start()
    with caplog.at_level(logging.WARNING):
        assert _ranked(collection) == pure_old
    assert "out of memory" in caplog.text


# Models that are not at hand


def test_without_the_old_model_its_vectors_are_found_by_mapped_queries(places: Any) -> None:
    with _fill(places / "docs.db") as collection:
        migration = collection.migrate(NEW, strategy=Background(batch=8))
        migration.start()
        _run_some(migration, 160)
    with Collection.open(places / "docs.db", NEW) as collection:
        assert collection.migration is not None
        assert collection.migration.phase is Phase.FILLING
        sample = list(TEXTS)[::7]
        found = collection.search([TEXTS[id_] for id_ in sample], 10, rescore=10)
        assert np.mean([hits[0].id == id_ for hits, id_ in zip(found, sample, strict=True)]) > 0.9


def test_without_the_old_model_a_filled_generation_is_searched_before_the_cutover(
    places: Any, pure_new: list[list[str]]
) -> None:
    with _fill(places / "docs.db") as collection:
        migration = collection.migrate(NEW)
        migration.start()
        migration.run()
    with Collection.open(places / "docs.db", NEW) as collection:
        assert _ranked(collection) == pure_new


def test_without_the_old_model_and_without_a_map_the_error_names_the_model(places: Any) -> None:
    with _fill(places / "docs.db") as collection:
        collection.migrate(NEW).start()
    with Collection.open(places / "docs.db", NEW) as collection, pytest.raises(EncoderError, match=r"old \(24-d"):
        collection.search(QUERIES[0])


def test_without_the_new_model_the_old_generation_serves_alone(places: Any, pure_old: list[list[str]]) -> None:
    with _fill(places / "docs.db") as collection:
        migration = collection.migrate(NEW, strategy=Background(batch=8))
        migration.start()
        _run_some(migration, N // 2)
    with Collection.open(places / "docs.db", OLD) as collection:
        assert _ranked(collection) == pure_old


def test_query_vectors_of_the_new_model_are_refused_until_it_serves(collection: Collection) -> None:
    vector = NEW.encode([TEXTS["doc000"]])[0]
    collection.migrate(NEW).start()
    with pytest.raises(SpaceMismatchError, match="'old'"):
        collection.search_vector(vector, NEW.space)


def test_query_vectors_of_a_model_that_has_served_are_answered_in_its_space_until_it_is_retired(
    collection: Collection,
) -> None:
    vectors = {encoder.space: encoder.encode([TEXTS["doc000"]])[0] for encoder in (OLD, NEW)}
    migration = collection.migrate(NEW)
    migration.start()
    migration.run()
    migration.verify()
    for step in (migration.cutover, migration.rollback, migration.start):
        step()
        for space, vector in vectors.items():
            (best, *_) = collection.search_vector(vector, space, explain=True)
            generation = {each.space: each.id for each in collection.answering}[space]
            assert (best.id, best.generation) == ("doc000", generation)
            assert best.score == pytest.approx(1, abs=1e-6)
    migration.rollback()
    migration.retire(confirm=True)
    assert [generation.space for generation in collection.answering] == [OLD.space]
    with pytest.raises(SpaceMismatchError, match="'old'"):
        collection.search_vector(vectors[NEW.space], NEW.space)


def test_texts_are_embedded_by_the_model_that_serves_or_by_that_of_a_generation(collection: Collection) -> None:
    migration = collection.migrate(NEW)
    migration.start()
    migration.run()
    migration.verify()
    migration.cutover()
    _, before = collection.answering
    for found, encoder in ((collection.embed(["a text"]), NEW), (collection.embed(["a text"], generation=before), OLD)):
        np.testing.assert_array_equal(found.vectors, encoder.encode(["a text"]))
        assert found.generation.space == encoder.space


# Writes


def test_writes_while_documents_move_are_found_at_once(collection: Collection) -> None:
    migration = collection.migrate(NEW, strategy=Background(batch=8))
    migration.start()
    _run_some(migration, N // 2)
    ids = list(TEXTS)
    collection.upsert([ids[0], "fresh"], ["a walnut cake", "an elderberry wine"])
    collection.delete([ids[1]])
    assert collection.search("a walnut cake", 1)[0].id == ids[0]
    assert collection.search("an elderberry wine", 1)[0].id == "fresh"
    assert ids[1] not in [hit.id for hit in collection.search(TEXTS[ids[1]], 50)]


def test_a_text_changed_without_the_new_model_counts_as_not_moved(places: Any) -> None:
    with _fill(places / "docs.db") as collection:
        migration = collection.migrate(NEW, strategy=Background(batch=8))
        migration.start()
        _run_some(migration, N - 40)
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(["doc000"], ["a walnut cake"])
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as collection:
        hits = collection.search("a walnut cake", 3, rescore=10)
        assert hits[0].id == "doc000"
        assert hits[0].score == pytest.approx(1.0, abs=1e-5)


def _write_at_random(collection: Collection, seed: int, n: int, together: int = 5) -> None:
    """Delete, change or insert `n` documents, some at a time."""
    rng = random.Random(seed)
    for step in range(n // together):
        ids = rng.sample(collection.ids(), together)
        kind = rng.random()
        if kind < 0.2:
            collection.delete(ids)
        elif kind < 0.6:
            collection.upsert(ids, _texts(1000 + step, together))
        else:
            collection.upsert([f"new{step}-{i}" for i in range(together)], _texts(5000 + step, together))


@pytest.mark.parametrize("writes", [0, 1000])
def test_a_rolled_back_collection_searches_like_one_that_never_migrated(places: Any, writes: int) -> None:
    with _fill(places / "moved.db") as moved, _fill(places / "stayed.db") as stayed:
        migration = _serve_new(moved)
        for collection in (moved, stayed):
            _write_at_random(collection, seed=9, n=writes)
        migration.rollback()
        assert moved.ids() == stayed.ids()
        for found, expected in zip(moved.search(QUERIES, 20), stayed.search(QUERIES, 20), strict=True):
            assert [(hit.id, hit.text) for hit in found] == [(hit.id, hit.text) for hit in expected]
            np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in expected], atol=1e-6)


def test_searches_beside_writers_worker_and_cutover_never_fail_or_mix_generations(collection: Collection) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        rng = random.Random(threading.get_ident())
        while not done.is_set():
            try:
                hits = collection.search(rng.choice(QUERIES), 10)
                assert len({hit.id for hit in hits}) == len(hits)
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            except BaseException as error:
                errors.append(error)
                return

    def write() -> None:
        try:
            _write_at_random(collection, seed=3, n=60)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search), threading.Thread(target=search), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    migration = _serve_new(collection, writers=1)
    threads[-1].join()
    migration.rollback()
    done.set()
    for thread in threads:
        thread.join()
    assert not errors
    _ranked(collection)
    stored = {id_: collection.documents([id_])[0].content_hash for id_ in collection.ids()}
    assert {info.id: info.content_hash for info in collection.info(list(stored))} == stored
