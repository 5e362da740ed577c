"""An index belongs to one history of its database: backups, copies and restored files never make a search wrong."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from revector.backends.local_index import file as index_file
from revector.collection import Collection
from revector.errors import StoreError
from revector.index import HnswIndex
from revector.testing import HashEncoder

WORDS = ["apple", "brick", "candle", "dolphin", "engine", "forest", "guitar", "hammer"]
TEXTS = [f"{word} number {i}" for i, word in enumerate(WORDS)]


def opened(path: Path) -> Collection:
    return Collection.open(path, HashEncoder(64))


def filled(path: Path) -> Path:
    """A collection with 300 documents and an index file."""
    with opened(path) as docs:
        docs.upsert([f"base{i}" for i in range(300)], [f"base text {i}" for i in range(300)])
        docs.search("base text 1")
    return path


def add_day(path: Path, *, backwards: bool = False, search: bool = True) -> None:
    step = -1 if backwards else 1
    with opened(path) as docs:
        docs.upsert(WORDS[::step], TEXTS[::step])
        if search:
            docs.search("apple")


def found_by_their_texts(docs: Collection) -> list[str]:
    return [docs.search(text, k=1)[0].id for text in TEXTS]


def index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.index")


def never(*_: object, **__: object) -> None:
    raise AssertionError("this was not to be called")


def test_a_restored_backup_is_not_searched_by_the_index_of_another_day(tmp_path, caplog):
    path = filled(tmp_path / "docs.db")
    shutil.copy(path, tmp_path / "backup.db")
    add_day(path)
    shutil.copy(tmp_path / "backup.db", path)
    add_day(path, backwards=True, search=False)
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS
        assert docs.check().problems == ()
    assert "another history" in caplog.text


def test_doctor_says_that_an_index_was_built_anew_in_later_processes_too(tmp_path):
    path = filled(tmp_path / "docs.db")
    shutil.copy(path, tmp_path / "backup.db")
    add_day(path)
    shutil.copy(tmp_path / "backup.db", path)
    with opened(path) as docs:
        docs.search("apple")
    with opened(path) as docs:
        assert "belongs to another history" in docs.check().notices[0]


def test_a_sound_collection_has_nothing_to_notice(tmp_path):
    with opened(filled(tmp_path / "docs.db")) as docs:
        assert docs.check().notices == ()


def test_an_older_index_under_a_newer_database_is_not_searched(tmp_path):
    path = filled(tmp_path / "docs.db")
    shutil.copytree(index_of(path), tmp_path / "old.index")
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
    monkeypatch.setattr(HnswIndex, "build", never)
    with opened(copy) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


@pytest.mark.parametrize("change", ["VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)", "REINDEX"])
def test_maintenance_costs_no_new_index(tmp_path, monkeypatch, change):
    path = filled(tmp_path / "docs.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    monkeypatch.setattr(HnswIndex, "build", never)
    with opened(path) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


def test_an_online_backup_with_the_index_needs_no_new_one(tmp_path, monkeypatch):
    path, copy = filled(tmp_path / "docs.db"), tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    shutil.copytree(index_of(path), index_of(copy))
    monkeypatch.setattr(HnswIndex, "build", never)
    with opened(copy) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


def test_an_index_of_an_earlier_release_is_built_anew_once(tmp_path, monkeypatch):
    path = filled(tmp_path / "docs.db")
    sidecar = index_of(path) / "1.json"
    fields = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({name: fields[name] for name in fields if name not in ("token", "built_because")}))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key = 'index:1'")
    with opened(path) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"
        assert "an earlier release" in docs.check().notices[0]
    monkeypatch.setattr(HnswIndex, "build", never)
    with opened(path) as docs:
        assert docs.search("base text 7", k=1)[0].id == "base7"


KILLED = """
import os, sys
from pathlib import Path
import revector as rv
from revector.backends.local_index import file as index_file
from revector.testing import HashEncoder

replace, write_whole, point = Path.replace, index_file.write_whole, sys.argv[2]

def dying_replace(self, target):
    if point == "before the graph": os._exit(9)
    replace(self, target)
    if point == "after the graph" and str(target).endswith(".hnsw") and "part" in str(self): os._exit(9)

def dying_write(path, content):
    write_whole(path, content)
    if point == "after the sidecar": os._exit(9)

Path.replace, index_file.write_whole = dying_replace, dying_write
with rv.Collection.open(sys.argv[1], HashEncoder(64)) as docs:
    docs.upsert(["apple"], ["apple number 0"])
    docs.search("apple number 0")
"""


@pytest.mark.parametrize("point", ["before the graph", "after the graph", "after the sidecar"])
def test_a_process_that_dies_while_it_saves_leaves_no_index_that_is_trusted_wrongly(tmp_path, point):
    path = filled(tmp_path / "docs.db")
    died = subprocess.run([sys.executable, "-c", KILLED, str(path), point], timeout=120, check=False)
    assert died.returncode == 9
    add_day(path, backwards=True)
    with opened(path) as docs:
        assert found_by_their_texts(docs) == WORDS


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
        docs.search("apple")
        restore_into(path, backup)
        add_day(path, backwards=True, search=False)
        yield docs


def test_a_backup_restored_into_an_open_file_is_searched_as_it_is(tmp_path):
    with restored_while_open(filled(tmp_path / "docs.db")) as docs:
        assert found_by_their_texts(docs) == WORDS


def test_the_graph_of_a_lost_history_is_not_saved_as_that_of_another(tmp_path):
    path = filled(tmp_path / "docs.db")
    with restored_while_open(path):
        pass
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
        sidecar = (index_of(path) / "1.json").read_text()
        REPLACEMENTS[how](path)
        for use in (lambda: docs.search("apple"), lambda: docs.upsert(["x"], ["y"]), lambda: len(docs)):
            with pytest.raises(StoreError, match="moved, deleted or replaced"):
                use()
    assert (index_of(path) / "1.json").read_text() == sidecar
    assert path.exists() == (how in ("replaced", "overwritten, its log deleted"))


def test_an_index_that_cannot_be_named_because_of_a_writer_is_not_saved(tmp_path, monkeypatch, caplog):
    path = filled(tmp_path / "docs.db")
    with opened(path) as docs:
        docs.upsert(["apple"], ["apple number 0"])
        docs.search("apple")

        def refuse(*_):
            raise StoreError("busy")

        monkeypatch.setattr(type(docs._backend), "keep_index_token", refuse)
    assert "was not saved: busy" in caplog.text
    assert not list(index_of(path).glob("*.part"))


def test_what_a_dead_process_was_writing_is_removed_a_day_later(tmp_path):
    path = filled(tmp_path / "docs.db")
    left, written = index_of(path) / "1.hnsw.0a.part", index_of(path) / "1.hnsw.0b.part.tmp-1-0"
    for file in (left, written):
        file.write_bytes(b"")
    os.utime(left, (0, 0))
    with opened(path):
        pass
    assert (left.exists(), written.exists()) == (False, True)


def test_each_file_that_is_saved_has_a_token_of_its_own(tmp_path):
    path = filled(tmp_path / "docs.db")
    sidecar = index_of(path) / "1.json"
    first = json.loads(sidecar.read_text())["token"]
    add_day(path)
    assert len({first, json.loads(sidecar.read_text())["token"]}) == 2
    assert index_file.Sidecar(**json.loads(sidecar.read_text())).seq == 2
