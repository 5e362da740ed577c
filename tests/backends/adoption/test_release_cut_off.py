"""A release whose process is killed, at any statement, is done again or called off; until then nothing has changed."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest

from released import IN_COLUMN, SERVING, releasable
from revector.backends.postgres.adoption.release import abandon, give_back

PARTITIONED = "id bigint PRIMARY KEY, body text, embedding vector(3) NOT NULL) PARTITION BY RANGE (id"
PARTS = """
CREATE TABLE part_0 PARTITION OF docs FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE part_1 PARTITION OF docs DEFAULT;
CREATE INDEX graph ON docs USING hnsw (embedding vector_l2_ops) WITH (m = 8);
CREATE INDEX ON docs (id) WHERE embedding IS NOT NULL
"""
_MOST_STATEMENTS = 400


class Mortal(psycopg.Connection):
    """Kills its process before a statement, or after it."""

    lives, dies_after = 0, False

    def execute(self, *arguments, **options):
        Mortal.lives -= 1
        if not (Mortal.lives or Mortal.dies_after):
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(*arguments, **options)
        if not Mortal.lives:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


def killed(table, work, lives, *, dies_after):
    """Do something in a child that is killed at a statement; tell whether it was, and did not end before."""
    pid = os.fork()
    if pid == 0:
        try:
            Mortal.lives, Mortal.dies_after = lives, dies_after
            with Mortal.connect(table.url, autocommit=True) as connection:
                work(connection)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.fixture
def table(server):
    """Return a partitioned table with indexes, whose vectors are in a table of ours."""
    with releasable(server, PARTITIONED, partitions=("part_0", "part_1")) as table:
        table.make().run(PARTS)
        yield table.insert()


def rows(table):
    return table.run("SELECT id, body, embedding::text FROM docs ORDER BY id").fetchall()


@pytest.mark.parametrize("dies_after", [False, True])
def test_a_release_goes_on_where_it_was_killed(table, dies_after):
    """Each attempt comes one statement further than the one before, and finds what that has left."""
    before = rows(table.begin())

    def work(connection):
        give_back(connection, table.captured, SERVING)

    for lives in range(1, _MOST_STATEMENTS):
        if not killed(table, work, lives, dies_after=dies_after) or not table.traces():
            break
        assert rows(table) == before
    table.assert_given_back()


def test_a_release_that_was_killed_can_be_called_off(table):
    before, followed = rows(table.begin()), table.state()

    def work(connection):
        give_back(connection, table.captured, SERVING)

    for lives in range(1, _MOST_STATEMENTS, 3):
        if not killed(table, work, lives, dies_after=bool(lives % 2)) or not table.traces():
            break
        with table.connect() as connection:
            abandon(connection, table.captured)
        assert (rows(table), table.state()) == (before, followed)
    table.assert_given_back()


def test_vectors_in_the_column_stay_whenever_it_is_killed(table):
    before = rows(table.begin(IN_COLUMN))

    def work(connection):
        give_back(connection, table.captured, IN_COLUMN)

    for lives in range(1, _MOST_STATEMENTS):
        if not killed(table, work, lives, dies_after=bool(lives % 2)) or not table.traces():
            break
    assert (rows(table), table.state(), table.traces()) == (before, table.before, [])
