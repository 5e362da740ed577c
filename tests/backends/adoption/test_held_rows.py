"""Beside a transaction of the application's that does not end, verbs end and say what to do."""

from __future__ import annotations

import time
from dataclasses import replace

import psycopg
import pytest

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from revector.errors import StoreBusyError
from revector.migration import patience
from revector.migration.asking import reconcile
from user_tables import new_database
from worlds import NEW, OLD


@pytest.fixture
def docs(server, monkeypatch):
    """Return a collection that is moved, whose verbs are patient for a second; `slow` is in a transaction there."""
    monkeypatch.setattr(patience, "OUTAGE_SECONDS", 1.0)
    with new_database(server) as shop:
        shop.execute("CREATE EXTENSION vector; CREATE TABLE docs (id int PRIMARY KEY, body text, v vector(8))")
        shop.execute("INSERT INTO docs SELECT i, 'text ' || i FROM generate_series(1, 9) AS i")
        place = place_of(f"{server}#docs")
        url = replace(place, connection={**place.connection, "dbname": shop.info.dbname}).url
        table = TableToAdopt("docs", "id", ("body",), "v")
        adopt(url, table, [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
        with Collection.open(url, encoders=[OLD, NEW]) as docs:
            docs.migrate(NEW).start()
            yield docs


@pytest.fixture
def slow(docs):
    connection = psycopg.connect(**docs._backend.database.place.connection)
    yield connection
    connection.close()


def held(slow):
    slow.execute("UPDATE docs SET body = 'held' WHERE id = 5")


def ends_soon(verb):
    began = time.monotonic()
    with pytest.raises(StoreBusyError, match=r"end those|end their transaction"):
        verb()
    return time.monotonic() - began < 15


def test_start_does_not_hang_where_jobs_are_held(docs, slow):
    held(slow)
    docs._backend.ledger.set_asked_through(docs.migration.record.id, 0)
    assert ends_soon(docs.migration.start)


def test_reconciling_does_not_hang_where_jobs_are_held(docs, slow):
    held(slow)
    assert ends_soon(lambda: reconcile(docs._backend, docs.migration.record.target_generation))


def test_a_run_does_not_hang_where_jobs_are_held(docs, slow):
    held(slow)
    assert ends_soon(docs.migration.run)


def test_a_run_does_not_hang_where_rows_are_held(docs, slow):
    """Their vectors are embedded, and cannot be stored."""
    slow.execute("SELECT * FROM docs WHERE id = 5 FOR UPDATE")
    assert ends_soon(docs.migration.run)


@pytest.mark.parametrize("verb", ["verify", "cutover", "rollback"])
def test_no_verb_hangs_where_jobs_are_held(docs, slow, verb):
    docs.migration.run()
    docs.migration.verify()
    if verb == "rollback":
        docs.migration.cutover()
    held(slow)
    slow.commit()
    held_again = "UPDATE docs SET body = 'held again' WHERE id = 5"
    slow.execute(held_again)
    assert ends_soon(getattr(docs.migration, verb))


def test_what_was_held_is_embedded_by_the_next_run(docs, slow):
    held(slow)
    assert ends_soon(docs.migration.run)
    slow.commit()
    docs.migration.run()
    assert docs._backend.generations.count_stale(docs.migration.record.target_generation) == 0
