from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from revector.backends.conformance import BackendConformance, FollowingConformance
from revector.backends.filters import parse_where
from revector.backends.sqlite import SqliteBackend
from revector.backends.sqlite.filters import translate


@pytest.fixture
def backend(tmp_path):
    with closing(SqliteBackend.open(tmp_path / "store.db")) as backend:
        yield backend


class TestSqlite(BackendConformance, FollowingConformance):
    pass


def test_what_was_written_is_there_after_reopening(tmp_path):
    with closing(SqliteBackend.open(tmp_path / "store.db")) as backend:
        written = backend.documents.upsert(["a"], ["text"])
    with closing(SqliteBackend.open(tmp_path / "store.db")) as backend:
        assert backend.documents.by_id(["a"]) == written


def test_ten_thousand_ids_in_one_call(tmp_path):
    ids = [f"d{place}" for place in range(10_000)]
    with closing(SqliteBackend.open(tmp_path / "store.db")) as backend:
        documents = backend.documents.upsert(ids, ids)
        assert backend.documents.by_id(ids) == documents
        assert len(backend.documents.delete(ids)) == 10_000


def test_an_index_of_the_users_own_serves_a_filter(backend):
    where = parse_where({"tenant": "a", "year": {">": 2020}})
    with backend.transaction() as connection:
        connection.exec_driver_sql("CREATE INDEX by_tenant ON documents (json_extract(metadata, '$.tenant'))")
        condition, values = translate(where)
        plan = f"EXPLAIN QUERY PLAN SELECT documents.key FROM documents WHERE {condition} LIMIT 9"
        assert "USING INDEX by_tenant" in connection.exec_driver_sql(plan, values).one().detail


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO vectors VALUES (99, 1, 1, 0, 'hash', x'00')",
        "INSERT INTO aliases VALUES ('live', 99, 1)",
        "INSERT INTO sequence VALUES (2, 0)",
        "INSERT INTO documents (id, content_hash, updated_at, metadata, text) VALUES ('a', 'short', 0, '{}', '')",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(tmp_path, statement):
    SqliteBackend.open(tmp_path / "store.db").close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
