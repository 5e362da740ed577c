"""Collections that are only read: all that reads works, whatever writes is refused before anything is embedded."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError, NoCollectionError, ReadOnlyError, StoreError
from revector.migration.filling.worker import Worker
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder

TEXTS = {f"d{i}": f"text number {i}" for i in range(12)}


class Counting(HashEncoder):
    """Counts the texts it is asked for, by kind."""

    def __init__(self, dimension):
        super().__init__(dimension)
        self.sent = {"document": 0, "query": 0}

    def encode(self, texts, *, kind="document"):
        self.sent[kind] += len(texts)
        return super().encode(texts, kind=kind)


def _make(path, phase="filling"):
    with Collection.open(path, HashEncoder(8)) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        docs.check()
        migration = docs.migrate(HashEncoder(12), strategy=Background(batch=4))
        verbs = {"planned": [], "filling": ["start"], "proving": ["start", "run"]}
        verbs["serving"] = [*verbs["proving"], "verify", "cutover"]
        for verb in verbs[phase]:
            getattr(migration, verb)()


def _content(folder):
    """Every file with its bytes; what SQLite needs to read a log is not content."""
    return {
        p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file() and p.suffix not in (".db-wal", ".db-shm")
    }


@pytest.fixture
def path(tmp_path):
    _make(tmp_path / "docs.db")
    return tmp_path / "docs.db"


@pytest.fixture
def encoders():
    return [Counting(8), Counting(12)]


@pytest.fixture
def docs(path, encoders):
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        yield docs


def test_whatever_reads_works(docs):
    hit = docs.search("text number 3", k=1)[0]
    assert (hit.id, len(docs), docs.documents(["d3"])[0].text) == ("d3", 12, "text number 3")
    assert (docs.check().problems, docs.info(["d3"])[0].dimension, docs.read_only) == ((), 8, True)
    assert (docs.migration.phase, docs.migration.failures()) == ("filling", [])
    assert docs.migration.status().target_jobs.pending == 12


def test_reading_changes_no_file(path, encoders):
    before = _content(path.parent)
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        for _ in range(70):  # more searches than it takes to write the counts of accesses
            docs.search("text number 3")
        docs.check()
    assert _content(path.parent) == before


WRITES = {
    "upsert": lambda docs: docs.upsert(["new"], ["a new text"]),
    "delete": lambda docs: docs.delete(["d1"]),
    "migrate": lambda docs: docs.migrate(HashEncoder(16)),
    "start": lambda docs: docs.migration.start(),
    "run": lambda docs: docs.migration.run(),
    "verify": lambda docs: docs.migration.verify(),
    "cutover": lambda docs: docs.migration.cutover(),
    "rollback": lambda docs: docs.migration.rollback(),
    "retire": lambda docs: docs.migration.retire(confirm=True, force=True),
    "pause": lambda docs: docs.migration.pause(),
    "resume": lambda docs: docs.migration.resume(),
    "retry_failed": lambda docs: docs.migration.retry_failed(),
    "worker": lambda docs: Worker(docs._backend, HashEncoder(8), 1).run(),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("phase", ["planned", "filling", "proving", "serving"])
def test_a_write_is_refused_before_anything_is_embedded(tmp_path, encoders, phase, write):
    path = tmp_path / "docs.db"
    _make(path, phase)
    before = _content(tmp_path)
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        with pytest.raises(ReadOnlyError, match="open it without") as caught:
            WRITES[write](docs)
        assert caught.value.path == str(path)
    assert _content(tmp_path) == before
    assert all(encoder.sent == {"document": 0, "query": 0} for encoder in encoders)


def test_a_service_is_not_asked_for_its_space_before_a_refused_migration(docs):
    class Service(HashEncoder):
        space = property(lambda self: pytest.fail("asked"), lambda self, space: None)

    with pytest.raises(ReadOnlyError):
        docs.migrate(Service())


@pytest.mark.parametrize("encoder", [None, HashEncoder(8)], ids=["without an encoder", "with an encoder"])
def test_nothing_is_created_to_be_read(tmp_path, encoder):
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        Collection.open(tmp_path / "none.db", encoder, read_only=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [None, 0, "yes"])
def test_read_only_is_yes_or_no(path, wrong):
    with pytest.raises(InvalidArgumentError, match="read_only"):
        Collection.open(path, read_only=wrong)


def test_a_file_without_a_collection_is_named(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(NoCollectionError, match=r"empty\.db.* is empty"):
        Collection.open(tmp_path / "empty.db", HashEncoder(8), read_only=True)


def test_a_reader_sees_what_a_writer_commits(path, docs):
    with Collection.open(path, HashEncoder(8)) as writer:
        writer.upsert(["new"], ["something else"])
        assert docs.search("something else", k=1)[0].id == "new"


_HOLDER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("encoder", [None, HashEncoder(8)], ids=["without an encoder", "with an encoder"])
def test_opening_does_not_wait_for_the_write_lock(path, encoder):
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        holder.stdout.readline()
        began = time.monotonic()
        with Collection.open(path, encoder, encoders=[HashEncoder(8)]) as docs:
            found = docs.documents(["d1"]), docs.migration.status(), docs.check()
        assert time.monotonic() - began < 10  # a writer would wait for 30 s
        holder.communicate()
    assert all(found)


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
