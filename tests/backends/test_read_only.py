"""Files that are only read: not one of them changes, whatever permissions are missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError, NoCollectionError, StoreError
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder

TEXTS = {f"d{i}": f"text number {i}" for i in range(12)}


def _make(path):
    with Collection.open(path, HashEncoder(8)) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        docs.check()
        docs.migrate(HashEncoder(12), strategy=Background(batch=4)).start()


def _content(folder):
    """Every file with its bytes; what SQLite needs to read a log is not content."""
    return {
        p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file() and p.suffix not in (".db-wal", ".db-shm")
    }


def test_reading_changes_no_file(tmp_path):
    _make(tmp_path / "docs.db")
    before = _content(tmp_path)
    with Collection.open(tmp_path / "docs.db", encoders=[HashEncoder(8), HashEncoder(12)], read_only=True) as docs:
        for _ in range(70):  # more searches than it takes to write the counts of accesses
            docs.search("text number 3")
        docs.check()
    assert _content(tmp_path) == before


def test_no_file_is_created_to_be_read(tmp_path):
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        Collection.open(tmp_path / "none.db", read_only=True)
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_collection_is_named(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(NoCollectionError, match=r"empty\.db.* is empty"):
        Collection.open(tmp_path / "empty.db", HashEncoder(8), read_only=True)


# Where permissions are missing


@pytest.fixture
def folder(tmp_path):
    """Return a folder that can be removed after it was locked."""
    made = tmp_path / "shared"
    made.mkdir()
    yield made
    _chmod(made, 0o755, 0o644)


def _chmod(folder, folders, files):
    folder.chmod(folders)
    for place in folder.rglob("*"):
        place.chmod(folders if place.is_dir() else files)


def _lock(folder):
    _chmod(folder, 0o555, 0o444)


def _as_reader(code, *arguments):
    """Run Python where permissions count; for root they do not."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root can write everything, and there is no setpriv")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


_READ = """
import sys
from revector.collection import Collection
from revector.errors import ReadOnlyError
from revector.testing import HashEncoder
docs = Collection.open(sys.argv[1], encoders=[HashEncoder(8)])
assert docs.read_only
for _ in range(70):
    hits = docs.search(sys.argv[2], k=1)
assert not docs.check().problems
try:
    docs.upsert(["x"], ["y"])
except ReadOnlyError as error:
    assert "permission" in str(error), error
else:
    raise AssertionError("was written")
docs.close()
print(hits[0].id)
"""


def test_a_copy_that_cannot_be_written_is_read(folder):
    _make(folder / "docs.db")
    _lock(folder)
    before = _content(folder)
    run = _as_reader(_READ, folder / "docs.db", "text number 3")
    assert (run.stdout, run.stderr) == ("d3\n", "")
    assert _content(folder) == before
    assert not list(folder.glob("*-wal"))


def test_the_file_of_a_running_writer_is_read_as_it_is_now(folder):
    _make(folder / "docs.db")
    with Collection.open(folder / "docs.db", HashEncoder(8)) as writer:
        writer.upsert(["new"], ["something else"])  # lies in the log
        _lock(folder)
        run = _as_reader(_READ, folder / "docs.db", "something else")
        _chmod(folder, 0o755, 0o644)
    assert (run.stdout, run.stderr) == ("new\n", "")


def test_a_log_that_cannot_be_read_is_not_left_out(folder):
    _make(folder / "docs.db")
    copy = folder / "copy"
    copy.mkdir()
    with Collection.open(folder / "docs.db", HashEncoder(8)) as writer:
        writer.upsert(["new"], ["something else"])
        for name in ("docs.db", "docs.db-wal"):
            shutil.copy(folder / name, copy)
    _lock(copy)
    run = _as_reader(_READ, copy / "docs.db", "something else")
    assert "StoreError" in run.stderr
    assert "copy the file and its -wal" in run.stderr


def test_a_file_that_changes_under_a_reader_without_locks_is_noticed(folder, monkeypatch):
    _make(folder / "docs.db")
    monkeypatch.setattr("revector.backends.sqlite.database.read_only.os.access", lambda *_: False)
    with Collection.open(folder / "docs.db", encoders=[HashEncoder(8)]) as docs:
        assert len(docs) == 12
        with closing(sqlite3.connect(folder / "docs.db")) as writer:
            writer.execute("UPDATE sequence SET value = value + 1")
            writer.commit()
            with pytest.raises(StoreError, match="written by somebody else"):
                docs.search("text number 3")


_COMMAND = "import sys; from revector.cli import main; main(sys.argv[1:])"


@pytest.mark.parametrize("command", [["status"], ["doctor"], ["search", "text number 3"]], ids=lambda c: c[0])
def test_commands_that_read_work_on_a_copy_that_cannot_be_written(folder, static_model, command):
    model = shutil.copytree(static_model("m", 8, TEXTS.values()), folder / "model")
    main = [sys.executable, "-m", "revector"]
    rows = "".join(f'{{"id": "{id_}", "text": "{text}"}}\n' for id_, text in TEXTS.items())
    path = str(folder / "docs.db")
    for verb, given in ((["init", path, "--model", str(model)], ""), (["add", path], rows)):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([*main, *verb], input=given, text=True, check=True, capture_output=True, env=environment)
    _lock(folder)
    run = _as_reader(_COMMAND, command[0], path, *command[1:])
    assert (run.returncode, run.stderr) == (0, "")
