from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from ledger_statements import VALUES, statements
from revector.backends.sqlite.queue import DIALECT
from revector.ledger.jobs import JobRequest

G = 1
STATEMENTS = {name: value for name, value in statements(DIALECT).items() if name != "forget_some"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE migrations SET phase = 'unheard of'",
        "UPDATE migrations SET phase = 'filling'",
        "UPDATE migrations SET target_generation = source_generation",
        "UPDATE migrations SET phase = 'serving', target_generation = 2",
        "INSERT INTO jobs (generation, document_key, content_hash, priority, state) VALUES (1, 1, '', 1, 'leased')",
        "INSERT INTO jobs (generation, document_key, content_hash, priority, state) VALUES (1, 1, '', 1, 'failed')",
        "INSERT INTO events (migration_id, at, name, to_phase, details) VALUES (99, 0, '', 'planned', '{}')",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(world, statement):
    world.plan()
    with closing(sqlite3.connect(world.backend.database.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)


def test_what_an_earlier_release_left_as_done_is_removed_by_and_by(world):
    world.backend.ledger.jobs.enqueue(1, [JobRequest(key, "hash", 1) for key in range(3000)])
    with world.backend.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'done'")
    while world.backend.reclaim():
        pass
    with world.backend.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == 0


def test_what_an_earlier_release_left_as_done_does_not_count(world):
    world.backend.ledger.jobs.enqueue(G, [JobRequest(key, "hash", 1) for key in (1, 2)])
    with world.backend.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'done'")
    assert world.backend.ledger.jobs.counts(G).total == 0
    assert world.backend.ledger.jobs.seconds_until_due(G) is None


def _plan(connection, run):
    """Return the steps by which SQLite takes what is executed."""
    said = []
    sa.event.listen(connection, "before_cursor_execute", lambda *call: said.append(call[2:4]))
    run()
    explain = connection.connection.driver_connection.execute
    return [row[3] for statement, values in said for row in explain(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_no_statement_reads_the_whole_queue(world, statement):
    with world.backend.transaction() as connection:
        plan = _plan(connection, lambda: connection.execute(statement, VALUES))
    searched = [step for step in plan if " jobs " in f"{step} "]
    indexed = ("jobs_waiting (generation=? AND", "jobs_ended (generation=? AND", "jobs_by_lease (lease_until")
    narrow = (*indexed, "(generation=? AND document_key=?)", "(generation=? AND document_key>?)")
    assert searched
    assert all(step.startswith("SEARCH") and any(part in step for part in narrow) for step in searched)


def test_no_verb_reads_the_whole_queue(world):
    jobs = world.backend.ledger.jobs

    def use_them_all():
        jobs.claim(G, "me:1:1:1", 1, 1.0)
        jobs.extend("me:1:1:1", 1.0)
        jobs.release("me:1:1:1")
        for of_generation in (jobs.failures, jobs.retry_failed, jobs.counts):
            of_generation(G)
        jobs.release_all()
        jobs.release_dead_owners()

    with world.backend.transaction() as connection:
        steps = _plan(connection, use_them_all)
    assert any("jobs_by_lease" in step for step in steps)
    assert not [step for step in steps if step.startswith("SCAN jobs")]
