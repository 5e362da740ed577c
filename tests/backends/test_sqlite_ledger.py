from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from revector.ledger.jobs import JobRequest


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
