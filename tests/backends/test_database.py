from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest
import sqlalchemy as sa

from revector.backends.sqlite.database import Database
from revector.errors import InvalidArgumentError, StoreError

_TABLES = sa.MetaData()
_numbers = sa.Table("numbers", _TABLES, sa.Column("value", sa.Integer, primary_key=True))


@pytest.fixture
def database(tmp_path):
    with closing(Database(tmp_path / "a.db")) as database:
        database.ensure_schema("test", 1, _TABLES)
        yield database


def _add(database, value):
    with database.transaction() as connection:
        connection.execute(_numbers.insert().values(value=value))


def _values(database):
    with database.snapshot() as connection:
        return list(connection.scalars(sa.select(_numbers.c.value).order_by(_numbers.c.value)))


def test_nested_transactions_commit_together(database):
    with database.transaction():
        _add(database, 1)
        _add(database, 2)
    assert _values(database) == [1, 2]


def test_nested_transactions_roll_back_together(database):
    def fail():
        with database.transaction():
            _add(database, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _values(database) == []


def test_a_failed_inner_transaction_leaves_the_outer_one_alive(database):
    with database.transaction():
        _add(database, 1)
        with pytest.raises(StoreError):
            _add(database, 1)
        _add(database, 2)
    assert _values(database) == [1, 2]


def test_a_snapshot_can_not_turn_into_a_writer(database):
    with database.snapshot(), pytest.raises(StoreError, match="snapshot"):
        _add(database, 1)


def test_writers_of_many_threads_wait_for_each_other(database):
    def add_many(start):
        for value in range(start, start + 25):
            _add(database, value)

    threads = [threading.Thread(target=add_many, args=(start,)) for start in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _values(database) == list(range(200))


def test_a_writer_has_its_turn_beside_one_who_writes_slice_after_slice(database):
    done = threading.Event()

    def write_slices():
        while not done.is_set():
            with database.transaction():
                done.wait(0.1)
            time.sleep(0.006)

    other = threading.Thread(target=write_slices)
    other.start()
    began = time.monotonic()
    for value in range(10):
        time.sleep(0.02)  # the other one is at it again
        _add(database, value)
    seconds = time.monotonic() - began
    done.set()
    other.join()
    assert seconds < 2.5  # ten times 0.1 s, at most; by SQLite's own waiting it is 6 s


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same process", "another process"])
def test_a_writer_has_its_turn_beside_two_threads_that_write_without_a_pause(database, elsewhere):
    done = threading.Event()

    def write_for_long():
        while not done.is_set():
            with database.transaction():
                done.wait(0.05)

    threads = [threading.Thread(target=write_for_long) for _ in range(2)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    with closing(Database(database.path)) as other:  # with a lock of its own, like that of another process
        for value in range(10):
            _add(other if elsewhere else database, value)
    seconds = time.monotonic() - began
    done.set()
    for thread in threads:
        thread.join()
    assert seconds < 4  # ten times two of theirs, and a margin for a busy machine


def test_nobody_waits_for_the_write_lock_longer_than_was_said(database):
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"held the write lock for 0\.05 s"), database.transaction(0.05):
            pass
        assert time.monotonic() - began < 5
    _add(database, 1)
    assert _values(database) == [1]


@pytest.mark.parametrize(("setting", "value"), [("page_size", 16384), ("auto_vacuum", 2), ("journal_mode", "wal")])
def test_a_new_file_has_large_pages_that_can_be_given_back(database, setting, value):
    with database.snapshot() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {setting}").scalar() == value


def test_a_closed_database_says_so(database):
    database.close()
    with pytest.raises(StoreError, match="closed"):
        _values(database)


@pytest.mark.parametrize("path", ["", ":memory:", "sqlite://"])
def test_a_database_needs_a_file(path):
    with pytest.raises(InvalidArgumentError, match="file"):
        Database(path)


def test_a_url_names_the_same_file(database):
    _add(database, 1)
    with closing(Database(database.url)) as other:
        assert _values(other) == [1]


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(StoreError, match="its folder does not exist"):
        Database(tmp_path / "missing" / "a.db")


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 100, b"short"])
def test_another_kind_of_file_is_refused(tmp_path, content):
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(StoreError, match="not a SQLite database"):
        Database(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == content


def test_a_database_of_somebody_else_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="not one of revector"):
        Database(tmp_path / "a.db")


def test_the_tables_of_a_newer_revector_are_refused(database):
    with closing(Database(database.path)) as newer, pytest.raises(StoreError, match="version 1"):
        newer.ensure_schema("test", 2, _TABLES)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused_at_opening(tmp_path, share):
    path = tmp_path / "a.db"
    with closing(Database(path)) as database:
        database.ensure_schema("test", 1, _TABLES)
        with database.transaction() as connection:
            connection.execute(_numbers.insert(), [{"value": value} for value in range(50_000)])
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(StoreError, match="damaged or truncated"):
        Database(path)


def test_a_damaged_page_is_found_by_the_check(tmp_path):
    path = tmp_path / "a.db"
    with closing(Database(path)) as database:
        database.ensure_schema("test", 1, _TABLES)
        with database.transaction() as connection:
            connection.execute(_numbers.insert(), [{"value": value} for value in range(50_000)])
        assert database.check() == []
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 16384)
    with closing(Database(path)) as database:
        assert database.check()


def _child_adds(database, value):
    _add(database, value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(database):
    _add(database, 1)
    child = multiprocessing.get_context("fork").Process(target=_child_adds, args=(database, 2))
    child.start()
    child.join(20)
    _add(database, 3)
    assert child.exitcode == 0
    assert _values(database) == [1, 2, 3]
    assert database.check() == []
