"""The index of a collection in PostgreSQL: pgvector's, one HNSW graph a generation, built when it is prepared.

A generation without a graph is measured row by row, which is exact. The vectors of a generation that fills go into a
table without one: a graph that is kept up to date takes some hundred vectors a second, one that is built afterwards
thousands.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.arguments import checked_queries
from revector.backends.contracts import Generation, IndexHealth, IndexShape, Keys, Preparation
from revector.backends.postgres.binary import Matrix
from revector.backends.postgres.building import LARGEST_DIMENSION, Graphs, graph_name
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.schema import VectorType
from revector.backends.postgres.shapes import shape_of
from revector.backends.postgres.vectors import PostgresVectors, matrix_parameter, of_generation
from revector.index.health import SAMPLE, examine
from revector.similarity import normalize

BREADTH = 200
"""Candidates a search of a graph keeps (``hnsw.ef_search``), or as many as hits are asked for; see `widen`."""
BROADEST = 1_000
"""The most that pgvector allows."""
WIDENED = "breadth_"
"""With the number of a generation, the note that says how many candidates its searches keep."""
EXACT_LIMIT = 20_000
"""So many vectors are measured in about 20 ms (384 dimensions): a search of no more takes about the usual time."""
COVERED_SECONDS, NOT_COVERED_SECONDS = 5.0, 0.5
"""For so long an answer holds that a generation is covered, or is not: counting its vectors has its cost."""
_HEALTH_K = 10

OVERFETCH = 4
"""So many times the hits that are asked for are found by a graph of half the precision, and then measured."""
_OPERATORS = {"cosine": "<=>", "dot": "<#>"}
_SEARCH = """
SELECT place::bigint, document_key, distance
FROM unnest(%(queries)s::vector[]) WITH ORDINALITY AS asked (query, place)
CROSS JOIN LATERAL (SELECT document_key, {distance} AS distance FROM {rows} ORDER BY distance LIMIT %(k)s) AS found
"""
# A query's length does not change the order, and no number of a unit vector is too large for half the precision.
_CANDIDATES = """(
    SELECT document_key, vector FROM {vectors}
    ORDER BY vector::{type} {operator} l2_normalize(asked.query) LIMIT %(candidates)s
) AS candidates"""
# No graph has this order, so that none is used; a vector of zeros has no cosine, and counts as one at a right angle.
_EXACT = "coalesce(nullif({distance}, 'NaN'), 1)"
# What the session has is NULL until pgvector is loaded. Where many candidates are dead, a search goes on.
_BREADTH = f"""
SELECT set_config('hnsw.ef_search', greatest(
    %(breadth)s, nullif(current_setting('hnsw.ef_search', true), '')::integer,
    (SELECT value::integer FROM meta WHERE key = '{WIDENED}' || %(generation)s)
)::text, true)
"""
_ITERATIVE = f"{_BREADTH}, set_config('hnsw.iterative_scan', 'strict_order', true)"
_AT_MOST = "SELECT count(*) FROM (SELECT 1 FROM {vectors} LIMIT %(most)s) AS counted"

_FOUND = [("place", np.int64), ("key", np.int64), ("distance", np.float64)]

Results = tuple[Matrix, NDArray[np.int64]]


class PgvectorIndex:
    """The graphs of one collection. Safe to share between threads.

    See `revector.backends.contracts.Index` for what each method promises.

    Parameters
    ----------
    database : PostgresDatabase
        The collection.
    vectors : PostgresVectors
        Its vectors.
    graphs : Graphs
    """

    def __init__(self, database: PostgresDatabase, vectors: PostgresVectors, graphs: Graphs) -> None:
        self._database, self._vectors, self._graphs = database, vectors, graphs
        self._covered: dict[int, tuple[bool, float]] = {}

    def search(self, generation: Generation, queries: NDArray[np.float32], k: int, *, fresh: bool = True) -> Results:
        """Search the vectors that a generation holds now, all of them whatever `fresh` says."""
        return self.searched(generation, queries, k, BREADTH)

    def searched(self, generation: Generation, queries: NDArray[np.float32], k: int, ef: int) -> Results:
        """Search a graph that keeps `ef` candidates; measure everything where that finds fewer than there are."""
        with self._database.snapshot():
            queries = checked_queries(queries, self._vectors.dimension(generation.id))
            breadth = max(ef, k)
            if breadth <= BROADEST and len(queries):
                asked = ("breadth", generation.id, breadth)
                self._database.once(asked, lambda connection: self._set(driver_of(connection), generation.id, breadth))
                statement = _near(generation, self._graphs.over(generation))
                with self._walking(generation):
                    found = self._found(generation, queries, k, statement, breadth)
                if found is not None and found[0].shape[1] == k:
                    return found
            return self.search_exact(generation, queries, k)

    def search_exact(self, generation: Generation, queries: NDArray[np.float32], k: int) -> Results:
        """Measure all vectors. As `search` otherwise."""
        found = self._found(generation, queries, k, _exactly(generation))
        return _nothing(len(queries)) if found is None else found

    def vectors(self, generation: Generation, keys: Keys) -> tuple[NDArray[np.bool_], Matrix]:
        """Return vectors of the present moment."""
        known, vectors = self._vectors.vectors(generation.id, keys)
        if generation.space.metric == "cosine" and len(vectors):
            vectors = normalize(vectors)
        return np.isin(np.asarray(keys, np.int64), known), vectors

    def covers(self, generation: Generation) -> bool:
        """Tell whether a search takes about the usual time now: there is a graph, or little to measure."""
        covered, until = self._covered.get(generation.id, (False, 0.0))
        now = time.monotonic()
        if now >= until:
            covered = self._has_few(generation) or self._graphs.is_valid(generation)
            self._covered[generation.id] = covered, now + (COVERED_SECONDS if covered else NOT_COVERED_SECONDS)
        return covered

    def prepare(self, generation: Generation) -> Preparation:
        """Build the graph of a generation that has none, while it is read and written."""
        began, count = time.perf_counter(), self._vectors.count(generation.id)
        built = 0 if self._database.read_only else self._graphs.build(generation, count)
        self._covered.pop(generation.id, None)
        return Preparation(count, built, time.perf_counter() - began)

    def widen(self, generation: Generation) -> bool:
        """Let searches of the graph, those of ``revector.nearest`` too, keep twice as many candidates."""
        if self._database.read_only or not self._graphs.is_valid(generation):
            return False
        note = f"{WIDENED}{generation.id}"
        with self._database.transaction():
            breadth = int(self._database.note(note) or BREADTH)
            if breadth < BROADEST:
                self._database.keep_note(note, str(min(2 * breadth, BROADEST)))
        return breadth < BROADEST

    def check(self, generation: Generation, *, recall: bool = True) -> IndexHealth:
        """Look whether the graph is valid, and measure recall beside exact search."""
        count, state = self._vectors.count(generation.id), self._graphs.state(generation)
        damage = ("a graph is not valid, for its build was cut off",) if state == "invalid" else ()
        shape = {"live": count, "deleted": 0, "levels": 0, "unreachable": 0, "degrees": ()}
        measured = examine(_Examined(self, generation, count), shape, None, _HEALTH_K, BREADTH, SAMPLE if recall else 0)
        return IndexHealth(
            live=count,
            deleted=0,
            graphs=int(state == "valid"),
            scanned=0 if state == "valid" else count,
            damage=damage,
            unreachable=0,
            recall=measured.recall,
            recall_error=measured.recall_error,
            k=_HEALTH_K,
            queries=measured.queries,
            remedy=f"REINDEX INDEX CONCURRENTLY {graph_name(generation)}, in the collection's schema",
        )

    def shape(self, generation: Generation) -> IndexShape:
        """Tell whether there is a graph, or an index of the user's, and how it was built."""
        with self._database.snapshot() as connection:
            table, column = self._graphs.searched(generation)
            return shape_of(driver_of(connection), generation, self._vectors.count(generation.id), table, column)

    def notice(self, generation: Generation) -> str:
        """Return nothing: a graph is never built in the place of another one."""
        return ""

    def prune(self) -> None:
        """Do nothing: graphs go with the tables of their generations."""

    def close(self) -> None:
        """Do nothing: a graph that is being built is built by whoever waits for it."""

    def _set(self, driver: Any, generation: int, breadth: int) -> None:
        """Let the searches of this transaction keep at least so many candidates, and go on where many are dead."""
        statement = _ITERATIVE if self._database.vector_version >= (0, 8) else _BREADTH
        driver.execute(statement, {"breadth": breadth, "generation": str(generation)})

    @contextmanager
    def _walking(self, generation: Generation) -> Iterator[None]:
        """Let a graph of long vectors be used: to read all of these seems cheap to the planner, for they are in TOAST.

        The other way to their order is to sort them.
        """
        if generation.space.dimension <= LARGEST_DIMENSION["vector"]:
            yield
            return
        with self._database.snapshot() as connection:
            driver_of(connection).execute("SET LOCAL enable_sort = off")
            yield
            driver_of(connection).execute("SET LOCAL enable_sort TO DEFAULT")

    def _found(
        self, generation: Generation, queries: NDArray[np.float32], k: int, statement: str, breadth: int = 0
    ) -> Results | None:
        """Return scores and keys; ``None`` where queries found different numbers, or nothing was found."""
        with self._database.snapshot() as connection:
            matrix = matrix_parameter(connection, np.asarray(queries, np.float32))
            parameters = {"queries": matrix, "k": k, "candidates": min(OVERFETCH * k, breadth)}
            cursor = driver_of(connection).cursor(binary=True)
            rows = np.array(cursor.execute(of_generation(statement, generation.id), parameters).fetchall(), _FOUND)
        hits = np.bincount(rows["place"], minlength=len(queries) + 1)[1:]
        if not len(rows) or hits.min() != hits.max():
            return None
        rows = np.sort(rows, order=("place", "distance", "key")).reshape(len(queries), -1)
        is_cosine = generation.space.metric == "cosine"
        scores = np.nan_to_num(1 - rows["distance"]) if is_cosine else -rows["distance"]
        return scores.astype(np.float32), np.ascontiguousarray(rows["key"])

    def _has_few(self, generation: Generation) -> bool:
        with self._database.snapshot() as connection:
            statement, most = of_generation(_AT_MOST, generation.id), {"most": EXACT_LIMIT + 1}
            (some,) = driver_of(connection).execute(statement, most).fetchone()
        return bool(some <= EXACT_LIMIT)


def _exactly(generation: Generation) -> str:
    """Return the statement that measures all vectors, whatever they are stored as."""
    distance = f"vector::vector {_OPERATORS[generation.space.metric]} asked.query"
    return _SEARCH.format(distance=_EXACT.format(distance=distance), rows="{vectors}")


def _near(generation: Generation, over: VectorType | None) -> str:
    """Return the statement that asks a graph over a type: its order has to be said as the graph says it."""
    operator, type_ = _OPERATORS[generation.space.metric], f"{over}({generation.space.dimension})"
    if over == "halfvec":
        rows, stored = _CANDIDATES.format(type=type_, operator=operator, vectors="{vectors}"), "vector"
    else:
        rows, stored = "{vectors}", type_ if over else "vector"
    return _SEARCH.format(distance=f"vector::{stored} {operator} asked.query", rows=rows)


def _nothing(queries: int) -> Results:
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)


class _Examined:
    """What measuring recall asks of an index."""

    def __init__(self, index: PgvectorIndex, generation: Generation, count: int) -> None:
        self._index, self._generation, self._count = index, generation, count

    def __len__(self) -> int:
        return self._count

    def search(self, queries: Any, k: int, *, ef: int | None) -> Results:
        """Search as readers do."""
        return self._index.searched(self._generation, queries, k, ef or BREADTH)

    def search_exact(self, queries: Any, k: int) -> Results:
        """Measure all vectors."""
        return self._index.search_exact(self._generation, queries, k)

    def ids(self) -> NDArray[np.int64]:
        """Return enough keys to draw from."""
        return self._index._vectors.sample(self._generation.id, 4 * SAMPLE, 0)

    def get_vectors(self, ids: Any) -> Matrix:
        """Return the vectors of keys that have one."""
        return self._index.vectors(self._generation, ids)[1]
