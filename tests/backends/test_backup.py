"""Backups: one moment, whole or not at all, checked, and a collection like the one they were made of."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import closing

import pytest

from revector.backends.sqlite import backup
from revector.collection import Collection
from revector.errors import ClosedError, InvalidArgumentError, StoreError
from revector.ledger.state import Phase
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8), HashEncoder(12)
TEXTS = {f"d{i}": f"text number {i}" for i in range(40)}


class Counting(HashEncoder):
    sent = 0

    def encode(self, texts, *, kind="document"):
        self.sent += len(texts)
        return super().encode(texts, kind=kind)


@pytest.fixture
def docs(tmp_path):
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        yield docs


@pytest.fixture
def there(tmp_path):
    return tmp_path / "backups" / "today"


def _everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")) if folder.exists() else []


def test_a_backup_is_a_collection_like_the_one_it_was_made_of(docs, there):
    made = docs.backup(there)
    assert (made.path, made.documents, _everything(there)) == (there / "docs.db", 40, ["docs.db"])
    with Collection.open(made.path, OLD) as copy:
        assert copy.documents(list(TEXTS)) == docs.documents(list(TEXTS))
        assert copy.search("text number 7")[0].id == "d7"
        assert not copy.check().problems


def test_a_backup_is_restored_by_the_same_verb(docs, there, tmp_path):
    docs.backup(there)
    with Collection.open(there / "docs.db", read_only=True) as copy:
        restored = copy.backup(tmp_path / "restored")
    with Collection.open(restored.path, OLD) as found:
        found.upsert(["new"], ["a new text"])
        assert len(found) == 41


_WRITER = """
import sys
from revector.collection import Collection
from revector.testing import HashEncoder
docs = Collection.open(sys.argv[1], HashEncoder(8))
for turn in range(1_000_000):
    docs.upsert(["left", "right", f"more{turn % 50}"], [f"turn {turn}", f"turn {turn}", f"text {turn}"])
    if turn == 3:
        print(flush=True)
"""


def _python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_backup_beside_a_running_writer_ends_and_is_one_moment(docs, there, monkeypatch):
    monkeypatch.setattr(backup, "PAGES_A_STEP", 1)
    monkeypatch.setattr(backup, "_between_steps", lambda *_: time.sleep(0.02))  # the writer commits between steps
    with _python(_WRITER, docs._backend.database.path) as writer:
        writer.stdout.readline()
        before = docs.documents(["left"])[0].text
        made = docs.backup(there)
        after = docs.documents(["left"])[0].text
        writer.kill()
    assert before != after
    with Collection.open(made.path, OLD) as copy:
        left, right = copy.documents(["left", "right"])
        assert left.text == right.text
        assert not copy.check().problems


_MIGRATION = """
import sys, time
from revector.collection import Collection
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder
class Slow(HashEncoder):
    def encode(self, texts, *, kind="document"):
        time.sleep(0.1)
        return super().encode(texts, kind=kind)
docs = Collection.open(sys.argv[1], HashEncoder(8))
migration = docs.migrate(Slow(12), strategy=Background(batch=2))
migration.start()
migration.run(on_progress=lambda progress: print(progress.done, flush=True))
"""


def test_a_migration_goes_on_in_the_copy_where_it_was(docs, there):
    with _python(_MIGRATION, docs._backend.database.path) as runner:
        for _ in range(3):
            runner.stdout.readline()
        made = docs.backup(there)
        runner.kill()
    new = Counting(12)
    with Collection.open(made.path, OLD, encoders=[new]) as copy:
        migration = copy.migration
        status = migration.status()
        assert (migration.phase, status.target_jobs.leased) == (Phase.FILLING, 0)
        migration.run()
        assert 0 < new.sent == status.target_jobs.pending < 40
        assert migration.verify().passed
        migration.cutover()
        assert copy.search("text number 7")[0].id == "d7"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_backup_replaces_nothing_and_uses_no_log_of_another_file(docs, there, suffix):
    there.mkdir(parents=True)
    (there / f"docs.db{suffix}").write_bytes(b"mine")
    with pytest.raises(StoreError, match="is there already"):
        docs.backup(there)
    assert _everything(there) == [f"docs.db{suffix}"]
    assert (there / f"docs.db{suffix}").read_bytes() == b"mine"


def test_a_second_backup_into_one_folder_is_refused(docs, there):
    docs.backup(there)
    with pytest.raises(StoreError, match="is there already"):
        docs.backup(there)
    assert _everything(there) == ["docs.db"]


def test_the_folder_of_the_collection_itself_is_refused(docs, tmp_path):
    with pytest.raises(StoreError, match="is there already"):
        docs.backup(tmp_path)
    assert docs.search("text number 7")[0].id == "d7"


def test_a_backup_of_another_process_is_waited_for_by_the_user(docs, there):
    (there / ".docs.db.part").mkdir(parents=True)
    handle = os.open(there / ".docs.db.part", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match="another backup is being written"):
        docs.backup(there)
    os.close(handle)
    assert docs.backup(there).documents == 40


def test_a_folder_without_space_is_named_with_what_it_takes(docs, there, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(StoreError, match="1,000 left; free some space"):
        docs.backup(there)
    assert _everything(there) == []


def test_a_place_that_is_no_folder_is_named(docs, tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "inside", "/proc/none"):
        with pytest.raises(StoreError, match="no backup was made"):
            docs.backup(place)


@pytest.mark.parametrize("directory", [None, 7, "", "a\0b", b"bytes", "cut \ud83d", ["a"], "s3://bucket/docs"])
def test_a_wrong_directory_is_refused(docs, directory):
    with pytest.raises(InvalidArgumentError, match="directory"):
        docs.backup(directory)


def test_an_interrupted_backup_leaves_nothing(docs, there, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "_between_steps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        docs.backup(there)
    assert _everything(there) == []


_KILLED = """
import os, signal, sys
from revector.collection import Collection
from revector.backends.sqlite import backup
backup.PAGES_A_STEP = 3
backup._between_steps = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Collection.open(sys.argv[1]).backup(sys.argv[2])
"""


def test_a_killed_backup_leaves_no_copy_and_the_next_one_tidies_up(docs, there):
    with _python(_KILLED, docs._backend.database.path, there) as killed:
        assert killed.wait() == -signal.SIGKILL
    assert not (there / "docs.db").exists()
    docs.backup(there)
    assert _everything(there) == ["docs.db"]


_LIMITED = """
import resource, sys
from revector.collection import Collection
from revector.errors import StoreError
docs = Collection.open(sys.argv[1], read_only=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    docs.backup(sys.argv[2])
except StoreError as error:
    print(error)
"""


def test_a_limit_on_the_size_of_files_is_named_and_nothing_is_left(docs, there):
    with _python(_LIMITED, docs._backend.database.path, there) as limited:
        said = limited.stdout.read()
    assert "raise the limit" in said, said
    assert str(there) in said
    assert _everything(there) == []


def test_a_damaged_original_gives_no_copy(docs, there, tmp_path):
    docs.close()
    path = tmp_path / "docs.db"
    with path.open("r+b") as file:
        file.seek(-3 * 16_384, os.SEEK_END)
        file.write(b"\xff" * 2 * 16_384)
    with Collection.open(path) as damaged, pytest.raises(StoreError, match=r"docs\.db"):
        damaged.backup(there)
    assert _everything(there) == []


def test_rows_that_did_not_arrive_are_noticed(docs, there, monkeypatch):
    counts = iter([{"documents": 41}, {"documents": 40}])
    monkeypatch.setattr(backup, "_counts", lambda _: next(counts))
    with pytest.raises(StoreError, match="documents: 40 of 41 rows"):
        docs.backup(there)
    assert _everything(there) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_copy_has_the_permissions_of_the_original(docs, there, mode):
    docs._backend.database.path.chmod(mode)
    assert docs.backup(there).path.stat().st_mode & 0o777 == mode


def test_a_copy_says_like_its_original_who_may_write(docs, there):
    docs.backup(there)
    with closing(sqlite3.connect(there / "docs.db")) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_backup_inside_a_transaction_is_refused(docs, there):
    with docs._backend.transaction(), pytest.raises(StoreError, match="inside a transaction"):
        docs.backup(there)
    assert not there.exists()


def test_a_closed_collection_makes_no_backup(docs, there):
    docs.close()
    with pytest.raises(ClosedError):
        docs.backup(there)
    assert _everything(there) == []


def test_the_command_says_where_the_copy_is(docs, there):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "revector", "backup", docs._backend.database.path, there]
    run = subprocess.run([*command, "--json"], capture_output=True, text=True, env=environment, check=False)
    made = json.loads(run.stdout)
    assert (run.returncode, made["backup"], made["documents"]) == (0, str(there / "docs.db"), 40)
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 1
    assert "is there already" in run.stderr
