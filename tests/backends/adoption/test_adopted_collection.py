"""A collection of the rows of a user's table, from its adoption to the end of a migration; others write meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count

import numpy as np
import psycopg
import pytest

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres import building
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.backend import PostgresBackend
from revector.backends.postgres.database.places import place_of
from revector.errors import GateRefusedError, InvalidArgumentError, StoreError
from revector.ledger.state import Phase
from revector.migration.landing import Rows, land
from revector.testing import HashEncoder
from user_tables import new_database
from worlds import NEW, OLD

OTHER = HashEncoder(8, seed=3, name="other")
TABLE = TableToAdopt("shop.docs", "id", ("title", "body"), "embedding", name="docs")
ROWS = 40


@pytest.fixture
def url(server):
    """Return the URL of a database of the test's own."""
    with new_database(server) as connection:
        place = place_of(f"{server}#docs")
        own = replace(place, connection={**place.connection, "dbname": connection.info.dbname})
        yield own.url.partition("#")[0]


@pytest.fixture
def shop(url):
    """A connection of an application that knows nothing of revector, beside a table with the old model's vectors."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            f"CREATE TABLE shop.docs (id bigint PRIMARY KEY, title text, body text, price int, "
            f"embedding vector({OLD.space.dimension}))"
        )
        for number in range(ROWS):
            insert(connection, number, f"text number {number}")
        yield connection


def embedded(text, encoder=OLD):
    return str(encoder.encode([text])[0].tolist())


def insert(connection, number, body, vector=True):
    connection.execute(
        "INSERT INTO shop.docs VALUES (%s, 'title', %s, %s, %s)",
        [number, body, number % 5, embedded(f"title\n\n{body}") if vector else None],
    )


def adopted(url, **options):
    given = {"dry_run": False, "accept_unidentified": False, "tell": lambda _: None, **options}
    return adopt(url, TABLE, [OLD], **given)


@contextmanager
def opened(url):
    with Collection.open(f"{url}#docs", encoders=[OLD, NEW]) as docs:
        yield docs


def assert_exact(shop, docs, encoder):
    """What serves are the vectors of the present texts, no more and no fewer."""
    texts = dict(shop.execute("SELECT id, concat_ws(E'\\n\\n', title, body) FROM shop.docs").fetchall())
    found = dict(shop.execute('SELECT id, embedding FROM "revector_docs".serving').fetchall())
    assert found.keys() == texts.keys()
    vectors = np.array([[float(x) for x in found[id_][1:-1].split(",")] for id_ in texts], np.float32)
    np.testing.assert_allclose(vectors, encoder.encode(list(texts.values())), rtol=1e-6)
    assert docs.serving_space == encoder.space


def test_vectors_land_in_the_users_column_a_few_at_a_time(url, shop, monkeypatch):
    adopted(url)
    for number in range(ROWS, ROWS + 100):
        insert(shop, number, f"text number {number}", vector=False)
    with opened(url) as docs:
        put, sizes = docs._backend.generations.put, []
        monkeypatch.setattr(docs._backend.generations, "put", lambda *given: sizes.append(len(given[1])) or put(*given))
        stop = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(docs.follow, stop)
            while docs._backend.generations.count_stale(1):
                time.sleep(0.05)
            stop.set()
            following.result()
        assert (sum(sizes), max(sizes) < 50) == (100, True)
        assert_exact(shop, docs, OLD)


def test_a_plan_a_pilot_and_an_export_leave_the_table_as_it_is(url, shop, tmp_path):
    adopted(url)
    before = shop.execute("SELECT * FROM shop.docs ORDER BY id").fetchall()
    with opened(url) as docs:
        assert docs.plan(NEW).measured.filled.documents == ROWS
        assert docs.pilot(NEW).documents == ROWS
        assert docs.export(tmp_path / "out.npy").documents == ROWS
        assert [each.space for each in docs._backend.generations.all()] == [OLD.space]
        assert_exact(shop, docs, OLD)
    assert shop.execute("SELECT * FROM shop.docs ORDER BY id").fetchall() == before


def test_a_table_is_adopted_searched_and_moved_there_and_back(url, shop):
    told = adopted(url)
    assert (told.contents["rows"], told.url.endswith("#docs")) == (ROWS, True)
    with opened(url) as docs:
        (hit,) = docs.search("title\n\ntext number 7", k=1)
        assert (hit.id, hit.metadata) == ("7", {"price": 2})
        migration = docs.migrate(NEW, retention_seconds=0)
        migration.start()
        migration.run()
        assert migration.verify().passed
        migration.cutover()
        assert_exact(shop, docs, NEW)
        migration.rollback()
        assert_exact(shop, docs, OLD)
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
        migration.retire(confirm=True)
        assert_exact(shop, docs, NEW)
        assert docs.search("title\n\ntext number 7", k=1)[0].id == "7"


def _write(shop, step):
    """Do what applications do: new rows, other texts, other keys, fewer rows."""
    insert(shop, 1000 + step, f"row of step {step}", vector=step % 2 == 0)
    shop.execute("UPDATE shop.docs SET body = body || ' changed' WHERE id = %s", [step])
    shop.execute("UPDATE shop.docs SET price = 99 WHERE id < 10")
    shop.execute("UPDATE shop.docs SET id = id + 5000 WHERE id = %s", [20 + step])
    shop.execute("DELETE FROM shop.docs WHERE id = %s", [10 + step])


def test_nothing_is_lost_of_what_others_write_in_any_phase(url, shop):
    adopted(url)
    with opened(url) as docs:
        stop = threading.Event()
        follower = threading.Thread(target=docs.follow, args=(stop,))
        follower.start()
        try:
            migration, step = docs.migrate(NEW, retention_seconds=0), 0
            for verb in ("start", "prove", "verify", "cutover", "rollback", "start", "prove", "verify", "cutover"):
                _write(shop, step)
                step += 1
                if verb == "prove":
                    _wait(lambda: migration.phase is Phase.PROVING)
                else:
                    getattr(migration, verb)()
                _write(shop, step)
                step += 1
            serving = docs._backend.generations.alias("live").generation
            _wait(lambda: not docs._backend.generations.count_stale(serving))
        finally:
            stop.set()
            follower.join()
        assert_exact(shop, docs, NEW)


def test_a_table_that_has_moved_is_given_back_while_others_write(url, shop):
    adopted(url)
    shop.execute("CREATE INDEX docs_graph ON shop.docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
    with opened(url) as docs:
        migration = docs.migrate(NEW, retention_seconds=0)
        for verb in (migration.start, migration.run, migration.verify, migration.cutover):
            verb()
        migration.retire(confirm=True)
        stop = threading.Event()

        def follow():
            with suppress(StoreError):  # at its end the collection is gone
                docs.follow(stop)

        follower, step = threading.Thread(target=follow), count(1)
        follower.start()

        def write(_):
            shop.execute("UPDATE shop.docs SET body = body || ' more', embedding = NULL WHERE id < 5")
            shop.execute("INSERT INTO shop.docs VALUES (%s, 'title', 'new')", [1000 + next(step)])

        options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False}
        released = PostgresBackend.release(f"{url}#docs", tell=write, **options)
        stop.set()
        follower.join()
    texts = dict(shop.execute("SELECT concat_ws(E'\\n\\n', title, body), embedding FROM shop.docs").fetchall())
    vectors = np.array([[float(x) for x in vector[1:-1].split(",")] for vector in texts.values()], np.float32)
    np.testing.assert_allclose(vectors, NEW.encode(list(texts)), rtol=1e-6)
    assert (released.vectors, released.indexes) == (ROWS + next(step) - 1, ("shop.docs_graph",))
    assert not [name for (name,) in _objects(shop)[0] if name.startswith("revector")]
    assert not _objects(shop)[1]


def _wait(question, seconds=60.0):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def _objects(shop):
    triggers = shop.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop.docs'::regclass").fetchall()
    return shop.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall(), triggers


def test_a_dry_run_says_the_sql_and_changes_nothing(url, shop):
    before = _objects(shop)
    told = adopted(url, dry_run=True)
    assert _objects(shop) == before
    assert any("CREATE TRIGGER" in statement for statement in told.statements)


def test_an_adoption_that_was_cut_off_is_done_again(url, shop):
    class CutOffError(Exception):
        pass

    def cut_off(purpose):
        if purpose == "what is written from now on is captured":
            raise CutOffError

    with pytest.raises(CutOffError):
        adopted(url, tell=cut_off)
    adopted(url)
    with opened(url) as docs:
        assert len(docs) == ROWS


def test_a_table_is_adopted_once_under_a_name(url, shop):
    adopted(url)
    with pytest.raises(StoreError, match="is a collection already"):
        adopted(url)


@pytest.mark.parametrize("write", [lambda docs: docs.upsert(["7"], ["text"]), lambda docs: docs.delete(["7"])])
def test_rows_are_written_where_they_are(url, shop, write):
    adopted(url)
    with opened(url) as docs, pytest.raises(StoreError, match=r"rows of shop\.docs: write them there"):
        write(docs)
    assert shop.execute("SELECT count(*) FROM shop.docs").fetchone() == (ROWS,)


def test_the_model_of_the_vectors_is_found_among_several(url, shop):
    told = adopt(url, TABLE, [OTHER, NEW, OLD], dry_run=False, accept_unidentified=False, tell=lambda _: None)
    assert (told.identification["best"]["model"], told.identification["rows"]) == ("old", ROWS)
    with opened(url) as docs:
        assert docs.serving_space == OLD.space


def test_vectors_that_no_model_made_are_accepted_by_a_word(url, shop):
    shop.execute("UPDATE shop.docs SET embedding = (SELECT array_agg(random())::vector FROM generate_series(1, 8))")
    with pytest.raises(InvalidArgumentError, match="--accept-unidentified"):
        adopted(url, accept_unidentified=False)
    assert not _objects(shop)[1]
    assert adopted(url, accept_unidentified=True).identification["best"] is None


def test_a_model_of_another_dimension_did_not_make_the_vectors(url, shop):
    given = {"dry_run": False, "accept_unidentified": True, "tell": lambda _: None}
    with pytest.raises(InvalidArgumentError, match=r"12 dimensions.* have 8"):
        adopt(url, TABLE, [NEW], **given)
    assert not _objects(shop)[1]


def test_rows_without_text_are_told_and_have_to_be_accepted(url, shop):
    shop.execute("UPDATE shop.docs SET title = '', body = NULL WHERE id = 3")
    assert adopted(url).contents["without_text"] == 1
    with opened(url) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        shop.execute("UPDATE shop.docs SET title = NULL, body = '' WHERE id = 4")
        migration.run()
        migration.verify()
        assert {failed.id: failed.error for failed in migration.failures()}.keys() == {"3", "4"}
        with pytest.raises(GateRefusedError, match="2 documents could not be embedded"):
            migration.cutover()
        migration.cutover(accept_failed=True)
        shop.execute("UPDATE shop.docs SET body = 'there again' WHERE id = 3")
        migration.run()
        assert [failed.id for failed in migration.failures()] == ["4"]
        assert docs.search("there again", k=1)[0].id == "3"


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_row_that_somebody_is_writing_keeps_nobody_waiting_and_is_not_forgotten(url, shop, ends):
    """However long their transaction is open. Then its vector comes, of whatever text it has."""
    adopted(url)
    with opened(url) as docs, psycopg.connect(url) as slow:
        migration = docs.migrate(NEW)
        migration.start()
        slow.execute("UPDATE shop.docs SET body = 'being written' WHERE id = 5")
        stop = threading.Event()
        follower = threading.Thread(target=docs.follow, args=(stop,))
        follower.start()
        target = docs._backend.generations.all()[-1].id
        try:
            _wait(lambda: docs._backend.generations.count_stale(target) == 1, seconds=20)
            getattr(slow, ends)()
            _wait(lambda: migration.phase is Phase.PROVING, seconds=90)
        finally:
            stop.set()
            follower.join()
        assert docs._backend.generations.count_stale(target) == 0


@pytest.fixture
def claimed(url, shop):
    """Return a collection that moves, its new generation, and the claim of every row by a worker named ``me``."""
    adopted(url)
    with opened(url) as docs:
        docs.migrate(NEW).start()
        backend = docs._backend
        target = backend.generations.all()[-1].id
        yield backend, target, backend.ledger.jobs.claim(target, "me", 2 * ROWS, lease_seconds=60)


def _rows(backend, claims):
    keys, hashes = [claim.document_key for claim in claims], [claim.content_hash for claim in claims]
    texts = backend.documents.texts(keys)
    return Rows(np.array(keys), hashes, NEW.encode([texts[key][1] for key in keys]))


def test_a_claimed_row_that_somebody_is_writing_keeps_neither_worker_nor_heartbeat_waiting(url, claimed):
    backend, target, claims = claimed
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE shop.docs SET body = 'being written' WHERE id = 5")
        began = time.monotonic()
        landed = land(backend, target, _rows(backend, claims), owner="me")
        backend.ledger.jobs.extend("me", lease_seconds=60)
        assert (landed, time.monotonic() - began < 5) == (ROWS - 1, True)
    assert backend.ledger.jobs.counts(target).outstanding == 1


def test_a_long_transaction_meets_rows_that_are_landed_meanwhile_and_is_not_ended(url, claimed):
    backend, target, claims = claimed
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE shop.docs SET body = 'being written' WHERE id = 5")
        with ThreadPoolExecutor() as pool:
            landing = pool.submit(land, backend, target, _rows(backend, claims), owner="me")
            time.sleep(1.5)  # the server looks for circles when somebody has waited for a second
            slow.execute("UPDATE shop.docs SET body = 'written next' WHERE id <> 5")
            landing.result()


def test_a_hit_of_a_row_that_is_being_deleted_is_not_waited_for_to_be_counted(url, shop):
    adopted(url)
    with opened(url) as docs, psycopg.connect(url) as slow:
        slow.execute("DELETE FROM shop.docs WHERE id = 5")
        docs._backend.documents.record_access(list(docs._backend.documents.keys(["5", "6"]).values()))
        assert docs._backend.documents.hit_counts() == [(1, 1)]


def test_graphs_are_built_as_the_users_own_is(url, shop, monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 10)
    shop.execute(
        "CREATE INDEX ON shop.docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 40)"
    )
    adopted(url)
    with opened(url) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        assert migration.verify().details["index_built"] == ROWS
        found = shop.execute("SELECT reloptions FROM pg_class WHERE relname = 'vectors_2_graph'").fetchone()
        assert found == (["m=8", "ef_construction=40"],)
        assert docs.check().index.graphs == 1, "searches of the old generation use the user's own"
        migration.cutover()
        assert (docs.check().index.graphs, docs.check().problems) == (1, ())


def test_rows_whose_text_is_gone_are_found_to_the_end(url, shop):
    """Flagged in every hit, by a vector that the map carries over, which a release leaves in the column."""
    shop.execute("UPDATE shop.docs SET title = NULL, body = NULL WHERE id = 3")
    adopted(url)
    with opened(url) as docs:

        def gone():
            return [hit.id for hit in docs.search("text", k=ROWS) if hit.text_gone]

        assert gone() == ["3"]
        migration = docs.migrate(NEW, retention_seconds=0)
        migration.start()
        shop.execute("UPDATE shop.docs SET title = NULL, body = NULL WHERE id = 4")
        assert sorted(gone()) == ["3", "4"]
        migration.run()
        migration.verify()
        with pytest.raises(GateRefusedError, match="2 documents could not be embedded"):
            migration.cutover()
        migration.cutover(accept_failed=True)
        assert sorted(gone()) == ["3", "4"]
        marks = shop.execute("SELECT id FROM revector_docs.serving WHERE content_hash = 'mapped' ORDER BY id")
        assert marks.fetchall() == [(3,), (4,)], "readers in SQL see it as well"
        migration.retire(confirm=True)
        assert sorted(gone()) == ["3", "4"]
    options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False}
    PostgresBackend.release(f"{url}#docs", tell=lambda _: None, **options)
    kept = "SELECT count(*) FROM shop.docs WHERE vector_dims(embedding) = %s"
    assert shop.execute(kept, [NEW.space.dimension]).fetchone() == (ROWS,)


def test_a_graph_that_differs_from_the_one_that_serves_is_refused(url, shop, monkeypatch):
    """The user builds theirs anew, by other parameters, after ours was built."""
    monkeypatch.setattr(building, "GRAPH_FROM", 10)
    shop.execute("CREATE INDEX mine ON shop.docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
    adopted(url)
    with opened(url) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        details = migration.verify().details
        assert details["index"] == details["index_of_source"] == "hnsw (m 8, ef_construction 64)"
        assert details["counted_by"] == "price (5 values)"
        shop.execute("DROP INDEX shop.mine")
        shop.execute("CREATE INDEX mine ON shop.docs USING hnsw (embedding vector_cosine_ops) WITH (m = 12)")
        with pytest.raises(GateRefusedError, match=r"is hnsw \(m 8.*, and hnsw \(m 12.*remove it"):
            migration.cutover()
        shop.execute("DROP INDEX revector_docs.vectors_2_graph")
        assert migration.verify().details["index"] == "hnsw (m 12, ef_construction 64)"
        migration.cutover()


def test_lists_of_the_users_are_answered_by_a_graph(url, shop, monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 10)
    shop.execute("CREATE INDEX ON shop.docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 2)")
    adopted(url)
    with opened(url) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        found = migration.verify()
        assert found.passed
        assert found.details["index"] == "hnsw (m 16, ef_construction 64), which stands for ivfflat"
        assert found.details["index_of_source"] == "ivfflat (lists 2)"


def test_a_transaction_that_holds_the_table_keeps_others_waiting_for_half_a_second_at_most(url, shop):
    """An adoption asks for its lock for a short while, again and again."""
    longest = 0.0
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE shop.docs SET price = 1 WHERE id = 0")
        adoption = threading.Thread(target=adopted, args=(url,))
        adoption.start()
        for _ in range(30):
            began = time.monotonic()
            shop.execute("UPDATE shop.docs SET price = price + 1 WHERE id = 1")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.1)
        slow.rollback()
    adoption.join()
    assert 0.1 < longest < 1.0, "either nothing waited, or for long"
    with opened(url) as docs:
        assert len(docs) == ROWS


def test_a_table_that_is_gone_is_named(url, shop):
    adopted(url)
    with opened(url) as docs:
        shop.execute("DROP TABLE shop.docs CASCADE")
        with pytest.raises(StoreError, match=r"shop\.docs was dropped"):
            docs.search("text", k=1)


def test_whoever_deletes_rows_waits_for_a_landing_and_not_it_for_them(url, shop):
    """A landing locks rows, then ends their jobs: were that the other way round here, one of the two would fail."""
    adopted(url)
    with opened(url) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        backend, generation = docs._backend, migration.record.target_generation
        (row,) = backend.documents.by_id(["3"])
        with backend.transaction():
            backend.generations.put(generation, [row.key], [row.content_hash], NEW.encode([row.text]))
            deletion = threading.Thread(target=shop.execute, args=("DELETE FROM shop.docs WHERE id = 3",))
            deletion.start()
            _wait(lambda: _waiting(url))
            assert backend.ledger.jobs.complete(generation, {row.key: row.content_hash}) == 1
        deletion.join()
        assert (len(docs), backend.generations.count(generation)) == (ROWS - 1, 0)


def _waiting(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()


def test_plain_sql_knows_what_serves_as_soon_as_a_table_is_adopted(url, shop):
    adopted(url)
    assert shop.execute("SELECT dimension FROM revector.serving('docs')").fetchone() == (OLD.space.dimension,)
