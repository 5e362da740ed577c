"""Building pgvector's graphs while their tables are read and written (CREATE INDEX CONCURRENTLY)."""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from revector.backends.contracts import Generation
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.database import keeps_session
from revector.backends.postgres.schema import vectors_name

GRAPH_FROM = 10_000
"""Fewer vectors are measured in less than 10 ms: they need no graph."""
LARGEST_DIMENSION = 2_000
"""Of a graph over ``vector``. Longer vectors are measured."""
CLASSES = {"cosine": "vector_cosine_ops", "dot": "vector_ip_ops"}
"""The operators of a graph by the metric of its space."""
MOST_MEMORY_BYTES = 1 << 30
"""A build is given what its graph takes, up to this much (``maintenance_work_mem``); a larger one is slower."""
_NODE_BYTES = 600  # links of a node with m = 16, and what pgvector keeps beside, about
_LOOK_EVERY_SECONDS = 0.5

# What is named has its schema: these run outside of transactions, and find no search_path of ours.
_CREATE = "CREATE INDEX CONCURRENTLY {name} ON {vectors} USING hnsw (vector {operators}) {options}"
_DROP = "DROP INDEX CONCURRENTLY IF EXISTS {graph}"
_STATE = """
SELECT indisvalid, EXISTS (SELECT 1 FROM pg_stat_progress_create_index AS built WHERE built.index_relid = indexrelid)
FROM pg_index WHERE indexrelid = to_regclass(%s)
"""
_MEMORY = "SELECT pg_size_bytes(current_setting('maintenance_work_mem'))"

_AS_USUAL = sql.SQL("")

State = Literal["none", "invalid", "building", "valid"]

_log = logging.getLogger(__name__)


class Graphs:
    """The graphs of a collection. Safe to share between threads, processes and machines.

    Parameters
    ----------
    database : PostgresDatabase
        The collection.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def is_valid(self, generation: Generation) -> bool:
        """Tell whether searches use a graph."""
        return self.state(generation) == "valid"

    def state(self, generation: Generation) -> State:
        """Return how far the graph of a generation is."""
        with self._database.snapshot() as connection:
            return self._state(driver_of(connection), generation)

    def build(self, generation: Generation, count: int) -> int:
        """Build the graph of a generation unless there is one, or none is needed; return of how many vectors.

        Another process that builds it is waited for; what one that was cut off has left is removed.
        """
        if count < GRAPH_FROM or generation.space.dimension > LARGEST_DIMENSION:
            return 0
        with self._database.outside() as driver:
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
        return sql.Identifier(self._database.place.schema, f"vectors_{generation.id}"), "vector"

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
        began, create = time.perf_counter(), self._said(_CREATE, generation, self.options(driver))
        needed_bytes = graph_bytes(count, generation.space.dimension)
        try:
            create_concurrently(driver, create, self._said(_DROP, generation), needed_bytes)
        except errors.DuplicateTable:
            return False
        _log.info("graph of generation %d built: %d vectors, %.1f s", generation.id, count, time.perf_counter() - began)
        return True

    def _said(self, statement: str, generation: Generation, options: sql.Composable = _AS_USUAL) -> sql.Composed:
        schema, name = self._database.place.schema, graph_name(generation)
        return sql.SQL(statement).format(
            name=sql.Identifier(name),
            graph=sql.Identifier(schema, name),
            vectors=sql.Identifier(schema, vectors_name(generation.id)),
            operators=sql.Identifier(self._database.extension, CLASSES[generation.space.metric]),
            options=options,
        )


def graph_bytes(count: int, dimension: int) -> int:
    """Return how much memory a graph of so many vectors takes while it is built, about."""
    return count * (4 * dimension + _NODE_BYTES)


def create_concurrently(
    driver: psycopg.Connection[Any], create: sql.Composed, drop: sql.Composed, needed_bytes: int
) -> None:
    """Build an index while its table is read and written, with what memory it needs, up to `MOST_MEMORY_BYTES`.

    Parameters
    ----------
    driver : psycopg.Connection
        In autocommit mode; where it keeps its session, that keeps the settings.
    create, drop : Composed
        The statements that build it, and that remove what a build has left which failed.
    needed_bytes : int
        What it takes to be built at once.
    """
    _give_memory(driver, needed_bytes)
    try:
        driver.execute(create)
    except errors.DiskFull:  # of the shared memory that workers of one build use together, most of the time
        if not keeps_session(driver):
            raise
        _log.warning("an index is built without parallel workers: %s", create.as_string())
        driver.execute("SET max_parallel_maintenance_workers = 0")
        driver.execute(drop)
        driver.execute(create)


def _give_memory(driver: psycopg.Connection[Any], needed_bytes: int) -> None:
    """Let a session use what a build needs; behind a pooler it would be somebody else's next."""
    if not keeps_session(driver):
        return
    found = driver.execute(_MEMORY).fetchone()
    assert found is not None
    wanted = max(found[0], min(needed_bytes, MOST_MEMORY_BYTES))
    driver.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{wanted >> 10}kB")))


def graph_name(generation: Generation) -> str:
    """Return the name of a generation's graph, which needs no quotes."""
    return f"{vectors_name(generation.id)}_graph"
