"""An application that knows nothing of revector: its table, who writes to it, and who reads what serves.

The table is filled as `revector` sends vectors, in PostgreSQL's binary format: it is not what is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from free_encoder import FreeEncoder
from live_load import Request, at_rate
from pg_server import connected
from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres import PostgresBackend
from revector.backends.postgres.binary import KeyArray, VectorArray, matrix_of, vector_oid
from revector.errors import GoneError

TABLE = TableToAdopt("docs", "id", ("body",), "embedding", name="docs")
DIMENSIONS = 256, 384
"""The old model's, and the new one's."""
WRITES_A_SECOND, READS_A_SECOND = 50.0, 20.0
K = 10
_ROWS_SENT, _WARM_UP, _LATE = 10_000, 20, 1_000_000_000
TABLE_STATEMENT = "CREATE TABLE docs (id bigint PRIMARY KEY, body text NOT NULL, price integer, embedding vector({}))"
_FILL = "INSERT INTO docs SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::vector[])"
_INDEX = "SET maintenance_work_mem = '1GB'; CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)"
_INSERT = "INSERT INTO docs VALUES (%s, %s, %s, %s)"
_UPDATE = "UPDATE docs SET body = %s WHERE id = %s"
_REPRICE = "UPDATE docs SET price = price + 1 WHERE id = %s"
_RENAME = "UPDATE docs SET id = %s WHERE id = %s"
_DELETE = "DELETE FROM docs WHERE id = %s"
_SERVING = "SELECT generation, dimension FROM revector.serving('docs')"
_NEAREST = "SELECT id FROM revector.nearest('docs', %s::vector, %s, %s)"
_ALIKE = """
SELECT id FROM revector_docs.serving
ORDER BY embedding <=> (SELECT embedding FROM revector_docs.serving WHERE id = %s) LIMIT %s
"""
_CONTENT = "SELECT id, body FROM docs WHERE id > %s ORDER BY id LIMIT %s"
_SERVED = "SELECT id, vector_send(embedding) FROM revector_docs.serving WHERE id = ANY(%s) ORDER BY id"
_GIVEN_BACK = "SELECT id, body, vector_send(embedding) FROM docs ORDER BY id"
_LACKING = "SELECT count(*), count(*) FILTER (WHERE id >= %s) FROM docs WHERE embedding IS NULL"


def models() -> tuple[FreeEncoder, FreeEncoder]:
    """Return the old and the new model."""
    return FreeEncoder(1, DIMENSIONS[0]), FreeEncoder(2, DIMENSIONS[1])


def body(number: int) -> str:
    """Return a short text, another one for each number."""
    return f"document {number} about subject {number % 9973} and theme {number % 97}"


def make_table(url: str, n: int, bodies: Callable[[int], str] = body, *, index: bool = True) -> None:
    """Make a table of `n` rows with the vectors of the old model, and an index over them."""
    encoder = models()[0]
    with connected(url) as connection:
        connection.execute(TABLE_STATEMENT.format(encoder.space.dimension))
        oid = vector_oid(connection)
        for begin in range(0, n, _ROWS_SENT):
            numbers = range(begin, min(n, begin + _ROWS_SENT))
            keys, texts = KeyArray(numbers), [bodies(number) for number in numbers]
            connection.execute(_FILL, (keys, texts, keys, VectorArray(encoder.encode(texts), oid)))
        if index:
            connection.execute(_INDEX)
        connection.execute("VACUUM ANALYZE docs")


def adopt(url: str) -> None:
    """Make a collection of the table."""
    old = models()[0]
    PostgresBackend.adopt(url, TABLE, [old], dry_run=False, accept_unidentified=True, tell=lambda _: None)


@dataclass
class Written:
    """What the writer did: its requests, and by id the text that was committed (``None``: there is no such row)."""

    requests: list[Request] = field(default_factory=list)
    bodies: dict[int, str | None] = field(default_factory=dict)


class Writer:
    """Writes as applications do, one statement a transaction.

    Of ten writes four are new rows, half of them with a vector of the old model; three are other texts, and one each
    another price, another key, and a deletion.
    """

    def __init__(self, connection: psycopg.Connection, n: int) -> None:
        self._connection, self._n, self._ids = connection, n, list(range(n))
        self._chance, self._old = random.Random(0), models()[0]
        self.bodies: dict[int, str | None] = {}

    def write(self, turn: int) -> None:
        """Send one statement, and note what it has changed once it is committed."""
        kind, fresh = turn % 10, self._n + turn
        if kind < 4:
            self._insert(fresh, f"row of turn {turn}", with_vector=bool(kind % 2))
            return
        place = self._chance.randrange(len(self._ids))
        id_ = self._ids[place]
        if kind < 7:
            text = f"{self._body(id_)[:60]}, as it was changed in turn {turn}"
            self._say(_UPDATE, text, id_)
            self.bodies[id_] = text
        elif kind == 7:
            self._say(_REPRICE, id_)
        else:
            self._say(*((_RENAME, fresh, id_) if kind == 8 else (_DELETE, id_)))
            if kind == 8:
                self.bodies[fresh] = self._body(id_)
                self._ids.append(fresh)
            self.bodies[id_] = None
            self._ids[place] = self._ids[-1]
            self._ids.pop()

    def _insert(self, id_: int, text: str, *, with_vector: bool) -> None:
        self._say(_INSERT, id_, text, 0, str(self._old.encode([text])[0].tolist()) if with_vector else None)
        self.bodies[id_] = text
        self._ids.append(id_)

    def _body(self, id_: int) -> str:
        return self.bodies.get(id_) or body(id_)

    def _say(self, statement: str, *parameters: Any) -> None:
        done = self._connection.execute(statement, parameters).rowcount
        assert done == 1, f"{statement} changed {done} rows"


def write(ready: Callable[[], None], stop: Any, url: str, n: int) -> Written:
    """Write at a steady rate."""
    with connected(url) as connection:
        writer = Writer(connection, n)
        ready()
        return Written(at_rate(WRITES_A_SECOND, stop, writer.write), writer.bodies)


def read(ready: Callable[[], None], stop: Any, url: str, n: int) -> list[Request]:
    """Read what serves by prepared statements: by a query that says its generation, and by the view alone."""
    by_dimension = {encoder.space.dimension: encoder for encoder in models()}
    chance = random.Random(1)
    with connected(url) as connection:
        connection.prepare_threshold = 0

        def ask(turn: int) -> None:
            number = chance.randrange(n)
            if turn % 2:
                found = connection.execute(_ALIKE, (number, K)).fetchall()
                assert len(found) in (0, K), f"{len(found)} rows in the view, expected {K}, or none without a query"
                return
            generation, dimension = connection.execute(_SERVING).fetchone() or (0, 0)
            query = str(by_dimension[dimension].encode([body(number)])[0].tolist())
            found = connection.execute(_NEAREST, (query, K, generation)).fetchall()
            assert len(found) == K, f"{len(found)} of {K} nearest rows"

        for turn in range(_WARM_UP):
            ask(turn)
        ready()
        return at_rate(READS_A_SECOND, stop, ask)


def insert(ready: Callable[[], None], stop: Any, url: str) -> list[Request]:
    """Insert rows at a steady rate, and no vectors: the model of those in the column is about to be another one."""
    with connected(url) as connection:

        def one(turn: int) -> None:
            connection.execute(_INSERT, (_LATE + turn, f"late row {turn}", 0, None))

        ready()
        return at_rate(WRITES_A_SECOND, stop, one)


def follow(ready: Callable[[], None], stop: Any, url: str) -> None:
    """Embed what the application writes: ``revector run --follow``, until the collection is released."""
    with Collection.open(f"{url}#docs", encoders=models()) as documents:
        ready()
        with suppress(GoneError):
            documents.follow(stop)


def release(url: str) -> None:
    """Give the table back, with the vectors that serve."""
    said = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False}
    PostgresBackend.release(f"{url}#docs", tell=lambda _: None, **said)


def require_given_back(url: str) -> int:
    """Assert that the column has the new model's vectors, but of rows written since; return how many these are."""
    encoder = models()[1]
    with connected(url) as connection:
        said = connection.cursor(binary=True).execute(_GIVEN_BACK)
        while rows := said.fetchmany(_ROWS_SENT):
            have = [(body, sent) for _, body, sent in rows if sent is not None]
            stored = matrix_of([sent for _, sent in have], encoder.space.dimension)
            np.testing.assert_allclose(stored, encoder.encode([body for body, _ in have]), atol=1e-6)
        lacking, late = connection.execute(_LACKING, [_LATE]).fetchone() or (0, 0)
        assert lacking == late, f"{lacking - late} rows from before the release have no vector"
    return int(late)


def require_right(url: str, n: int, written: Written) -> int:
    """Assert that no write is lost and that every vector that serves is that of its row's text; return the rows."""
    encoder, after, rows = models()[1], -1, 0
    expected = {number: body(number) for number in range(n)} | written.bodies
    with connected(url) as connection:
        while content := connection.execute(_CONTENT, (after, _ROWS_SENT)).fetchall():
            after, rows = content[-1][0], rows + len(content)
            wrong = [id_ for id_, text in content if expected.get(id_) != text]
            assert not wrong, f"rows hold what nobody wrote: {wrong[:5]}"
            ids = [id_ for id_, _ in content]
            served = connection.cursor(binary=True).execute(_SERVED, (KeyArray(ids),)).fetchall()
            assert [id_ for id_, _ in served] == ids, f"{len(served)} vectors of {len(ids)} rows serve"
            stored = matrix_of([sent for _, sent in served], encoder.space.dimension)
            np.testing.assert_allclose(stored, encoder.encode([text for _, text in content]), atol=1e-6)
    kept = sum(text is not None for text in expected.values())
    assert rows == kept, f"{rows} rows, {kept} were written and not deleted"
    return rows
