"""Autovacuum holds a lock on a table for as long as it takes; whoever needs the table without writers ends it."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.opening import open_backend
from revector.backends.postgres import PostgresBackend
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.adoption.locks import insist
from revector.backends.postgres.database.places import place_of
from user_tables import new_database
from worlds import OLD

VERY_SLOW = """
ALTER TABLE {} SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
"""
RUNS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM %{}%' AND datname = current_database()"
SECONDS = 60.0


@pytest.fixture
def url(server):
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE docs (id bigint PRIMARY KEY, body text, embedding vector(8))")
        place = place_of(f"{server}#docs")
        url = replace(place, connection={**place.connection, "dbname": connection.info.dbname}).url
        table = TableToAdopt("docs", "id", ("body",), "embedding", name="docs")
        adopt(url.partition("#")[0], table, [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
        yield url


@pytest.fixture
def vacuum(url, request):
    """Have a table vacuumed, for minutes, the user's by default; return what tells whether it still is."""
    table = getattr(request, "param", "public.docs")
    runs = RUNS.format(table)
    with psycopg.connect(url.partition("#")[0], autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        try:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(VERY_SLOW.format(table))
            connection.execute("INSERT INTO docs SELECT i, repeat('text ', 100) FROM generate_series(1, 5000) AS i")
            connection.execute("DELETE FROM docs WHERE id % 2 = 0")
            end = time.monotonic() + SECONDS
            while not connection.execute(runs).fetchall():
                assert time.monotonic() < end, "there is no autovacuum"
                time.sleep(0.1)
            yield lambda: bool(connection.execute(runs).fetchall())
        finally:
            connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
            connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def backend(url):
    with closing(open_backend(url)) as backend:
        yield backend


def test_a_step_that_nobody_may_write_beside_does_not_wait_for_its_end(backend, vacuum):
    assert vacuum()
    began = time.monotonic()
    with backend.exclusive():
        assert not vacuum()
    assert time.monotonic() < began + 10


def test_a_change_of_the_table_does_not_wait_for_its_end(url, vacuum):
    table = sql.Identifier("docs")
    with psycopg.connect(url.partition("#")[0], autocommit=True) as connection:
        assert vacuum()
        began = time.monotonic()
        insist(connection, table, 30, lambda attempt: attempt.lock("ACCESS EXCLUSIVE", [table]))
    assert time.monotonic() < began + 10


@pytest.mark.parametrize("vacuum", ["revector_docs.rows"], indirect=True)
def test_a_release_does_not_wait_for_its_end_in_a_table_of_the_collection(url, vacuum):
    assert vacuum()
    said = {"allow_missing": True, "in_place": False, "fire_triggers": False, "dry_run": False}
    began = time.monotonic()
    PostgresBackend.release(url, tell=lambda _: None, **said)
    assert time.monotonic() < began + 30
