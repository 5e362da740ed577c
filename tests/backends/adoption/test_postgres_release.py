"""A user's table is given back: with the vectors that serve in its own column, and nothing of revector."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import contextmanager

import pytest

from captured import OWN
from released import IN_COLUMN, SERVING, releasable
from revector.backends.postgres.adoption.release import Serving, abandon
from revector.backends.postgres.adoption.releasing import replacing
from revector.backends.postgres.adoption.releasing.plan import examine
from revector.backends.postgres.adoption.releasing.successor import Successor
from revector.errors import GateRefusedError, StoreBusyError, StoreError

INDEX = "CREATE INDEX docs_graph ON docs USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)"

OWN_ALL = """
DO $$ DECLARE named text; BEGIN
    ALTER SCHEMA %SCHEMA% OWNER TO %ROLE%;
    ALTER SCHEMA revector OWNER TO %ROLE%;
    FOR named IN SELECT oid::regclass::text FROM pg_class WHERE relnamespace = '%SCHEMA%'::regnamespace
        AND relkind IN ('r', 'v') LOOP EXECUTE format('ALTER TABLE %s OWNER TO %ROLE%', named); END LOOP;
    FOR named IN SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = '%SCHEMA%'::regnamespace
        LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO %ROLE%', named); END LOOP;
END $$
"""


@pytest.fixture
def table(server):
    """Return a table of 20 rows that is not followed yet."""
    with releasable(server) as table:
        yield table.make().insert()


def test_vectors_in_the_column_stay_as_they_are(table):
    table.run(INDEX)
    table.begin(IN_COLUMN)
    rows = table.run("SELECT * FROM docs ORDER BY id").fetchall()
    table.release(IN_COLUMN)
    assert table.run("SELECT * FROM docs ORDER BY id").fetchall() == rows
    assert (table.state(), table.traces()) == (table.before, [])


def test_the_column_gets_the_vectors_that_serve_and_the_index_its_own_parameters(table):
    table.run(INDEX)
    table.begin().release()
    table.assert_given_back()


def test_a_table_is_released_once(table):
    table.begin().release()
    with pytest.raises(StoreError, match="was it released before"):
        table.release()


@pytest.mark.parametrize(
    "statement",
    [
        "USING ivfflat (embedding vector_ip_ops) WITH (lists = 5)",
        "USING ivfflat (embedding)",
        "USING hnsw (embedding vector_l1_ops)",
        "USING hnsw (embedding vector_cosine_ops) WHERE embedding IS NOT NULL AND vector_dims(embedding) < 9",
        "(id) WHERE embedding IS NULL",
        "(price, id DESC NULLS LAST) INCLUDE (body) WITH (fillfactor = 70) WHERE embedding IS NOT NULL",
    ],
)
def test_each_index_is_made_again_as_it_was(table, statement):
    table.run(f"CREATE INDEX an_index ON docs {statement}")
    table.begin().release()
    table.assert_given_back()


def test_what_is_said_of_the_column_is_kept(server):
    columns = "id bigint PRIMARY KEY, body text, embedding vector(2) NOT NULL DEFAULT '[0.5, 0.5]', price integer"
    with releasable(server, columns) as table:
        table.make().run("INSERT INTO docs SELECT n, 'text ' || n FROM generate_series(1, 20) AS n")
        table.run("CREATE ROLE reader")
        table.run("COMMENT ON COLUMN docs.embedding IS 'it''s 100% \"ours\"'")
        table.run(f"{INDEX}; COMMENT ON INDEX docs_graph IS 'it''s %s'")
        table.run("GRANT SELECT (embedding), UPDATE (embedding) ON docs TO reader WITH GRANT OPTION")
        table.run("GRANT SELECT (embedding) ON docs TO PUBLIC")
        table.run("ALTER TABLE docs ALTER embedding SET STATISTICS 7, ALTER embedding SET STORAGE MAIN")
        table.run("ALTER TABLE docs ALTER embedding SET COMPRESSION pglz, ALTER embedding SET (n_distinct = 5)")
        try:
            table.begin().release()
            table.assert_given_back()
            assert table.state()[0] == table.before[0]
            assert table.run("SELECT obj_description('docs_graph'::regclass)").fetchone() == ("it's %s",)
        finally:
            table.run("DROP OWNED BY reader; DROP ROLE reader")


def test_a_column_of_half_precision_stays_one(server):
    with releasable(server, "id bigint PRIMARY KEY, body text, embedding halfvec(3)") as table:
        table.make().insert().run("CREATE INDEX ON docs USING hnsw (embedding halfvec_cosine_ops)")
        table.begin().release()
        table.assert_given_back()
        assert ("docs", "embedding", "halfvec(2)") in [row[:3] for row in table.state()[0]]


def test_rows_without_text_keep_the_vector_by_which_they_are_found(table):
    """They have that of the text that they had, or one that was carried over; where there was neither, none."""
    table.begin()
    table.run("UPDATE docs SET body = '' WHERE id = 3; UPDATE docs SET body = NULL WHERE id = 4")
    table.run("INSERT INTO docs (id, body, embedding) VALUES (91, NULL, '[1, 2, 3]'), (92, NULL, '[1, 2, 3]')")
    table.ours(f"INSERT INTO vectors_{OWN} SELECT key, 0, 0, 'mapped', '[8, 9]' FROM rows WHERE id = '91' RETURNING 1")
    table.release()
    table.assert_given_back()
    found = dict(table.run("SELECT id, embedding::text FROM docs WHERE id IN (3, 4, 91, 92)").fetchall())
    assert (found[91], found[92]) == ("[8,9]", None)
    assert None not in (found[3], found[4])


def test_rows_without_a_current_vector_are_counted_and_need_an_allowance(table):
    table.begin()
    table.run("UPDATE docs SET body = 'new' WHERE id <= 3")
    with pytest.raises(GateRefusedError, match="3 rows have no vector of their present text"):
        table.release(seconds=0)
    assert table.release(allow_missing=True).missing == 3
    assert table.run("SELECT id FROM docs WHERE embedding IS NULL ORDER BY id").fetchall() == [(1,), (2,), (3,)]


def test_texts_that_have_just_changed_are_waited_for(table):
    table.begin()
    table.run("UPDATE docs SET body = 'new' WHERE id <= 3")

    def embed():
        with table.connect() as connection:
            table.land_all(connection)

    later = threading.Timer(0.5, embed)
    later.start()
    table.release()
    later.join()
    table.assert_given_back()


def test_a_required_column_is_never_left_without_vectors(server):
    with releasable(server, "id bigint PRIMARY KEY, body text, embedding vector(3) NOT NULL") as table:
        table.make().insert().begin()
        table.run("INSERT INTO docs (id, body, embedding) VALUES (91, '', '[1, 2, 3]'), (92, NULL, '[1, 2, 3]')")
        with pytest.raises(GateRefusedError, match=r"2 rows would have no vector \(2 of them have no text"):
            table.release()
        table.run("UPDATE docs SET body = 'new' WHERE id > 90")
        table.land_all()
        table.release()
        table.assert_given_back()


USERS = {
    "view shop": "CREATE VIEW shop AS SELECT id, embedding FROM docs",
    "materialized view shop": "CREATE MATERIALIZED VIEW shop AS SELECT id FROM docs WHERE embedding IS NOT NULL",
    "function shop": "CREATE FUNCTION shop() RETURNS bigint BEGIN ATOMIC SELECT count(embedding) FROM docs; END",
    "column shop": "ALTER TABLE docs ADD shop boolean GENERATED ALWAYS AS (embedding IS NULL) STORED",
    "constraint shop": "ALTER TABLE docs ADD CONSTRAINT shop CHECK (vector_dims(embedding) = 3)",
    "statistics object shop": "CREATE STATISTICS shop ON id, embedding FROM docs",
    "policy shop": "CREATE POLICY shop ON docs USING (embedding IS NOT NULL)",
    "publication shop": "CREATE PUBLICATION shop FOR TABLE docs (id, embedding)",
    "unique index shop": "CREATE UNIQUE INDEX shop ON docs (id) WHERE embedding IS NOT NULL",
    "trigger shop": """
        CREATE TRIGGER shop BEFORE UPDATE OF embedding ON docs FOR EACH ROW
        EXECUTE FUNCTION suppress_redundant_updates_trigger()
    """,
}


@pytest.mark.parametrize("user", USERS)
def test_what_uses_the_column_is_found_before_anything_is_changed(table, user):
    table.run(USERS[user])
    table.begin()
    state, rows = table.state(), table.run("SELECT * FROM docs").fetchall()
    with pytest.raises(GateRefusedError, match=user.replace(" ", " .*")):
        table.release()
    assert (table.state(), table.run("SELECT * FROM docs").fetchall()) == (state, rows)


def test_what_uses_the_collection_is_found(table):
    table.begin()
    table.run(f'CREATE VIEW shop AS SELECT id FROM "{table.collection}".documents')
    for serving in (SERVING, IN_COLUMN):
        with pytest.raises(GateRefusedError, match=r"view .*shop uses the collection"):
            table.release(serving)


def test_a_migration_that_is_not_over_is_found(table):
    table.begin()
    table.ours(
        "INSERT INTO migrations (alias, alias_version, source_generation, target_generation, target_space, phase, "
        "paused, strategy, retention_seconds, created_at) "
        "VALUES ('live', 1, 1, 2, '{}', 'proving', false, '{}', 0, 0) RETURNING 1"
    )
    with pytest.raises(GateRefusedError, match=r"a migration is proving.*rollback and retire"):
        table.release()


def test_partitions_that_are_not_captured_are_found(server):
    columns = "id bigint PRIMARY KEY, body text, embedding vector(3)) PARTITION BY RANGE (id"
    with releasable(server, columns) as table:
        table.make().run("CREATE TABLE part PARTITION OF docs DEFAULT")
        table.begin()
        with pytest.raises(GateRefusedError, match=r"written to .*part is not captured"):
            table.release()


def test_indexes_that_cannot_follow_are_left_out_and_said(table):
    table.run("CREATE INDEX by_half ON docs USING hnsw ((embedding::halfvec(3)) halfvec_l2_ops)")
    table.run("CREATE INDEX by_sign ON docs USING hnsw ((binary_quantize(embedding)::bit(3)) bit_hamming_ops)")
    table.run("CREATE INDEX in_order ON docs (embedding, id)")
    table.run("CREATE INDEX docs_graph ON docs USING hnsw (embedding vector_l2_ops)")
    table.begin()
    with table.connect() as connection:
        longer = examine(connection, table.captured, Serving(OWN, 2001, in_column=False))
    flaws = {index.name: index.flaw for index in longer.indexes}
    assert flaws["docs_graph"] == "holds at most 2,000 dimensions, and the vectors have 2,001"
    assert not flaws["by_half"]
    assert {index.name: index.flaw for index in table.release().plan.indexes} == {
        "by_half": "",
        "by_sign": "is over an expression of the column",
        "in_order": "has other columns as well",
        "docs_graph": "",
    }
    made = table.run("SELECT indexname FROM pg_indexes WHERE tablename = 'docs' ORDER BY 1").fetchall()
    assert made == [("by_half",), ("docs_graph",), ("docs_pkey",)]


def test_a_view_keeps_its_column_where_vectors_are_written_in_place(server):
    with releasable(server, "id bigint PRIMARY KEY, body text, embedding vector(2)") as table:
        table.make().run("INSERT INTO docs SELECT n, 'text ' || n, '[1, 2]' FROM generate_series(1, 20) AS n")
        table.run("CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops)")
        table.run("CREATE VIEW shop AS SELECT id, embedding FROM docs")
        table.begin()
        with pytest.raises(GateRefusedError, match="--in-place"):
            table.release()
        table.release(in_place=True)
        table.assert_given_back()


def test_vectors_of_another_dimension_cannot_be_written_in_place(table):
    table.begin()
    with pytest.raises(GateRefusedError, match="column's dimension, 3, and those that serve have 2"):
        table.release(in_place=True)


TRIGGER = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.price = NEW.price + 1; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
"""


def test_triggers_of_the_user_s_do_not_run(table):
    table.run("UPDATE docs SET price = 1")
    table.run(TRIGGER)
    table.begin().release()
    table.assert_given_back()
    assert table.run("SELECT DISTINCT price FROM docs").fetchall() == [(1,)]


def test_a_role_that_cannot_keep_triggers_from_running_has_to_say_so(table):
    table.run("UPDATE docs SET price = 1")
    table.run(TRIGGER)
    table.begin()
    with as_owner(table):
        with pytest.raises(GateRefusedError, match="would run the triggers touch for each of 20 rows"):
            table.release()
        table.release(fire_triggers=True)
    table.assert_given_back()


def test_a_member_of_the_owner_releases(table):
    table.run(INDEX)
    table.begin()
    owner = f"owner_{uuid.uuid4().hex}"
    table.run(f"CREATE ROLE {owner}; ALTER TABLE docs OWNER TO {owner}; GRANT ALL ON SCHEMA {table.schema} TO {owner}")
    with as_owner(table, owns_table=False) as migrator:
        table.run(f"GRANT {owner} TO {migrator}")
        table.release()
    table.assert_given_back()
    table.run(f"REASSIGN OWNED BY {owner} TO CURRENT_USER; DROP OWNED BY {owner}; DROP ROLE {owner}")


def test_only_the_owner_releases_what_is_in_a_table_of_ours(table):
    table.begin()
    with as_owner(table, owns_table=False), pytest.raises(GateRefusedError, match="only the owner of the table"):
        table.release()


def test_whoever_owns_the_collection_alone_can_leave_vectors_in_the_column(table):
    table.begin(IN_COLUMN)
    with as_owner(table, owns_table=False):
        table.release(IN_COLUMN)
    assert (table.traces(), table.run("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()) == ([], [])


def test_rows_that_this_role_does_not_see_are_not_left_behind(table):
    table.run("ALTER TABLE docs ENABLE ROW LEVEL SECURITY; ALTER TABLE docs FORCE ROW LEVEL SECURITY")
    table.begin()
    with as_owner(table), pytest.raises(GateRefusedError, match="row-level security hides rows"):
        table.release()


def test_rows_that_a_trigger_keeps_as_they_are_end_it(table):
    table.run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    table.run("CREATE TRIGGER keep BEFORE UPDATE ON docs FOR EACH ROW WHEN (OLD.id = 7) EXECUTE FUNCTION keep()")
    table.run("ALTER TABLE docs ENABLE ALWAYS TRIGGER keep")
    table.begin()
    with pytest.raises(GateRefusedError, match="would run the triggers keep"):
        table.release()
    with pytest.raises(GateRefusedError, match="1 rows cannot be written"):
        table.release(fire_triggers=True)


@contextmanager
def as_owner(table, *, owns_table=True):
    """Let the table, and the collection, be those of a role that is no superuser, which connections have; yield it."""
    role = f"owner_{uuid.uuid4().hex}"
    table.run(f"CREATE ROLE {role}; GRANT CREATE ON DATABASE {table.connection.info.dbname} TO {role}")
    table.run(
        f"GRANT ALL ON ALL TABLES IN SCHEMA {table.schema} TO {role}; ALTER SCHEMA {table.schema} OWNER TO {role}"
    )
    if owns_table:
        table.run(f"ALTER TABLE docs OWNER TO {role}")
    table.run(OWN_ALL.replace("%SCHEMA%", table.collection).replace("%ROLE%", role))
    connect, table.connect = table.connect, lambda: connect(options=f"-c role={role}")
    try:
        yield role
    finally:
        table.connect = connect
        table.run(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")


def test_changes_while_it_is_filled_are_not_missed(table):
    table.begin()
    step = iter(
        [
            "UPDATE docs SET body = 'changed' WHERE id <= 5; UPDATE docs SET id = id + 100 WHERE id = 7",
            "UPDATE docs SET body = '' WHERE id = 6; INSERT INTO docs (id, body) VALUES (50, 'new'); "
            "DELETE FROM docs WHERE id = 8",
            "UPDATE docs SET id = 0 WHERE id = 9; UPDATE docs SET id = 9 WHERE id = 10; "
            "UPDATE docs SET id = 10 WHERE id = 0; "
            "DELETE FROM docs WHERE id = 11; INSERT INTO docs (id, body) VALUES (11, 'another')",
        ]
    )

    def change(_):
        table.run(next(step, "SELECT 1"))
        table.land_all()

    table.release(tell=change)
    table.assert_given_back()


def test_a_required_column_never_gets_a_vector_of_nothing(server):
    with releasable(server, "id bigint PRIMARY KEY, body text, embedding vector(3) NOT NULL") as table:
        table.make().insert().begin()

        def change(step):
            if step == "replacing the column":
                table.run("UPDATE docs SET body = 'changed' WHERE id = 1")
                table.run("INSERT INTO docs (id, embedding) VALUES (91, '[1, 2, 3]')")

        with pytest.raises(StoreBusyError, match="2 rows have changed and are not written yet"):
            table.release(tell=change, seconds=0, allow_missing=True)


def test_rows_whose_vector_does_not_come_are_told_and_the_collection_goes_on(table):
    table.begin()

    def change(step):
        if step == "replacing the column":
            table.run("UPDATE docs SET body = 'changed' WHERE id <= 5")

    with pytest.raises(StoreBusyError, match="5 rows have changed and are not written yet"):
        table.release(tell=change, seconds=0)
    table.land_all()
    table.release()
    table.assert_given_back()


def test_rows_that_changed_while_indexes_were_built_are_written_however_long_it_takes(table, monkeypatch):
    """Millions of rows take hours, and what was written meanwhile takes longer than locks are waited for."""
    table.begin()
    catch_up = Successor.catch_up

    def one_row(successor, seconds, **said):
        time.sleep(0.2)
        successor._batch = 1
        return catch_up(successor, min(seconds, 1e-4), **said)

    def change(step):
        if step == "writing what has changed since":
            table.run("UPDATE docs SET body = body || ' changed'")
            table.land_all()
            monkeypatch.setattr(replacing, "_FEW", 0)
            monkeypatch.setattr(Successor, "catch_up", one_row)

    table.release(tell=change, seconds=0.4)
    table.assert_given_back()


def test_rows_that_others_hold_are_not_left_with_another_vector(table):
    """Whoever reads a row FOR UPDATE keeps us from writing it: that is not a vector that is missing."""
    table.begin()

    def change(step):
        if step == "replacing the column":
            table.run("UPDATE docs SET body = 'changed' WHERE id <= 5")
            table.land_all()
            table.run("UPDATE docs SET body = 'lacking' WHERE id = 6")
            holder.execute("BEGIN; SELECT FROM docs WHERE id = 5 FOR UPDATE")

    with table.connect() as holder:
        with pytest.raises(StoreBusyError, match="1 rows have changed and are not written yet"):
            table.release(tell=change, seconds=0, allow_missing=True)
        holder.execute("COMMIT")
    assert table.release(seconds=0, allow_missing=True).missing == 1
    assert [row[0] for row in table.wrong()] == [6]


def test_a_release_that_was_begun_can_be_called_off(table):
    table.begin()
    table.run("UPDATE docs SET body = 'changed' WHERE id = 1")
    rows = table.run("SELECT * FROM docs ORDER BY id").fetchall()

    def stop(step):
        if step == "replacing the column":
            raise InterruptedError

    table.land_all()
    with pytest.raises(InterruptedError):
        table.release(tell=stop)
    with table.connect() as connection:
        assert [abandon(connection, table.captured) for _ in range(2)] == [True, False]
    assert table.run("SELECT * FROM docs ORDER BY id").fetchall() == rows
    assert table.ours("SELECT relname FROM pg_class WHERE relname ^@ 'release' OR relname ^@ 'revector_'") == []
    table.release()
    table.assert_given_back()


@pytest.mark.parametrize("serving", [SERVING, IN_COLUMN])
def test_a_release_that_was_begun_otherwise_leaves_nothing(server, serving):
    with releasable(server, "id bigint PRIMARY KEY, body text, embedding vector(3) NOT NULL") as table:
        table.make().insert().begin()

        def stop(step):
            if step == "replacing the column":
                raise InterruptedError

        with pytest.raises(InterruptedError):
            table.release(tell=stop)
        table.ours("UPDATE aliases SET generation = %s RETURNING 1", serving.generation)
        table.run("ALTER TABLE docs ALTER embedding DROP NOT NULL")
        table.run("UPDATE docs SET body = '' WHERE id = 1")
        table.release(serving)
        assert table.traces() == []
        assert table.run("SELECT count(*) FROM pg_attribute WHERE attname ^@ 'embedding_'").fetchone() == (0,)
        assert bool(table.wrong()) is serving.in_column


@pytest.mark.parametrize("statement", ["RENAME TO others", "RENAME embedding TO vectors"])
def test_a_table_that_was_renamed_is_not_taken_for_one_that_is_gone(table, statement):
    table.begin()
    table.run(f"ALTER TABLE docs {statement}")
    with pytest.raises(StoreError, match="if it was renamed, give it its name back"):
        table.release()


def test_a_transaction_that_holds_the_table_is_named_and_keeps_no_reader_waiting_for_long(table):
    table.begin()
    with table.connect() as slow:
        slow.execute("BEGIN; SELECT * FROM docs")
        pid = slow.info.backend_pid
        reader = Reading(table)
        with reader, pytest.raises(StoreBusyError, match=f"now the processes: {pid}"):
            table.release(seconds=3)
        slow.execute("COMMIT")
    assert 0.05 < reader.longest < 1.5
    table.release()
    table.assert_given_back()


class Reading:
    """Reads a row again and again; `longest` is how long it took, at most, in seconds."""

    def __init__(self, table):
        self._table, self._stop, self.longest = table, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._read)

    def _read(self):
        with self._table.connect() as connection:
            while not self._stop.wait(0.01):
                began = time.monotonic()
                connection.execute("SELECT id FROM docs WHERE id = 1")
                self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def test_what_collections_share_goes_with_the_last_of_them(table):
    table.begin()
    other = f"{table.collection}_too"
    table.run(f'CREATE SCHEMA "{other}"; CREATE TABLE "{other}".moment ()')
    table.release()
    assert table.traces() == ["revector", other]


def test_two_do_not_release_at_once(table):
    table.begin()

    def another(_):
        with pytest.raises(StoreBusyError, match="another process releases"):
            table.release(seconds=0)

    table.release(tell=another)
    table.assert_given_back()
