"""What goes wrong with a file is called what it is; a backup is advised for damage alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.sqlite_errors import named
from revector.errors import DamagedStoreError, StoreError


def error_of(code, message="disk I/O error", name="SQLITE_X"):
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def ioerr(detail):
    return 10 | detail << 8


MEANINGS = {
    ioerr(0): "free some space",
    ioerr(1): "failed to read",
    ioerr(3): "quota",
    ioerr(4): "quota",
    ioerr(6): "quota",
    ioerr(8): "refuses locks",
    ioerr(12): "memory",
    ioerr(15): "refuses locks",
    ioerr(18): "shared memory",
    ioerr(19): "shared memory",
    ioerr(20): "shared memory",
    ioerr(21): "shared memory",
    ioerr(33): "file system is damaged",
    ioerr(77): "the disk failed or refused",  # one that is not invented yet
    3: "may not do that",
    5: "write lock",
    5 | 2 << 8: "write lock",
    6: "another statement",
    7: "memory",
    8: "read-only",
    8 | 4 << 8: "moved, deleted or replaced",
    8 | 6 << 8: "read-only",
    13: "disk is full",
    15: "refuses locks",
    18: "1 GB",
    22: "files as large",
    23: "may not do that",
}


@pytest.mark.parametrize("code", MEANINGS)
def test_a_failure_is_named_and_is_no_damage(code, tmp_path):
    found = named(tmp_path / "a.db", error_of(code, name="SQLITE_THIS"))
    assert MEANINGS[code] in str(found)
    assert "SQLITE_THIS" in str(found)
    assert "backup" not in str(found)
    assert not isinstance(found, DamagedStoreError)


@pytest.mark.parametrize("code", [11, 11 | 1 << 8, 11 | 3 << 8, ioerr(2)])
def test_damage_is_named_with_the_only_remedy(code, tmp_path):
    found = named(tmp_path / "a.db", error_of(code))
    assert isinstance(found, DamagedStoreError)
    assert "restore a backup" in str(found)


def test_another_kind_of_file_is_no_lost_collection(tmp_path):
    found = named(tmp_path / "a.db", error_of(26))
    assert isinstance(found, DamagedStoreError)
    assert "give another path" in str(found)


OLD_MESSAGES = {
    "file is not a database": "give another path",
    "database disk image is malformed": "restore a backup",
    "database or disk is full": "disk is full",
    "disk I/O error": "free some space",
    "attempt to write a readonly database": "read-only",
    "unable to open database file": "its folder does not exist",
    "locking protocol": "refuses locks",
    "database is locked": "write lock",
    "database table is locked": "another statement",
    "database table is locked: vectors": "another statement",
    "string or blob too big": "1 GB",
    "large file support is disabled": "files as large",
    "something new": "something new",
}


@pytest.mark.parametrize("message", OLD_MESSAGES)
def test_errors_without_a_code_as_of_python_3_10_are_named_by_their_message(message, tmp_path):
    assert OLD_MESSAGES[message] in str(named(tmp_path / "missing" / "a.db", Exception(message)))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(StoreError, match="it is a folder"):
        Database(tmp_path)


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="its folder does not exist"):
        Database(tmp_path / "file" / "a.db")


def test_a_full_disk_is_named_and_the_next_write_works(tmp_path):
    with closing(Database(tmp_path / "a.db")) as database:
        with database.transaction() as connection:
            connection.exec_driver_sql("CREATE TABLE blobs (b)")

        def put():
            with database.transaction() as connection:
                connection.exec_driver_sql("INSERT INTO blobs VALUES (zeroblob(1000000))")

        def pages(most):
            with database.transaction() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

        pages(20)
        with pytest.raises(StoreError, match="disk is full"):
            put()
        pages(1000)
        put()
        assert database.check() == []


LIMITED = """
import resource, sys
import revector as rv
from revector.errors import DamagedStoreError, StoreError
from revector.testing import HashEncoder

texts = [f"text {i} " + "x" * 500 for i in range(2000)]
with rv.Collection.open(sys.argv[1], HashEncoder(64)) as docs:
    docs.upsert(["first"], ["first"])
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
    try:
        docs.upsert([str(i) for i in range(2000)], texts)
    except StoreError as error:
        print(type(error).__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(len(docs), docs.check().damage)
    docs.upsert([str(i) for i in range(2000)], texts)
    print(len(docs), docs.search(texts[7], k=1)[0].id)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the system")
@pytest.mark.parametrize("limit", [0, 40_000, 1_000_000])
def test_a_limit_on_the_size_of_files_is_named_and_loses_nothing(limit, tmp_path):
    """`ulimit -f`; Python ignores SIGXFSZ, so that the write fails as one beyond a quota does."""
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a.db"), str(limit)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    failed, meanwhile, after = ran.stdout.splitlines()
    assert failed.startswith("StoreError")
    assert "quota" in failed
    assert "backup" not in failed
    assert (meanwhile, after) == ("1 ()", "2001 7")


def test_what_cannot_be_read_is_not_reported_as_damage(tmp_path, monkeypatch):
    with closing(Database(tmp_path / "a.db")) as database:

        def fail():
            raise named(database.path, error_of(ioerr(1)))

        monkeypatch.setattr(database, "snapshot", fail)
        with pytest.raises(StoreError, match="failed to read"):
            database.check()


def test_messages_hold_no_texts_of_documents(tmp_path):
    def fail():
        with closing(Database(tmp_path / "a.db")) as database, database.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO missing VALUES (?)", ("private text",))

    with pytest.raises(StoreError) as failed:
        fail()
    assert "private" not in f"{failed.value} {failed.value.__cause__}"
