"""Vectors of the embedded store. Rows travel as blobs of little-endian float32, thousands at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from revector._behind import ROWS_AT_A_TIME, is_behind, step_aside
from revector.backends.arguments import checked_ids, checked_vectors, missing_generation
from revector.backends.contracts import MAPPED, ROWS_AT_ONCE, Keys, Point, Tally, VectorInfo
from revector.backends.local_index.feed import VectorChanges
from revector.backends.sampling import Population
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.database import driver_of
from revector.backends.sqlite.documents import next_seq
from revector.backends.sqlite.reclaiming import FORGOTTEN, IS_KEPT
from revector.backends.sqlite.sampling import as_json, drawn
from revector.errors import PointTooOldError, UnknownDocumentError

_F32 = np.dtype("<f4")
_ROWS_A_STATEMENT = 4096  # SQLite holds a billion bytes in one parameter

# Compare-and-set: the SELECT yields a row only while the document has the text that was embedded. One step for all:
# the driver gives the interpreter up, and has to wait for it again, at every step.
_PUT = """
INSERT INTO vectors (document_key, generation, seq, embedded_at, content_hash, vector)
SELECT documents.key, :generation, :seq, :now, coalesce(:mark, content_hash),
       substr(:matrix, 1 + :width * listed.key, :width)
FROM json_each(:rows) AS listed CROSS JOIN documents ON documents.key = json_extract(listed.value, '$[0]')
WHERE content_hash = json_extract(listed.value, '$[1]')
ON CONFLICT (document_key, generation) DO UPDATE SET
    seq = excluded.seq, embedded_at = excluded.embedded_at,
    content_hash = excluded.content_hash, vector = excluded.vector
"""
# CROSS JOIN keeps SQLite to the order written here; the unary + keeps it from sorting the whole generation.
_GET = """
SELECT vectors.document_key, vector FROM json_each(:keys) AS wanted
CROSS JOIN vectors ON document_key = wanted.value AND generation = :generation
"""
_GET_CURRENT = """
SELECT vectors.document_key, vector FROM json_each(:keys) AS wanted
CROSS JOIN vectors ON document_key = wanted.value AND generation = :generation
CROSS JOIN documents ON documents.key = wanted.value AND documents.content_hash = vectors.content_hash
"""
_SCAN = """
SELECT document_key, vector FROM vectors
WHERE document_key > :after AND +generation = :generation ORDER BY document_key LIMIT :batch
"""
_ROWS_AT_ONCE = 512
_COUNT = "SELECT count(*) FROM vectors WHERE generation = :generation AND seq > :since"
_STALE = """
FROM documents LEFT JOIN vectors ON document_key = key AND generation = :generation
WHERE vectors.content_hash IS NOT documents.content_hash
"""
_STALE_AMONG = f"SELECT key {_STALE} AND key IN (SELECT value FROM json_each(:keys)) ORDER BY key"
_STALE_BETWEEN = f"SELECT key {_STALE} AND key > :after AND key <= :until ORDER BY key"
_COUNT_STALE = f"SELECT count(*) {_STALE}"
_POPULATION = Population(
    size="SELECT count(*) FROM vectors WHERE generation = :generation",
    keys="SELECT document_key AS key FROM vectors WHERE generation = :generation",
    among="""
        SELECT document_key FROM vectors
        WHERE document_key IN (SELECT value FROM json_each(:keys)) AND generation = :generation
    """,
)
# One pass. A field is looked up among the keys, as paths cannot spell every name. No field is null: all documents.
_TALLY = """
SELECT field, coalesce(value, 'null'), count(*), count(in_source), count(in_target), count(lost) FROM (
    SELECT asked.value AS field, (
        SELECT CASE WHEN type IN ('true', 'false') THEN type WHEN type IN ('object', 'array') THEN value
            ELSE json_quote(value) END
        FROM json_each(metadata) WHERE key = asked.value
    ) AS value, source.document_key AS in_source, target.document_key AS in_target, CASE
        WHEN source.document_key IS NOT NULL AND target.document_key IS NULL
        AND documents.key NOT IN (SELECT value FROM json_each(:without)) THEN 1
    END AS lost
    FROM documents
    LEFT JOIN vectors AS source ON source.document_key = documents.key AND source.generation = :source
    LEFT JOIN vectors AS target ON target.document_key = documents.key AND target.generation = :target
    CROSS JOIN json_each(:fields) AS asked
) GROUP BY 1, 2 ORDER BY field IS NOT NULL, count(lost) DESC, count(*) DESC, 1, 2 LIMIT :limit
"""
_WITH_HASHES = """
SELECT hash, vector FROM (
    SELECT wanted.value AS hash, (
        SELECT document_key FROM documents
        CROSS JOIN vectors ON document_key = key AND generation = :generation
        WHERE documents.content_hash = wanted.value AND vectors.content_hash = wanted.value LIMIT 1
    ) AS twin FROM json_each(:hashes) AS wanted
) CROSS JOIN vectors ON document_key = twin AND generation = :generation
"""
_INFO = """
SELECT info.id, model, revision, dimension, embedded_at, content_hash, generation
FROM json_each(:ids) AS wanted CROSS JOIN vector_metadata AS info ON info.id = wanted.value AND generation = :generation
"""
_DIMENSION = f"SELECT json_extract(space, '$.dimension') FROM generations WHERE id = ? AND {IS_KEPT}"
_UNKNOWN = "SELECT value FROM json_each(:ids) WHERE value NOT IN (SELECT id FROM documents)"
_WRITTEN = "SELECT document_key, vector FROM vectors WHERE generation = :generation AND seq > :since ORDER BY seq"
_FORGOTTEN = f"SELECT value FROM meta WHERE key = '{FORGOTTEN}' || ?"
_DELETED = "SELECT document_key FROM tombstones WHERE generation = :generation AND seq > :since ORDER BY seq"


class SqliteRows:
    """What generations say of their vectors without reading one: how many there are, of which texts, and when made.

    Parameters
    ----------
    database : Database
        The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows_at_once(self, generation: int) -> int:
        """Return how many vectors are put in one transaction at most."""
        return ROWS_AT_ONCE

    def count(self, generation: int, *, since: Point = 0) -> int:
        """Count the vectors written after point `since`."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return int(connection.exec_driver_sql(_COUNT, {"generation": generation, "since": since}).scalar_one())

    def sample(self, generation: int, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` vectors at random, or of all if they are fewer."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return drawn(connection, _POPULATION, n, seed, {"generation": generation})

    def stale_keys(self, generation: int, keys: Keys) -> NDArray[np.int64]:
        """Return those of the keys whose documents have no vector of their present text."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return _keys(connection, _STALE_AMONG, generation=generation, keys=as_json(keys))

    def stale_between(self, generation: int, after: int, until: int) -> NDArray[np.int64]:
        """Return the keys of a slice whose documents have no vector of their present text."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return _keys(connection, _STALE_BETWEEN, generation=generation, after=after, until=until)

    def count_stale(self, generation: int) -> int:
        """Count the documents that have no vector of their present text."""
        with self._database.snapshot() as connection:
            self.dimension(generation)
            return int(connection.exec_driver_sql(_COUNT_STALE, {"generation": generation}).scalar_one())

    def tally(
        self, source: int, target: int, fields: Sequence[str], *, without: Keys = (), limit: int = 1_000
    ) -> list[Tally]:
        """Count the documents that have a vector in two generations, all of them and by the values of fields."""
        given = {"source": source, "target": target, "without": as_json(without), "limit": 1 + limit}
        with self._database.snapshot() as connection:
            for generation in (source, target):
                self.dimension(generation)
            found = driver_of(connection).execute(_TALLY, {**given, "fields": json.dumps([None, *fields])})
            tallies = [Tally(field, json.loads(value), *counts) for field, value, *counts in found]
        return tallies or [Tally(None, None, 0, 0, 0, 0)]

    def info(self, generation: int, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' vectors."""
        wanted = as_json(checked_ids(ids))
        with self._database.snapshot() as connection:
            unknown = tuple(connection.exec_driver_sql(_UNKNOWN, {"ids": wanted}).scalars())
            if unknown:
                raise UnknownDocumentError(unknown)
            found = connection.exec_driver_sql(_INFO, {"ids": wanted, "generation": generation})
            return [VectorInfo(*row) for row in found]

    def dimension(self, generation: int) -> int:
        """Return the dimension of a generation's space; raise `StoreError` if the generation does not exist."""
        return self._database.once(("dimension", generation), lambda connection: _dimension(connection, generation))

    def last_seq(self) -> int:
        """Return the present point of the counter that orders all changes of vectors."""
        return self._database.once("last_seq", _last_seq)


class SqliteVectors(SqliteRows):
    """What generations say of vectors that are in the same file."""

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
            if not len(matrix):
                return 0
            fixed: dict[str, Any] = {"generation": generation, "seq": next_seq(connection), "now": time.time()}
            fixed["mark"] = MAPPED if mapped else None
            fixed["width"] = matrix.shape[1] * _F32.itemsize
            rows, landed = [*zip(np.asarray(keys).tolist(), hashes, strict=True)], 0
            for start in range(0, len(rows), _ROWS_A_STATEMENT):
                part = slice(start, start + _ROWS_A_STATEMENT)
                parameters = {**fixed, "rows": json.dumps(rows[part]), "matrix": matrix[part].tobytes()}
                landed += connection.exec_driver_sql(_PUT, parameters).rowcount
            return landed

    def vectors(
        self, generation: int, keys: Keys, *, current: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors."""
        with self._database.snapshot() as connection:
            dimension = self.dimension(generation)
            found = driver_of(connection).execute(
                _GET_CURRENT if current else _GET, {"keys": as_json(keys), "generation": generation}
            )
            return _arrays(found, dimension)

    def scan(self, generation: int, batch: int = 4096) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield keys and vectors in the order of the keys."""
        after = 0
        while True:
            parameters = {"after": after, "generation": generation, "batch": batch}
            with self._database.snapshot() as connection:
                dimension = self.dimension(generation)
                keys, matrix = _arrays(driver_of(connection).execute(_SCAN, parameters), dimension)
            if not len(keys):
                return
            yield keys, matrix
            after = int(keys[-1])

    def with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash."""
        parameters = {"hashes": as_json(hashes), "generation": generation}
        with self._database.snapshot() as connection:
            found = connection.exec_driver_sql(_WITH_HASHES, parameters)
            return {row.hash: np.frombuffer(row.vector, dtype=_F32).astype(np.float32) for row in found}

    def changes_since(self, generation: int, seq: int) -> VectorChanges:
        """Return what happened to a generation after point `seq`."""
        with self._database.snapshot() as connection:
            dimension = self.dimension(generation)
            _require_known_since(connection, generation, seq)
            parameters = {"generation": generation, "since": seq}
            keys, matrix = _arrays(driver_of(connection).execute(_WRITTEN, parameters), dimension)
            deleted = _keys(connection, _DELETED, **parameters)
            return VectorChanges(self.last_seq(), keys, matrix, deleted)


def _last_seq(connection: Connection) -> int:
    return int(driver_of(connection).execute("SELECT value FROM sequence").fetchone()[0])


def _require_known_since(connection: Connection, generation: int, seq: int) -> None:
    """Raise `PointTooOldError` if deletions after a point were given back, unless nothing was there yet."""
    found = driver_of(connection).execute(_FORGOTTEN, (generation,)).fetchone()
    if found is not None and 0 < seq < int(found[0]):
        raise PointTooOldError(generation=generation, seq=seq, oldest=int(found[0]))


def _dimension(connection: Connection, generation: int) -> int:
    """Return the dimension of a generation's space; raise `StoreError` if the generation does not exist."""
    dimension = connection.exec_driver_sql(_DIMENSION, (generation,)).scalar()
    if dimension is None:
        raise missing_generation(generation)
    return int(dimension)


def _arrays(rows: Any, dimension: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read keys and blobs off a cursor; pairs are not kept, for many of them call the garbage collector."""
    keys: list[int] = []
    blobs: list[bytes] = []
    while part := rows.fetchmany(ROWS_AT_A_TIME if is_behind() else _ROWS_AT_ONCE):
        keys += [row[0] for row in part]
        blobs += [row[1] for row in part]
        if is_behind():
            step_aside()
    stored = np.frombuffer(bytearray().join(blobs), dtype=_F32)
    return np.array(keys, np.int64), stored.reshape(len(keys), dimension).astype(np.float32, copy=False)


def _keys(connection: Connection, statement: str, **parameters: int | str) -> NDArray[np.int64]:
    return np.fromiter(connection.exec_driver_sql(statement, parameters).scalars(), dtype=np.int64)
