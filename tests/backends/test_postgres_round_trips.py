"""How often a search and a write ask the server, and how much of the machine a build takes: what live readers feel."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from psycopg import sql

from revector import Collection
from revector.backends.opening import open_backend
from revector.backends.postgres import building
from revector.backends.postgres.database import driver_of
from worlds import NEW, OLD

psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed")


@pytest.fixture(scope="module")
def kind():
    return "postgres"


@pytest.fixture
def place(places):
    return places / "docs"


@pytest.fixture
def asked(monkeypatch):
    """The statements that this thread has asked the server since the list was cleared."""
    asked, execute, here = [], psycopg.Cursor.execute, threading.get_ident()

    def noted(cursor, query, params=None, **options):
        if threading.get_ident() == here:
            asked.append(query)
        return execute(cursor, query, params, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return asked


@pytest.fixture
def docs(place):
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        docs.upsert([f"d{number}" for number in range(500)], [f"text number {number}" for number in range(500)])
        yield docs


def times(asked, act):
    """Return how often an act asks the server if it has nothing to look at anew."""
    counts = []
    for _ in range(5):
        asked.clear()
        act()
        counts.append(len(asked))
    return min(counts)


def test_a_search_asks_a_few_times(docs, asked):
    assert times(asked, lambda: docs.search("text number 3", 5)) <= 7


def test_a_search_beside_a_migration_asks_a_few_times(docs, asked):
    docs.migrate(NEW).start()
    docs.migration.run()
    assert times(asked, lambda: docs.search("text number 3", 5)) <= 13


def test_a_write_asks_a_few_times(docs, asked):
    turns = iter(range(10))
    assert times(asked, lambda: docs.upsert(["d3"], [f"another text {next(turns)}"])) <= 19


def test_what_begins_a_transaction_says_what_this_moment_is(docs, place):
    with closing(open_backend(place)) as other:
        before = (other.generations.alias("live"), other.ledger.last_event(), other.generations.dimension(1))
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
        after = (other.generations.alias("live"), other.ledger.last_event(), other.generations.dimension(2))
    assert [before[0].generation, after[0].generation] == [1, 2]
    assert before[1] != after[1]
    assert (before[2], after[2]) == (8, 12)


def test_a_transaction_sees_what_it_has_changed_itself(place):
    with closing(open_backend(place)) as backend, backend.transaction():
        generation = backend.generations.create(OLD.space, None)
        backend.generations.create_alias("live", generation.id)
        assert backend.generations.alias("live").generation == generation.id
        other = backend.generations.create(NEW.space, None)
        backend.generations.swap_alias("live", other.id, 1)
        assert backend.generations.alias("live").generation == other.id
        backend.generations.drop(generation.id)
        with pytest.raises(Exception, match=f"generation {generation.id}"):
            backend.generations.dimension(generation.id)


@pytest.mark.parametrize(
    "look",
    [
        lambda backend: backend.documents.count(),
        lambda backend: backend.documents.sample(5, seed=0),
        lambda backend: backend.generations.count(1),
        lambda backend: backend.generations.count_stale(1),
        lambda backend: backend.generations.tally(1, 1, []),
    ],
)
def test_what_looks_through_all_documents_leaves_the_other_cores_to_readers(docs, look):
    backend = docs._backend
    with backend.snapshot() as connection:
        driver = driver_of(connection)
        look(backend)
        assert driver.execute("SHOW max_parallel_workers_per_gather").fetchone() == ("0",)
    with backend.snapshot() as connection:
        assert driver_of(connection).execute("SHOW max_parallel_workers_per_gather").fetchone() == ("2",)


@pytest.mark.parametrize(("cores", "beside"), [(1, 0), (2, 0), (4, 1), (64, 2)])
def test_a_build_takes_at_most_half_of_the_cores_of_this_machine(docs, monkeypatch, cores, beside):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    nothing = sql.SQL("SELECT 1")
    with docs._backend.database.outside() as driver:
        driver.execute("SET max_parallel_maintenance_workers = 2")
        building.create_concurrently(driver, nothing, nothing, 0)
        assert driver.execute("SHOW max_parallel_maintenance_workers").fetchone() == (str(beside),)


def test_a_build_is_given_what_it_takes_up_to_a_share_of_this_machine(docs, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 22}.__getitem__)  # 16 GiB
    nothing, given = sql.SQL("SELECT 1"), []
    for needed_bytes in (0, 300 << 20, 1 << 40):
        with docs._backend.database.outside() as driver:
            building.create_concurrently(driver, nothing, nothing, needed_bytes)
            given += driver.execute("SHOW maintenance_work_mem").fetchone()
    assert given == ["64MB", "300MB", "2GB"]
