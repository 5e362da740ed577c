"""Vectors of a collection in PostgreSQL: a table a generation, thousands of rows at a time in the binary format."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.engine import Connection

from revector.backends.arguments import checked_ids, checked_vectors, missing_generation
from revector.backends.contracts import MAPPED, ROWS_AT_ONCE, Keys, Point, Tally, VectorInfo
from revector.backends.postgres.binary import KeyArray, Matrix, VectorArray, matrix_of, require_half, vector_oid
from revector.backends.postgres.database import PostgresDatabase, driver_of, on_one_core
from revector.backends.postgres.sampling import drawn
from revector.backends.postgres.schema import DOCUMENTS, VectorType, vectors_name, vectors_table
from revector.backends.sampling import Population
from revector.errors import UnknownDocumentError

_BYTES_A_STATEMENT = 16 << 20
FEW_AT_ONCE = 32
"""So many vectors find their places in a graph of 200,000 in about 0.1 s."""

# Compare-and-set: a row lands only while the document has the text that was embedded, and the document stays as it is
# until then: FOR KEY SHARE would let a newer text be written with its vector, and this row land after that one. All
# documents are locked before the first row is written.
_PUT = """
WITH held AS MATERIALIZED (
    SELECT key, hash FROM unnest(%(keys)s::bigint[], %(hashes)b::text[]) AS given (key, hash)
    JOIN {table} USING (key) WHERE content_hash = hash ORDER BY {order} FOR SHARE OF {table} {others}
)
INSERT INTO {vectors} (document_key, seq, embedded_at, content_hash, vector)
SELECT key, pg_current_xact_id()::text::bigint + %(shift)s, %(now)s, coalesce(%(mark)s, hash), vector
FROM held JOIN unnest(%(keys)s::bigint[], %(vectors)s::vector[]) AS given (key, vector) USING (key) ORDER BY key
ON CONFLICT (document_key) DO UPDATE SET
    seq = excluded.seq, embedded_at = excluded.embedded_at,
    content_hash = excluded.content_hash, vector = excluded.vector
"""
_HAS_GRAPH = """
SELECT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    WHERE indrelid = to_regclass('{vectors}') AND amname = 'hnsw'
)
"""
_GET = """
SELECT document_key, vector_send(vector::vector) FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY AS wanted (key, place)
JOIN {vectors} ON document_key = wanted.key ORDER BY place
"""
_GET_CURRENT = """
SELECT document_key, vector_send(vector::vector) FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY AS wanted (key, place)
JOIN {vectors} AS stored ON document_key = wanted.key
JOIN documents ON documents.key = wanted.key AND documents.content_hash = stored.content_hash ORDER BY place
"""
_SCAN = """
SELECT document_key, vector_send(vector::vector) FROM {vectors}
WHERE document_key > %(after)s ORDER BY document_key LIMIT %(batch)s
"""
_COUNT = "SELECT count(*) FROM {vectors}"
_COUNT_SINCE = """
SELECT count(*) FROM {vectors}
WHERE seq >= pg_snapshot_xmin(%(point)s::pg_snapshot)::text::bigint + %(shift)s
AND NOT pg_visible_in_snapshot((seq - %(shift)s)::text::xid8, %(point)s::pg_snapshot)
"""
_STALE = """
FROM documents LEFT JOIN {vectors} AS stored ON document_key = key
WHERE stored.content_hash IS DISTINCT FROM documents.content_hash
"""
_STALE_AMONG = f"SELECT key {_STALE} AND key = ANY(%(keys)s::bigint[]) ORDER BY key"
_STALE_BETWEEN = f"SELECT key {_STALE} AND key > %(after)s AND key <= %(until)s ORDER BY key"
_COUNT_STALE = f"SELECT count(*) {_STALE}"
# One pass: OFFSET 0 has the metadata, which may be computed, made once a document. No field is null: all documents.
_TALLY = """
SELECT field, coalesce(metadata -> field, 'null') AS value,
    count(*), count(in_source), count(in_target), count(lost)
FROM (
    SELECT metadata, source.document_key AS in_source, target.document_key AS in_target, CASE
        WHEN target.document_key IS NULL AND source.document_key <> ALL(%(without)s::bigint[]) THEN 1
    END AS lost
    FROM documents LEFT JOIN {source} AS source ON source.document_key = key
    LEFT JOIN {target} AS target ON target.document_key = key OFFSET 0
) AS found CROSS JOIN unnest(%(fields)b::text[]) AS asked (field)
GROUP BY 1, 2 ORDER BY field IS NOT NULL, count(lost) DESC, count(*) DESC, 1, 2 LIMIT %(limit)s
"""
_WITH_HASHES = """
SELECT wanted.hash, vector_send(twin.vector::vector) FROM unnest(%(hashes)s::text[]) AS wanted (hash)
CROSS JOIN LATERAL (
    SELECT vector FROM documents JOIN {vectors} AS stored ON document_key = key
    WHERE documents.content_hash = wanted.hash AND stored.content_hash = wanted.hash LIMIT 1
) AS twin
"""
_INFO = """
SELECT documents.id, space ->> 'model', space ->> 'revision', (space ->> 'dimension')::integer,
       embedded_at, stored.content_hash, generations.id
FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS wanted (id, place) JOIN documents ON documents.id = wanted.id
JOIN {vectors} AS stored ON document_key = documents.key JOIN generations ON generations.id = %(generation)s
ORDER BY place
"""
_UNKNOWN = """
SELECT wanted.id FROM unnest(%(ids)s::text[]) AS wanted (id)
WHERE NOT EXISTS (SELECT 1 FROM documents WHERE documents.id = wanted.id)
"""
_TYPE = """
SELECT typname::text FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(%s) AND attname = %s
"""
_DIMENSION = "SELECT (space ->> 'dimension')::integer FROM generations WHERE id = %s AND NOT dropped"
_POINT = "SELECT pg_current_snapshot()::text"


@lru_cache(maxsize=256)
def of_generation(statement: str, generation: int) -> str:
    """Return a statement with the name of a generation's table in place of ``{vectors}``."""
    return sql.SQL(statement).format(vectors=vectors_table(generation)).as_string()


class PostgresVectors:
    """What generations say of their vectors.

    Parameters
    ----------
    database : PostgresDatabase
        The collection.
    """

    held = DOCUMENTS
    """What is locked where vectors land."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._types: dict[int, VectorType] = {}

    def rows_at_once(self, generation: int) -> int:
        """Return how many are put in one transaction at most: few where each has to find its place in a graph."""
        with self._database.snapshot() as connection:
            (has_graph,) = driver_of(connection).execute(of_generation(_HAS_GRAPH, generation)).fetchone()
        return FEW_AT_ONCE if has_graph else ROWS_AT_ONCE

    def put(
        self,
        generation: int,
        keys: Keys,
        hashes: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        mapped: bool = False,
    ) -> int:
        """Store vectors by compare-and-set; return how many landed."""
        with self._database.transaction() as connection:
            matrix = checked_vectors(keys, hashes, vectors, self.dimension(generation))
            if self.type_of(generation) == "halfvec":
                require_half(keys, matrix)
            mark = MAPPED if mapped else None
            fixed = {"shift": self._database.shift, "now": time.time(), "mark": mark}
            statement, landed = self.put_statement(generation), 0
            for part in _parts(np.asarray(keys, np.int64), matrix):
                given = {
                    "keys": KeyArray(np.asarray(keys, np.int64)[part]),
                    "hashes": [hashes[place] for place in part.tolist()],
                    "vectors": matrix_parameter(connection, matrix[part]),
                }
                landed += driver_of(connection).execute(statement, {**fixed, **given}).rowcount
            return landed

    def put_statement(self, generation: int) -> str:
        """Return the statement that stores ``keys``, ``hashes`` and ``vectors`` by compare-and-set."""
        return of_generation(self.held.said(_PUT), generation)

    def who_has_one(self, generation: int) -> sql.Identifier:
        """Return the table or view whose ``document_key`` says which documents have a vector."""
        return vectors_table(generation)

    def vectors(self, generation: int, keys: Keys, *, current: bool = False) -> tuple[NDArray[np.int64], Matrix]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors."""
        with self._database.snapshot() as connection:
            dimension = self.dimension(generation)
            statement = of_generation(_GET_CURRENT if current else _GET, generation)
            return _arrays(connection, statement, {"keys": KeyArray(keys)}, dimension)

    def scan(self, generation: int, batch: int = 4096) -> Iterator[tuple[NDArray[np.int64], Matrix]]:
        """Yield keys and vectors in the order of the keys."""
        after, statement = 0, of_generation(_SCAN, generation)
        while True:
            with self._database.snapshot() as connection:
                dimension = self.dimension(generation)
                keys, matrix = _arrays(connection, statement, {"after": after, "batch": batch}, dimension)
            if not len(keys):
                return
            yield keys, matrix
            after = int(keys[-1])

    def count(self, generation: int, *, since: Point = 0) -> int:
        """Count the vectors written after point `since`."""
        history, _, point = str(since).partition("/")
        with self._database.snapshot():
            if history != str(self._database.history):  # of another past, or none
                return self._number(generation, _COUNT)
            return self._number(generation, _COUNT_SINCE, {"point": point, "shift": self._database.shift})

    def sample(self, generation: int, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` vectors at random, or of all if they are fewer."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return drawn(connection, _population(generation), n, seed)

    def stale_keys(self, generation: int, keys: Keys) -> NDArray[np.int64]:
        """Return those of the keys whose documents have no vector of their present text."""
        return self._keys(generation, _STALE_AMONG, {"keys": KeyArray(keys)})

    def stale_between(self, generation: int, after: int, until: int) -> NDArray[np.int64]:
        """Return the keys of a slice whose documents have no vector of their present text."""
        return self._keys(generation, _STALE_BETWEEN, {"after": after, "until": until})

    def count_stale(self, generation: int) -> int:
        """Count the documents that have no vector of their present text."""
        return self._number(generation, _COUNT_STALE)

    def tally(
        self, source: int, target: int, fields: Sequence[str], *, without: Keys = (), limit: int = 1_000
    ) -> list[Tally]:
        """Count the documents that have a vector in two generations, all of them and by the values of fields."""
        with self._database.snapshot() as connection:
            for generation in (source, target):
                self.dimension(generation)
            said = sql.SQL(_TALLY).format(source=self.who_has_one(source), target=self.who_has_one(target))
            given = {"fields": [None, *fields], "without": KeyArray(without), "limit": 1 + limit}
            tallies = [Tally(*row) for row in on_one_core(connection).execute(said, given)]
        return tallies or [Tally(None, None, 0, 0, 0, 0)]

    def with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash."""
        with self._database.snapshot() as connection:
            dimension = self.dimension(generation)
            statement = of_generation(_WITH_HASHES, generation)
            rows = driver_of(connection).cursor(binary=True).execute(statement, {"hashes": list(hashes)}).fetchall()
        matrix = matrix_of([sent for _, sent in rows], dimension)
        return {hash_: vector.copy() for (hash_, _), vector in zip(rows, matrix, strict=True)}

    def info(self, generation: int, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' vectors."""
        wanted = {"ids": checked_ids(ids), "generation": generation}
        with self._database.snapshot() as connection:
            self.dimension(generation)
            if unknown := driver_of(connection).execute(_UNKNOWN, wanted).fetchall():
                raise UnknownDocumentError(tuple(id_ for (id_,) in unknown))
            found = driver_of(connection).execute(of_generation(_INFO, generation), wanted)
            return [VectorInfo(*row) for row in found]

    def last_seq(self) -> str:
        """Return the present point: which transactions had committed, in which history."""
        with self._database.snapshot() as connection:
            (snapshot,) = driver_of(connection).execute(_POINT).fetchone()
            return f"{self._database.history}/{snapshot}"

    def dimension(self, generation: int) -> int:
        """Return the dimension of a generation's space; raise `StoreError` if the generation does not exist."""
        return self._database.once(("dimension", generation), lambda connection: _dimension(connection, generation))

    def type_of(self, generation: int) -> VectorType:
        """Return the type that a generation's vectors are stored in, which never changes."""
        if generation not in self._types:
            with self._database.snapshot() as connection:
                found = type_of(driver_of(connection), vectors_name(generation), "vector")
            if found is None:
                raise missing_generation(generation)
            self._types[generation] = found
        return self._types[generation]

    def _number(self, generation: int, statement: str, parameters: dict[str, Any] | None = None) -> int:
        with self._database.snapshot() as connection:
            self.dimension(generation)
            (found,) = on_one_core(connection).execute(of_generation(statement, generation), parameters).fetchone()
        return int(found)

    def _keys(self, generation: int, statement: str, parameters: dict[str, Any]) -> NDArray[np.int64]:
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return _column(driver_of(connection).execute(of_generation(statement, generation), parameters).fetchall())


def _dimension(connection: Connection, generation: int) -> int:
    """Return the dimension of a generation's space; raise `StoreError` if the generation does not exist."""
    found = driver_of(connection).execute(_DIMENSION, (generation,)).fetchone()
    if found is None:
        raise missing_generation(generation)
    return int(found[0])


def type_of(driver: psycopg.Connection[Any], table: str, column: str) -> VectorType | None:
    """Return the type of a column of vectors, of a table as SQL spells it; ``None`` where there is none."""
    found = driver.execute(_TYPE, (table, column)).fetchone()
    return None if found is None else found[0]


def matrix_parameter(connection: Connection, matrix: Matrix) -> VectorArray:
    """Return a matrix, shape (n, d), as a parameter of a statement on a connection."""
    if "vector" not in connection.info:
        connection.info["vector"] = vector_oid(driver_of(connection))
    return VectorArray(matrix, connection.info["vector"])


def _parts(keys: NDArray[np.int64], matrix: Matrix) -> Iterator[NDArray[np.int64]]:
    """Yield the places of rows that are sent together; where a key comes twice, the last row counts."""
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    size = max(1, _BYTES_A_STATEMENT // (4 * matrix.shape[1]))
    return (last[start : start + size] for start in range(0, len(last), size))


def _column(rows: list[tuple[int]]) -> NDArray[np.int64]:
    return np.array([number for (number,) in rows], np.int64)


def _arrays(
    connection: Connection, statement: str, parameters: dict[str, Any], dimension: int
) -> tuple[NDArray[np.int64], Matrix]:
    rows = driver_of(connection).cursor(binary=True).execute(statement, parameters).fetchall()
    return np.array([key for key, _ in rows], np.int64), matrix_of([sent for _, sent in rows], dimension)


def _population(generation: int) -> Population:
    vectors = vectors_table(generation).as_string()
    return Population(
        size=f"SELECT count(*) FROM {vectors}",
        keys=f"SELECT document_key AS key FROM {vectors}",
        among=f"SELECT document_key AS key FROM {vectors} WHERE document_key = ANY(%(keys)s)",
    )
