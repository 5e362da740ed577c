"""A collection follows a table of the user's: the first look at its rows, and writers beside each other."""

import random
import threading

import pytest

from captured import COLUMN, DOCS, LIVE, OWN, followed
from revector.backends.contracts import content_hash
from revector.backends.postgres.adoption.capture import fill, follow

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def docs(tmp_path):
    """Return a table of 250 rows, every other one with a vector, that has just begun to be followed."""
    with followed(tmp_path) as table:
        table.make()
        table.run(
            """
            INSERT INTO docs SELECT n, 'text ' || n, 'n', CASE WHEN n % 2 = 0 THEN '[1, 2]'::vector END
            FROM generate_series(1, 250) AS n
            """
        )
        yield table.install()


# The first look


def test_rows_of_before_get_their_shadows_slice_by_slice(docs):
    said = docs.fill(100)  # "wait" comes as often as others' transactions on this server make it
    assert said[2] == "wait"
    assert [step for step in said if step != "wait"] == ["rows", "rows", "gone", "gone", "gone", "gone", "done"]
    assert docs.shadows() == {str(n): content_hash(f"text {n}") for n in range(1, 251)}


def test_vectors_of_before_are_of_their_texts_and_the_others_are_asked_for(docs):
    docs.fill()
    assert (len(docs.current(COLUMN)), len(docs.jobs(COLUMN)), len(docs.jobs(OWN))) == (125, 125, 250)


def test_second_look_at_the_same_rows_changes_nothing(docs):
    docs.fill()
    before = docs.versions()
    docs.fill_again()
    assert docs.versions() == before


def test_empty_table_needs_no_shadow(tmp_path):
    with followed(tmp_path) as table:
        assert table.make().install().fill()[-1] == "done"


@pytest.fixture
def composite(tmp_path):
    """Return a followed table of 1,000 rows whose key is named in another order than that of its index."""
    columns = "tenant text, number integer, body text, embedding vector(2), PRIMARY KEY (tenant, number)"
    key, order = (("number", "integer"), ("tenant", "text")), ("tenant", "number")
    with followed(tmp_path, columns, key=key, order=order) as table:
        table.make()
        table.run("INSERT INTO docs SELECT 'tenant ' || n % 7, n, 'x' FROM generate_series(1, 1000) AS n")
        yield table.install()


def test_composite_keys_are_looked_at_slice_by_slice(composite):
    composite.fill(9)
    assert len(composite.shadows()) == 1000


def test_a_slice_is_read_in_the_order_of_the_index_and_no_more(composite):
    with composite.connection.transaction():
        before = _rows_read(composite)
        for _ in range(10):
            composite.run(fill(composite.captured, 10))
        assert _rows_read(composite) - before < 1000


def test_rows_that_change_before_they_were_looked_at_are_captured(docs):
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 2")
    docs.run("UPDATE docs SET embedding = '[2, 1]' WHERE id = 3")
    docs.run("UPDATE docs SET id = 1000 WHERE id = 4")
    docs.run("DELETE FROM docs WHERE id = 5")
    docs.fill()
    assert docs.shadows() == {
        "2": content_hash("changed"),
        "1000": content_hash("text 4"),
        **{str(n): content_hash(f"text {n}") for n in range(1, 251) if n not in (2, 4, 5)},
    }
    assert {"2", "3"} - {*docs.current(COLUMN)} == {"2"}


def test_row_that_somebody_deletes_while_its_shadow_is_made_leaves_none(docs):
    with docs.connect() as other, other.transaction():
        other.execute("DELETE FROM docs WHERE id = 1")
        said = [docs.run(fill(docs.captured, 1000)).fetchone()[0] for _ in range(2)]
    docs.fill()
    assert (said, docs.left_over(), "1" in docs.shadows()) == (["wait", "wait"], [], False)


def test_first_look_waits_for_nobody_for_long(docs):
    with docs.connect() as other, other.transaction():
        other.execute("UPDATE docs SET body = 'changed' WHERE id = 7")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            docs.fill()
    docs.fill()
    assert docs.shadows()["7"] == content_hash("changed")


# Beside each other


def test_generation_that_begins_is_asked_for_by_transactions_that_see_an_earlier_moment(docs):
    docs.fill()
    for statement in follow(docs.captured, {COLUMN: True}, [OWN]):
        docs.run(statement.sql)
    docs.run("DELETE FROM docs WHERE id > 1")
    docs.land("1")
    with docs.connect() as other, other.transaction():
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        for statement in follow(docs.captured, LIVE, [OWN]):
            docs.run(statement.sql)
        other.execute("UPDATE docs SET body = 'changed'")
    assert docs.jobs(OWN) == ["1"]


def test_statement_of_one_row_reads_few_however_many_the_one_before_had(docs):
    docs.run("INSERT INTO docs SELECT n, 'text' FROM generate_series(1000, 5000) AS n")
    docs.run("UPDATE docs SET body = body || '!'")
    docs.run("UPDATE docs SET id = id + 10000")
    docs.run("DELETE FROM docs WHERE id > 14000")
    with docs.connection.transaction():
        before = _rows_read(docs)
        docs.run("INSERT INTO docs VALUES (9000, 'text')")
        docs.run("UPDATE docs SET body = 'changed' WHERE id = 9000")
        docs.run("UPDATE docs SET id = 9001 WHERE id = 9000")
        docs.run("DELETE FROM docs WHERE id = 9001")
        assert _rows_read(docs) - before < 60


def _rows_read(table):
    """Return how many rows of all tables this transaction has read."""
    read = """
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
        WHERE schemaname IN (%s, %s)
    """
    return table.run(read, table.schema, table.collection).fetchone()[0]


@pytest.mark.parametrize("key", ["bigint", "text", "numeric"])
def test_statements_of_readers_use_indexes(tmp_path, key):
    with followed(tmp_path, DOCS.replace("bigint", key), key=(("id", key),)) as table:
        table.make().install()
        table.run("INSERT INTO docs SELECT n, 'text ' || n FROM generate_series(1, 300) AS n")
        table.run("SET enable_seqscan = off")
        plans = [
            "\n".join(table.column(f"EXPLAIN SELECT * FROM documents WHERE {condition}"))
            for condition in (
                "key = ANY('{1, 2}'::bigint[])",
                "id = ANY('{1, 2}'::text[])",
                "key > 10 ORDER BY key LIMIT 1",
                "content_hash = 'x'",
            )
        ]
        assert not [plan for plan in plans if "Seq Scan" in plan]


def test_statement_that_needs_nothing_of_the_users_table_leaves_it_alone(docs):
    assert "docs" not in "\n".join(docs.column("EXPLAIN SELECT key, id, content_hash FROM documents"))


def _write(table, seed, errors):
    """Write at random, as an application does: several rows in a transaction, always in the order of their keys."""
    chance = random.Random(seed)
    with table.connect() as connection:
        try:
            for n in range(40):
                with connection.transaction():
                    for id_ in sorted(chance.sample(range(60), chance.choice([1, 1, 3]))):
                        statement = chance.choice(_STATEMENTS)
                        new = {"id": id_, "text": f"text {seed} {n}", "vector": f"[{seed}, {n}]", "seed": seed, "n": n}
                        connection.execute(statement, {**new, "other": 1_000 * seed + 100 * n + id_ + 1_000})
        except Exception as error:
            errors.append(error)


_STATEMENTS = (
    "INSERT INTO docs (id, body) VALUES (%(id)s, %(text)s) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    "INSERT INTO docs VALUES (%(id)s, %(text)s, 'n', %(vector)s) ON CONFLICT DO NOTHING",
    "UPDATE docs SET body = %(text)s WHERE id = %(id)s",
    "UPDATE docs SET body = %(text)s, embedding = %(vector)s WHERE id = %(id)s",
    "UPDATE docs SET embedding = %(vector)s WHERE id = %(id)s",
    "UPDATE docs SET body = NULL WHERE id = %(id)s",
    "UPDATE docs SET note = %(text)s WHERE id >= %(id)s AND id < 60 AND note = 'x'",
    "UPDATE docs SET id = %(other)s WHERE id = %(id)s",
    "DELETE FROM docs WHERE id = %(id)s",
    "INSERT INTO docs SELECT %(other)s + n * 100000, %(text)s FROM generate_series(1, 20) AS n ON CONFLICT DO NOTHING",
)
_WORK = f"""
WITH claimed AS MATERIALIZED (
    SELECT document_key, content_hash FROM jobs WHERE generation = {OWN} LIMIT 10 FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT rows.key, rows.content_hash FROM claimed
    JOIN rows ON rows.key = document_key AND rows.content_hash = claimed.content_hash FOR KEY SHARE OF rows SKIP LOCKED
), landed AS (
    INSERT INTO vectors_{OWN} SELECT key, 0, 0, content_hash, '[1, 2]' FROM held
    ON CONFLICT (document_key) DO UPDATE SET content_hash = excluded.content_hash RETURNING document_key, content_hash
)
DELETE FROM jobs USING landed WHERE generation = {OWN} AND jobs.document_key = landed.document_key
AND jobs.content_hash = landed.content_hash RETURNING 1
"""


def _work(table, ended, errors):
    """Land vectors of what is asked for, as a worker does."""
    with table.connect() as connection:
        connection.execute(f'SET search_path = "{table.collection}", public')
        try:
            while not ended.wait(0.005):
                connection.execute(_WORK)
        except Exception as error:
            errors.append(error)


def _lacking(table, generation):
    """Return the ids of rows with a text that have neither a vector of it nor a job for it."""
    state = "column_state" if generation == COLUMN else f"vectors_{generation}"
    return table.column(
        f"""
        SELECT id FROM documents LEFT JOIN {state} AS stored ON stored.document_key = key
        LEFT JOIN jobs ON jobs.document_key = key AND generation = {generation}
        WHERE text <> '' AND documents.content_hash NOT IN (
            coalesce(stored.content_hash, ''), coalesce(jobs.content_hash, '')
        )
        """
    )


@pytest.mark.parametrize("seed", range(3))
def test_writers_beside_each_other_are_captured_and_never_wait_for_each_other_both(docs, seed):
    errors, ended = [], threading.Event()
    writers = [threading.Thread(target=_write, args=(docs, 100 * seed + n, errors)) for n in range(20)]
    worker = threading.Thread(target=_work, args=(docs, ended, errors))
    worker.start()
    for thread in writers:
        thread.start()
    docs.fill(20)
    for thread in writers:
        thread.join()
    ended.set()
    worker.join()
    rows = docs.run("SELECT id::text, coalesce(body, '') FROM docs").fetchall()
    assert errors == []
    assert docs.shadows() == {id_: content_hash(text) for id_, text in rows}
    assert (_lacking(docs, COLUMN), _lacking(docs, OWN), docs.left_over()) == ([], [], [])
