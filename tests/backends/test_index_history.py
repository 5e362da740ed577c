"""An index belongs to one history of its database: backups, copies and restored files never make a search wrong."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from index_worlds import forbid_building, graph_files, small_graphs
from revector.backends.local_index.segments import named
from revector.collection import Collection
from revector.errors import StoreError
from revector.testing import HashEncoder

WORDS = ["apple", "brick", "candle", "dolphin", "engine", "forest", "guitar", "hammer"]
TEXTS = [f"{word} number {i}" for i, word in enumerate(WORDS)]


@pytest.fixture(autouse=True)
def graphs_of_few(monkeypatch):
    small_graphs(monkeypatch, rest_limit=len(WORDS))


def opened(path: Path) -> Collection:
    return Collection.open(path, HashEncoder(64))


def index_graph(docs: Collection) -> None:
    """Let the index become graphs, as the growth of a large collection does."""
    index = docs._backend.index.of(docs._serving.read().serving)
    docs.search("apple")
    while (thread := index._thread) is not None:
        thread.join(20)
        docs.search("apple")


def filled(path: Path) -> Path:
    """A collection with 300 documents and a graph of them."""
    with opened(path) as docs:
        docs.upsert([f"base{i}" for i in range(300)], [f"base text {i}" for i in range(300)])
        index_graph(docs)
    assert len(graph_files(index_of(path))) == 1
    return path


def add_day(path: Path, *, backwards: bool = False, search: bool = True) -> None:
    step = -1 if backwards else 1
    with opened(path) as docs:
        docs.upsert(WORDS[::step], TEXTS[::step])
        if search:
            index_graph(docs)


def found_by_their_texts(docs: Collection) -> list[str]:
    return [docs.search(text, k=1)[0].id for text in TEXTS]


def index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.index")


def test_a_restored_backup_is_not_searched_by_the_index_of_another_day(tmp_path):
    path = filled(tmp_path / "docs.db")
    shutil.copy(path, tmp_path / "backup.db")
    add_day(path)
    shutil.copy(tmp_path / "backup.db", path)
    add_day(path, backwards=True, search=False)
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS
        assert docs.check().problems == ()
        index_graph(docs)
        assert found_by_their_texts(docs) == WORDS


def test_doctor_says_that_an_index_was_built_anew_in_later_processes_too(tmp_path):
    path = filled(tmp_path / "docs.db")
    shutil.rmtree(index_of(path))
    with opened(path) as docs:
        index_graph(docs)
    with opened(path) as docs:
        assert "is missing" in docs.check().notices[0]


def test_a_sound_collection_has_nothing_to_notice(tmp_path):
    with opened(filled(tmp_path / "docs.db")) as docs:
        assert docs.check().notices == ()


def test_an_older_index_under_a_newer_database_is_not_searched(tmp_path):
    path = filled(tmp_path / "docs.db")
    shutil.copytree(index_of(path), tmp_path / "old.index")
    with opened(path) as docs:
        docs.upsert([f"more{i}" for i in range(301)], [f"more text {i}" for i in range(301)])
        index_graph(docs)
    add_day(path)
    shutil.rmtree(index_of(path))
    shutil.copytree(tmp_path / "old.index", index_of(path))
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS


@pytest.mark.parametrize("shared", [True, False], ids=["one index for both", "indexes swapped"])
def test_two_copies_that_were_both_written_on_do_not_take_each_others_index(tmp_path, shared):
    one = filled(tmp_path / "one.db")
    two = Path(shutil.copy(one, tmp_path / "two.db"))
    if shared:
        index_of(two).symlink_to(index_of(one))
    else:
        shutil.copytree(index_of(one), index_of(two))
    add_day(one)
    add_day(two, backwards=True)
    if not shared:
        index_of(one).rename(tmp_path / "aside")
        index_of(two).rename(index_of(one))
        (tmp_path / "aside").rename(index_of(two))
    for path in (one, two, one):
        with opened(path) as docs:
            assert found_by_their_texts(docs) == WORDS


def test_a_copy_with_its_index_needs_no_new_one(tmp_path, monkeypatch):
    path = filled(tmp_path / "docs.db")
    (tmp_path / "elsewhere").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "elsewhere" / "other.db"))
    shutil.copytree(index_of(path), index_of(copy))
    forbid_building(monkeypatch)
    with opened(copy) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


@pytest.mark.parametrize("change", ["VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)", "REINDEX"])
def test_maintenance_costs_no_new_index(tmp_path, monkeypatch, change):
    path = filled(tmp_path / "docs.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    forbid_building(monkeypatch)
    with opened(path) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


def test_an_online_backup_with_the_index_needs_no_new_one(tmp_path, monkeypatch):
    path, copy = filled(tmp_path / "docs.db"), tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    shutil.copytree(index_of(path), index_of(copy))
    forbid_building(monkeypatch)
    with opened(copy) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


KILLED = """
import os, sys
import revector as rv
from revector.backends.local_index import builder, segments
from revector.backends.sqlite import SqliteBackend
from revector.index import HnswSnapshot
from revector.testing import HashEncoder

builder.REST_LIMIT, point = 8, sys.argv[2]
build, finish = HnswSnapshot.build, segments.SegmentFolder.finish

def dying_build(path, *args, **options):
    graph = build(path, *args, **options)
    if point == "after the graph": os._exit(9)
    return graph

def dying_finish(*args):
    name = finish(*args)
    if point == "before it is named": os._exit(9)
    return name

def dying_remove(self, tokens):
    if point == "after it was named": os._exit(9)

HnswSnapshot.build, segments.SegmentFolder.finish = dying_build, dying_finish
segments.SegmentFolder.remove = dying_remove
with rv.Collection.open(sys.argv[1], HashEncoder(64)) as docs:
    docs.upsert([f"x{i}" for i in range(400)], [f"xray picture {i}" for i in range(400)])
    docs.search("xray")
    for thread in __import__("threading").enumerate():
        if thread.name.startswith("revector-index"): thread.join()
"""


@pytest.mark.parametrize("point", ["after the graph", "before it is named", "after it was named"])
def test_a_process_that_dies_while_it_builds_leaves_no_graph_that_is_trusted_wrongly(tmp_path, point):
    path = filled(tmp_path / "docs.db")
    died = subprocess.run([sys.executable, "-c", KILLED, str(path), point], timeout=120, check=False)
    assert died.returncode == 9
    add_day(path, backwards=True)
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS
        names = named(docs._backend.index_note(1))
    assert graph_files(index_of(path)) == sorted(f"1.{name.token}.graph" for name in names)


# A database that changes under a process that has it open


def restore_into(path: Path, backup: Path) -> None:
    """What ``.restore`` of SQLite's shell does."""
    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


def backup_of(path: Path) -> Path:
    copy = path.with_name("backup.db")
    restore_into(copy, path)
    return copy


@contextmanager
def restored_while_open(path: Path):
    """A collection whose day was lost, and written again in another order, while it was open."""
    backup = backup_of(path)
    with opened(path) as docs:
        docs.upsert(WORDS, TEXTS)
        index_graph(docs)
        restore_into(path, backup)
        add_day(path, backwards=True, search=False)
        yield docs


def test_a_backup_restored_into_an_open_file_is_searched_as_it_is(tmp_path):
    with restored_while_open(filled(tmp_path / "docs.db")) as docs:
        assert found_by_their_texts(docs) == WORDS


def test_the_graph_of_a_lost_history_is_not_named_by_another(tmp_path):
    path = filled(tmp_path / "docs.db")
    with restored_while_open(path) as docs:
        index_graph(docs)
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS


def test_a_restored_generation_of_the_same_number_is_searched_in_its_own_space(tmp_path):
    path, old, new = tmp_path / "docs.db", HashEncoder(64), HashEncoder(32, seed=5)
    filled(path)
    backup = backup_of(path)
    with Collection.open(path, old, encoders=[new]) as docs:
        migration = docs.migrate(HashEncoder(48, seed=9))
        migration.start()
        docs.search("base text 1")
        restore_into(path, backup)
        with Collection.open(path, old) as other:
            other.migrate(new).start()
        assert docs.search("base text 7", k=1)[0].id == "base7"


def test_an_open_file_that_is_vacuumed_is_searched_on(tmp_path):
    path = filled(tmp_path / "docs.db")
    with opened(path) as docs:
        docs.search("apple")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("VACUUM")
        docs.upsert(WORDS, TEXTS)
        assert found_by_their_texts(docs) == WORDS


def _rename_over(path: Path) -> None:
    shutil.copy(path, path.with_name("fresh.db"))
    path.with_name("fresh.db").replace(path)


def _restore_and_delete_the_log(path: Path) -> None:
    path.with_name("docs.db-wal").unlink()
    path.with_name("docs.db-shm").unlink()
    shutil.copy(path, path.with_name("fresh.db"))
    shutil.copy(path.with_name("fresh.db"), path)


REPLACEMENTS = {
    "overwritten, its log deleted": _restore_and_delete_the_log,
    "replaced": _rename_over,
    "deleted": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("moved.db")),
}


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
@pytest.mark.parametrize("how", REPLACEMENTS)
def test_a_file_that_is_replaced_while_it_is_open_is_refused_until_it_is_opened_again(tmp_path, how, caplog):
    path = filled(tmp_path / "docs.db")
    with opened(path) as docs:
        docs.search("apple")
        docs.upsert(["more"], ["some more"])
        docs.search("some more")
        before = graph_files(index_of(path))
        REPLACEMENTS[how](path)
        for use in (lambda: docs.search("apple"), lambda: docs.upsert(["x"], ["y"]), lambda: len(docs)):
            with pytest.raises(StoreError, match="moved, deleted or replaced"):
                use()
    assert graph_files(index_of(path)) == before
    assert path.exists() == (how in ("replaced", "overwritten, its log deleted"))


def test_each_graph_has_a_token_of_its_own(tmp_path):
    path = filled(tmp_path / "docs.db")
    add_day(path)
    with opened(path) as docs:
        names = named(docs._backend.index_note(1))
    assert len({name.token for name in names}) == len({name.digest for name in names}) == 2
