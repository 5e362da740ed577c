"""What is written goes through when the user's table is not what it was, and is found once it is so again."""

import pytest

from captured import COLUMN, OWN, followed
from revector.backends.contracts import content_hash
from revector.backends.postgres.adoption import unseen

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def docs(tmp_path):
    """Return a followed table with the rows 1 (a vector), 2 (none) and 3 (a vector); the other generation is full."""
    with followed(tmp_path, others=("note",)) as table:
        table.make().install()
        table.fill()
        table.run(
            "INSERT INTO docs VALUES (1, 'one', 'n', '[1, 2]'), (2, 'two', 'n', NULL), (3, 'three', 'n', '[3, 4]')"
        )
        table.land("1", "2", "3")
        yield table


CHANGES = {
    "a key column is renamed": "ALTER TABLE docs RENAME id TO x",
    "a text column is renamed": "ALTER TABLE docs RENAME body TO x",
    "the vector column is renamed": "ALTER TABLE docs RENAME embedding TO x",
    "a key column is dropped": "ALTER TABLE docs DROP id CASCADE",
    "a text column is dropped": "ALTER TABLE docs DROP body CASCADE",
    "the vector column is dropped": "ALTER TABLE docs DROP embedding CASCADE",
    "the vectors are of another type": "ALTER TABLE docs DROP embedding CASCADE, ADD embedding vector(5)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_writes_go_through_whatever_becomes_of_a_column(docs, change):
    docs.run("ALTER TABLE docs ALTER id SET DEFAULT 4")
    docs.run(CHANGES[change])
    docs.run("INSERT INTO docs (note) VALUES ('new')")
    docs.run("UPDATE docs SET note = 'changed'")
    docs.run("DELETE FROM docs WHERE ctid = '(0,1)'")
    docs.run("TRUNCATE docs")
    assert docs.column("SELECT count(*) FROM missed") == [1]


def test_what_needs_no_missing_column_is_captured_all_the_same(docs):
    docs.run("ALTER TABLE docs RENAME body TO x")
    docs.run("INSERT INTO docs VALUES (4, 'four')")
    docs.run("DELETE FROM docs WHERE id = 1")
    assert (sorted(docs.shadows()), docs.column("SELECT count(*) FROM missed")) == (["2", "3", "4"], [0])


def test_writes_of_a_role_that_lost_its_rights_go_through(docs):
    """The triggers run as the role that adopted, which is not that of the writer."""
    docs.run(f'CREATE ROLE "{docs.schema}"')
    docs.run(f'ALTER VIEW "{docs.collection}".present OWNER TO "{docs.schema}"')
    docs.run("UPDATE docs SET body = 'unseen' WHERE id = 1")
    docs.run(f'ALTER VIEW "{docs.collection}".present OWNER TO CURRENT_USER; DROP ROLE "{docs.schema}"')
    assert docs.column("SELECT count(*) FROM missed") == [1]


@pytest.mark.parametrize("column", ["id", "body", "embedding"])
def test_what_was_written_meanwhile_is_found_once_all_rows_are_compared(docs, column):
    docs.run(f"ALTER TABLE docs RENAME {column} TO x")
    columns = ", ".join("x" if name == column else name for name in ("id", "body", "embedding"))
    id_, body, vector = columns.split(", ")
    docs.run(f"INSERT INTO docs ({id_}, {body}) VALUES (4, 'four')")
    docs.run(f"UPDATE docs SET {body} = 'changed', {vector} = '[9, 9]' WHERE {id_} = 1")
    docs.run(f"UPDATE docs SET {id_} = 20 WHERE {id_} = 2")
    docs.run(f"DELETE FROM docs WHERE {id_} = 3")
    docs.run(f"ALTER TABLE docs RENAME x TO {column}")
    docs.fill_again()
    expected = {"1": content_hash("changed"), "20": content_hash("two"), "4": content_hash("four")}
    assert (docs.shadows(), docs.jobs(OWN), docs.left_over()) == (expected, ["1", "20", "4"], [])


def test_vectors_of_rows_that_were_written_meanwhile_are_made_again(docs):
    """Nobody knows of which text they are."""
    docs.run("ALTER TABLE docs RENAME embedding TO x")
    docs.run("UPDATE docs SET body = 'changed', x = '[9, 9]' WHERE id = 1")
    docs.run("ALTER TABLE docs RENAME id TO y")
    docs.run("INSERT INTO docs (y, body, x) VALUES (4, 'four', '[4, 4]')")
    docs.run("ALTER TABLE docs RENAME y TO id")
    docs.run("ALTER TABLE docs RENAME x TO embedding")
    docs.fill_again()
    assert (docs.jobs(COLUMN), docs.current(COLUMN)) == (["1", "2", "4"], ["3"])


def test_rows_that_were_captured_stay_as_they_are_when_all_are_compared(docs):
    before = docs.versions()
    docs.fill_again()
    assert docs.versions() == before


def test_no_statement_needs_a_transaction_of_its_own(docs):
    """More than 64 within one of the user's would make all others' snapshots slower."""
    with docs.connection.transaction():
        docs.run("INSERT INTO docs VALUES (4, 'four')")
        docs.run("UPDATE docs SET body = 'changed' WHERE id = 1")
        (number,) = docs.run("SELECT pg_current_xact_id()::text").fetchone()
    written = f'SELECT xmin::text FROM "{docs.collection}".rows WHERE id_1 IN (1, 4)'
    assert docs.run(written).fetchall() == [(number,), (number,)]


def unseen_of(docs):
    with docs.connection.transaction():
        docs.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return unseen.count_unseen(docs.connection, docs.captured)


def test_nothing_was_written_unseen_where_triggers_ran(docs):
    docs.run("UPDATE docs SET body = 'changed', id = 20 WHERE id = 1")
    assert (unseen_of(docs), str(unseen_of(docs))) == ((3, 3, 3, 3, 0), "")


def test_what_was_written_without_triggers_is_counted(docs):
    docs.run("SET session_replication_role = replica")
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 1; DELETE FROM docs WHERE id = 2")
    docs.run("INSERT INTO docs VALUES (4, 'four'), (5, 'five')")
    assert unseen_of(docs) == (4, 3, 3, 2, 1)


def test_a_sample_is_compared_where_there_are_many_rows(docs, monkeypatch):
    monkeypatch.setattr(unseen, "ROWS_A_SLICE", 2)
    docs.run("INSERT INTO docs SELECT i, 'text ' || i FROM generate_series(10, 1000) AS i")
    docs.run("SET session_replication_role = replica; UPDATE docs SET body = body || '!'")
    found = unseen_of(docs)
    assert (found.rows, found.compared, found.there, found.changed) == (994, 40, 40, 40)
