"""A table is given back while others write and read it: nothing fails, nothing is lost, models are never mixed."""

from __future__ import annotations

import random
import threading
import time

import psycopg
import pytest

from released import releasable

ROWS = 3_000
_SHARE = 10_000
"""Ids that one writer has for itself."""
_IS_CAPTURED = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'docs'::regclass AND NOT tgisinternal)"


class Beside(threading.Thread):
    """Does something again and again on a connection of its own, until it returns ``True`` or is stopped."""

    def __init__(self, table, act, pause=0.0):
        super().__init__()
        self._table, self._act, self._pause, self._told = table, act, pause, threading.Event()
        self.error, self.longest, self.times = None, 0.0, 0

    def run(self):
        try:
            with self._table.connect() as connection:
                while not self._told.wait(self._pause):
                    began = time.perf_counter()
                    is_over = self._act(connection)
                    self.longest = max(self.longest, time.perf_counter() - began)
                    self.times += 1
                    if is_over:
                        break
        except BaseException as error:
            self.error = error

    def stop(self):
        self._told.set()
        self.join()


class Writer:
    """Writes in plain SQL among ids of its own, and remembers what must be there; it ends when nobody captures it."""

    def __init__(self, number, texts):
        self._random, self._next = random.Random(number), number * _SHARE + _SHARE // 2
        self.texts, self.last = dict(texts), set()

    def __call__(self, connection):
        with connection.transaction():
            ids = self._random.sample(sorted(self.texts), 3)
            write = self._random.choice([self._insert, self._update, self._delete, self._move])
            touched = write(connection, ids)
            (is_captured,) = connection.execute(_IS_CAPTURED).fetchone()
        if not is_captured:
            self.last = set(touched)
        return not is_captured

    def _fresh(self):
        self._next += 1
        return self._next

    def _insert(self, connection, _):
        new = [self._fresh() for _ in range(2)]
        for id_ in new:
            self.texts[id_] = f"new {id_}"
            connection.execute("INSERT INTO docs (id, body) VALUES (%s, %s)", [id_, self.texts[id_]])
        return new

    def _update(self, connection, ids):
        for id_ in ids:
            self.texts[id_] = f"changed {self._random.random()}"
            connection.execute("UPDATE docs SET body = %s WHERE id = %s", [self.texts[id_], id_])
        return ids

    def _delete(self, connection, ids):
        connection.execute("DELETE FROM docs WHERE id = ANY(%s)", [ids[:1]])
        del self.texts[ids[0]]
        return ids

    def _move(self, connection, ids):
        new = self._fresh()
        connection.execute("UPDATE docs SET id = %s WHERE id = %s", [new, ids[0]])
        self.texts[new] = self.texts.pop(ids[0])
        return [new]


def read(seen):
    """Return a reader that notes of which dimensions the vectors are, and reads one of them by a prepared statement."""

    def act(connection):
        found = connection.execute("SELECT DISTINCT vector_dims(embedding) FROM docs WHERE embedding IS NOT NULL")
        seen.append([dimension for (dimension,) in found])
        connection.execute("SELECT embedding::vector FROM docs WHERE id = %s", [1], prepare=True)

    return act


def embed(table):
    """Return a worker that follows; once the collection is gone, it ends."""

    def act(connection):
        try:
            table.land_all(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return True
        return False

    return act


@pytest.fixture
def table(server):
    with releasable(server) as table:
        table.make().run("CREATE INDEX docs_graph ON docs USING hnsw (embedding vector_l2_ops)")
        for number in (0, 1):
            table.run(
                "INSERT INTO docs (id, body, embedding) SELECT n, 'text ' || n, "
                "format('[%s, %s, %s]', random(), random(), random())::vector FROM generate_series("
                f"{number * _SHARE} + 1, {number * _SHARE} + {ROWS // 2}) AS n"
            )
        yield table.begin()


def test_nothing_fails_is_lost_or_mixed(table):
    texts = [dict(table.run(f"SELECT id, body FROM docs WHERE id / {_SHARE} = {n}").fetchall()) for n in (0, 1)]
    writers, seen = [Writer(number, texts[number]) for number in (0, 1)], []
    writing = [Beside(table, writer, 0.005) for writer in writers]
    others = [Beside(table, read(seen), 0.002), Beside(table, embed(table), 0.02)]
    for each in (*writing, *others):
        each.start()
    released = table.release()
    for each in (*writing, *others):
        each.stop()
    print(
        f"{sum(each.times for each in writing)} writes, {others[0].times} reads; longest write "
        f"{max(each.longest for each in writing):.3f} s, read {others[0].longest:.3f} s; "
        f"pause {released.pause_seconds:.3f} s"
    )
    assert [each.error for each in (*writing, *others)] == [None] * 4
    assert dict(table.run("SELECT id, body FROM docs").fetchall()) == {**writers[0].texts, **writers[1].texts}
    assert {row[0] for row in table.wrong()} <= writers[0].last | writers[1].last
    assert [dims for place, dims in enumerate(seen) if not place or dims != seen[place - 1]] == [[3], [2]]
    assert released.pause_seconds < 1.5
    assert table.traces() == []
