"""Building pgvector's graphs while their tables are read and written (CREATE INDEX CONCURRENTLY)."""

from __future__ import annotations

import logging
import os
import time
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from revector.backends.contracts import Generation
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.connecting import keeps_session, row_of
from revector.backends.postgres.schema import VectorType, vectors_name
from revector.backends.postgres.vectors import PostgresVectors

GRAPH_FROM = 10_000
"""Fewer vectors are measured in less than 10 ms: they need no graph."""
LARGEST_DIMENSION: dict[str, int] = {"vector": 2_000, "halfvec": 4_000}
"""So long are vectors at most in a graph over each type; longer ones are measured."""
MOST_MEMORY_BYTES = 1 << 30
"""A build is given what its graph takes, up to this much (``maintenance_work_mem``); a larger one is slower.

On a server that shares this machine it is up to `SHARE_OF_MEMORY` of that, where this is more.
"""
SHARE_OF_MEMORY = 1 / 8
_NODE_BYTES = 600  # links of a node with m = 16, and what pgvector keeps beside, about
_LOOK_EVERY_SECONDS = 0.5
_KNOWN_SECONDS = 5.0

_OPERATORS = {"cosine": "cosine_ops", "dot": "ip_ops"}
# What is named has its schema: these run outside of transactions, and find no search_path of ours.
_CREATE = """
CREATE INDEX CONCURRENTLY {name} ON {vectors}
USING hnsw ((vector::{type}({dimension})) {operators}) {options}
"""
_DROP = "DROP INDEX CONCURRENTLY IF EXISTS {graph}"
_STATE = """
SELECT indisvalid, EXISTS (SELECT 1 FROM pg_stat_progress_create_index AS built WHERE built.index_relid = indexrelid)
FROM pg_index WHERE indexrelid = to_regclass(%s)
"""
# What a graph is over, be it one of a table of ours, or of the table that a view shows. A cast to what a column is
# anyway is none. `serving` asks the same, in a function.
OVER = """
WITH shown AS (
    SELECT attrelid AS relation, attnum AS number FROM pg_attribute
    WHERE attrelid = to_regclass({vectors}) AND attname = 'vector'
    UNION ALL SELECT refobjid, refobjsubid FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
    WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass AND ev_class = to_regclass({vectors})
)
SELECT max(typname::text)
FROM shown JOIN pg_index ON indrelid = relation JOIN pg_opclass ON pg_opclass.oid = indclass[0]
JOIN pg_attribute AS key ON key.attrelid = indexrelid AND key.attnum = 1 JOIN pg_type ON pg_type.oid = key.atttypid
WHERE indisvalid AND indpred IS NULL AND key.atttypmod = {dimension}
AND typname IN ('vector', 'halfvec') AND opcname = typname || '_' || {operators}
AND EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
    AND refobjid = relation AND refobjsubid = number
)
"""
_OVER = OVER.format(vectors="%(vectors)s", dimension="%(dimension)s", operators="%(operators)s")
_MEANS = """
SELECT pg_size_bytes(current_setting('maintenance_work_mem')),
    current_setting('max_parallel_maintenance_workers')::integer,
    coalesce(inet_server_addr() = inet_client_addr(), true)
"""

_AS_USUAL = sql.SQL("")

State = Literal["none", "invalid", "building", "valid"]

_log = logging.getLogger(__name__)


class Graphs:
    """The graphs of a collection. Safe to share between threads, processes and machines.

    Parameters
    ----------
    database : PostgresDatabase
        The collection.
    vectors : PostgresVectors
        Its vectors.
    """

    def __init__(self, database: PostgresDatabase, vectors: PostgresVectors) -> None:
        self._database, self._vectors = database, vectors
        self._over: dict[int, tuple[VectorType | None, float]] = {}

    def is_valid(self, generation: Generation) -> bool:
        """Tell whether searches use a graph."""
        return self.state(generation) == "valid"

    def state(self, generation: Generation) -> State:
        """Return how far the graph of a generation is."""
        with self._database.snapshot() as connection:
            return self._state(driver_of(connection), generation)

    def over(self, generation: Generation) -> VectorType | None:
        """Return the type that searches order by, for there is a graph over it; ``None`` if there is no graph.

        What is built by others is known a few seconds later.
        """
        found, until = self._over.get(generation.id, (None, 0.0))
        if time.monotonic() >= until:
            found = self.look(generation)
            self._over[generation.id] = found, time.monotonic() + _KNOWN_SECONDS
        return found

    def look(self, generation: Generation) -> VectorType | None:
        """Return what `over` does, of this moment."""
        asked = {
            "vectors": vectors_name(generation.id),
            "dimension": generation.space.dimension,
            "operators": _OPERATORS[generation.space.metric],
        }
        with self._database.snapshot() as connection:
            found = driver_of(connection).execute(_OVER, asked).fetchone()
        return found[0] if found else None

    def build(self, generation: Generation, count: int) -> int:
        """Build the graph of a generation unless there is one, or none is needed; return of how many vectors.

        Another process that builds it is waited for; what one that was cut off has left is removed.
        """
        if count < GRAPH_FROM or generation.space.dimension > LARGEST_DIMENSION["halfvec"]:
            return 0
        try:
            with self._database.outside() as driver:
                return self._build(driver, generation, count)
        finally:
            self._over.pop(generation.id, None)

    def _build(self, driver: psycopg.Connection[Any], generation: Generation, count: int) -> int:
        while (state := self._state(driver, generation)) != "valid":
            if state == "building":
                time.sleep(_LOOK_EVERY_SECONDS)
            elif state == "invalid":
                driver.execute(self._said(_DROP, generation))
            elif self._built(driver, generation, count):
                return count
        return 0

    def searched(self, generation: Generation) -> tuple[sql.Identifier, str]:
        """Return the table and the column whose index searches of a generation use."""
        return sql.Identifier(self._database.place.schema, vectors_name(generation.id)), "vector"

    def new_type(self, driver: psycopg.Connection[Any], generation: Generation) -> VectorType:
        """Return the type that a graph is built over: that of the vectors, or half of it where these are too long."""
        is_long = generation.space.dimension > LARGEST_DIMENSION["vector"]
        return "halfvec" if is_long else self._vectors.type_of(generation.id)

    def options(self, driver: psycopg.Connection[Any]) -> sql.Composable:
        """Return how graphs are built, if not as pgvector does it by default: ``WITH (…)``."""
        return _AS_USUAL

    def _state(self, driver: psycopg.Connection[Any], generation: Generation) -> State:
        found = driver.execute(_STATE, (self._said("{graph}", generation).as_string(),)).fetchone()
        if found is None:
            return "none"
        is_valid, is_built = found
        return "valid" if is_valid else "building" if is_built else "invalid"

    def _built(self, driver: psycopg.Connection[Any], generation: Generation, count: int) -> bool:
        """Build a graph; tell whether nobody else had begun one."""
        began, type_ = time.perf_counter(), self.new_type(driver, generation)
        create = self._said(_CREATE, generation, type_, self.options(driver))
        needed_bytes = graph_bytes(count, generation.space.dimension)
        try:
            create_concurrently(driver, create, self._said(_DROP, generation), needed_bytes)
        except errors.DuplicateTable:
            return False
        _log.info("graph of generation %d built: %d vectors, %.1f s", generation.id, count, time.perf_counter() - began)
        return True

    def _said(
        self,
        statement: str,
        generation: Generation,
        type_: VectorType = "vector",
        options: sql.Composable = _AS_USUAL,
    ) -> sql.Composed:
        schema, name = self._database.place.schema, graph_name(generation)
        extension, operators = self._database.extension, f"{type_}_{_OPERATORS[generation.space.metric]}"
        return sql.SQL(statement).format(
            name=sql.Identifier(name),
            graph=sql.Identifier(schema, name),
            vectors=sql.Identifier(schema, vectors_name(generation.id)),
            type=sql.Identifier(extension, type_),
            dimension=sql.Literal(generation.space.dimension),
            operators=sql.Identifier(extension, operators),
            options=options,
        )


def graph_bytes(count: int, dimension: int) -> int:
    """Return how much memory a graph of so many vectors takes while it is built, about."""
    return count * (4 * dimension + _NODE_BYTES)


def create_concurrently(
    driver: psycopg.Connection[Any], create: sql.Composed, drop: sql.Composed, needed_bytes: int
) -> None:
    """Build an index while its table is read and written, with what memory it needs, up to a bound.

    On a server that shares this machine it takes at most half of the cores, so that searches go on as they did: with
    both of two cores, building 60,000 vectors took 38 s instead of 48, and searches beside it 46 ms instead of 19.
    Elsewhere it takes what the server allows (``max_parallel_maintenance_workers``), for nobody tells how many cores
    it has.

    Parameters
    ----------
    driver : psycopg.Connection
        In autocommit mode; where it keeps its session, that keeps the settings.
    create, drop : Composed
        The statements that build it, and that remove what a build has left which failed.
    needed_bytes : int
        What it takes to be built at once.
    """
    _give_means(driver, needed_bytes)
    try:
        driver.execute(create)
    except errors.DiskFull:  # of the shared memory that workers of one build use together, most of the time
        if not keeps_session(driver):
            raise
        _log.warning("an index is built without parallel workers: %s", create.as_string())
        driver.execute("SET max_parallel_maintenance_workers = 0")
        driver.execute(drop)
        driver.execute(create)


def _give_means(driver: psycopg.Connection[Any], needed_bytes: int) -> None:
    """Let a session use what a build needs; behind a pooler it would be somebody else's next."""
    if not keeps_session(driver):
        return
    memory_bytes, workers, is_here = row_of(driver.execute(_MEANS))
    most = MOST_MEMORY_BYTES
    if is_here:
        most = max(most, int(SHARE_OF_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
        workers = min(workers, max(0, (os.cpu_count() or 1) // 2 - 1))  # the session itself takes one more
        driver.execute(sql.SQL("SET max_parallel_maintenance_workers = {}").format(sql.Literal(workers)))
    wanted = max(memory_bytes, min(needed_bytes, most))
    driver.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{wanted >> 10}kB")))


def graph_name(generation: Generation) -> str:
    """Return the name of a generation's graph, which needs no quotes."""
    return f"{vectors_name(generation.id)}_graph"
