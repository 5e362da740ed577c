"""A user's column of half precision, or an index of it: adopted, moved there and back, and given back as it was."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import psycopg
import pytest

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres import building
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.backend import PostgresBackend
from revector.backends.postgres.database import driver_of
from revector.backends.postgres.database.places import place_of
from revector.errors import NumericalError
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder
from user_tables import new_database

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
ROWS = 300
HALF = 2.0**-11
"""The relative error of half precision."""


class Shape(NamedTuple):
    """A column, its graph, and the type that a generation's vectors are in."""

    column: str
    graph: str
    stored: str


SHAPES = {
    "a column": Shape("halfvec(8)", "(embedding halfvec_cosine_ops)", "halfvec"),
    "an index": Shape("vector(8)", "(((embedding)::halfvec(8)) halfvec_cosine_ops)", "vector"),
    "a column without a dimension": Shape("halfvec", "(((embedding)::halfvec(8)) halfvec_cosine_ops)", "halfvec"),
}


class Shop:
    """An application's table in a database of its own, whose graphs are of half precision."""

    def __init__(self, url, shape):
        self.url, self.shape = url, shape
        self.connection = psycopg.connect(url, autocommit=True)
        self.run("CREATE EXTENSION vector")
        self.run(f"CREATE TABLE docs (id bigint PRIMARY KEY, body text, embedding {shape.column})")
        texts = [f"text number {number}" for number in range(ROWS)]
        vectors = [str(vector) for vector in OLD.encode(texts).tolist()]
        self.run(
            "INSERT INTO docs SELECT * FROM unnest(%s::int[], %s::text[], %s::vector[])", range(ROWS), texts, vectors
        )
        self.run(f"CREATE INDEX docs_graph ON docs USING hnsw {shape.graph} WITH (m='8')")

    def run(self, statement, *parameters):
        return self.connection.execute(statement, [*map(_listed, parameters)] or None)

    def adopt(self):
        table = TableToAdopt("public.docs", "id", ("body",), "embedding", name="docs")
        return adopt(self.url, table, [OLD, NEW], dry_run=False, accept_unidentified=False, tell=lambda _: None)

    @contextmanager
    def opened(self):
        with Collection.open(f"{self.url}#docs", encoders=[OLD, NEW]) as docs:
            yield docs

    def type_of(self, table, column):
        asked = (
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
        )
        return self.run(asked, table, column).fetchone()[0]


def _listed(parameter):
    return list(parameter) if isinstance(parameter, range) else parameter


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 10)


@pytest.fixture(params=SHAPES)
def shop(server, request):
    with new_database(server) as connection:
        place = place_of(f"{server}#docs")
        own = replace(place, connection={**place.connection, "dbname": connection.info.dbname})
        shop = Shop(own.url.partition("#")[0], SHAPES[request.param])
        yield shop
        shop.connection.close()


def scans_of(driver, graph):
    """Return how often an index was used by a session, in the open transaction and perhaps some before it."""
    return driver.execute("SELECT pg_stat_get_xact_numscans(%s::regclass)", [graph]).fetchone()[0]


def assert_found_by_a_graph(docs, model, graph):
    """The nearest of some texts are found, in this order, as when all vectors are measured."""
    backend = docs._backend
    generation = backend.generations.get(backend.generations.alias("live").generation)
    queries = model.encode([f"text number {number}" for number in range(0, ROWS, 30)])
    with backend.snapshot() as connection:
        driver = driver_of(connection)
        driver.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        before = scans_of(driver, graph)
        scores, keys = backend.index.search(generation, queries, 5)
        scans = scans_of(driver, graph) - before
        exact_scores, exact_keys = backend.index.search_exact(generation, queries, 5)
    assert scans == len(queries)
    assert backend.index.shape(generation).options["m"] == "8"
    np.testing.assert_allclose(scores, exact_scores, atol=1e-6)
    assert (keys[:, 0] == exact_keys[:, 0]).all()


def test_a_table_is_moved_there_and_back_and_given_back_with_half_the_precision(shop):
    shop.adopt()
    with shop.opened() as docs:
        assert_found_by_a_graph(docs, OLD, "public.docs_graph")
        migration = docs.migrate(NEW, retention_seconds=0)
        for verb in ("start", "run", "verify", "cutover"):
            getattr(migration, verb)()
        assert_found_by_a_graph(docs, NEW, "revector_docs.vectors_2_graph")
        assert shop.type_of("revector_docs.vectors_2", "vector") == f"{shop.shape.stored}(12)"
        assert shop.type_of("revector_docs.vectors_2_graph", "vector") == "halfvec(12)"
        migration.rollback()
        assert_found_by_a_graph(docs, OLD, "public.docs_graph")
        for verb in ("start", "run", "verify", "cutover"):
            getattr(migration, verb)()
        migration.retire(confirm=True)
    options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False}
    released = PostgresBackend.release(f"{shop.url}#docs", tell=lambda _: None, **options)
    assert (released.indexes, released.left_out) == (("public.docs_graph",), ())
    assert shop.type_of("docs", "embedding") == shop.shape.column.replace("8", "12")
    (definition,) = shop.run("SELECT pg_get_indexdef('docs_graph'::regclass)").fetchone()
    assert definition.endswith(f"ON public.docs USING hnsw {shop.shape.graph.replace('8', '12')} WITH (m='8')")
    rows = shop.run("SELECT body, embedding::vector::float4[] FROM docs ORDER BY id").fetchall()
    vectors = np.array([vector for _, vector in rows], np.float32)
    np.testing.assert_allclose(vectors, NEW.encode([body for body, _ in rows]), rtol=HALF)


def test_plain_sql_finds_the_nearest_by_a_graph_of_either_generation(shop):
    shop.adopt()
    with shop.opened() as docs:
        migration = docs.migrate(NEW)
        for verb in ("start", "run", "verify", "cutover"):
            getattr(migration, verb)()
    shop.run("SET enable_seqscan = off")
    shop.run("SET enable_sort = off")
    nearest = "SELECT id, distance FROM revector.nearest('docs', %s::vector, 3, %s)"
    for generation, model, graph in ((1, OLD, "public.docs_graph"), (2, NEW, "revector_docs.vectors_2_graph")):
        query = str(model.encode(["text number 77"])[0].tolist())
        with shop.connection.transaction():
            before = scans_of(shop.connection, graph)
            (nearest_one, distance), *others = shop.run(nearest, query, generation).fetchall()
            scans = scans_of(shop.connection, graph) - before
        assert (nearest_one, len(others), scans) == ("77", 2, 1)
        assert abs(distance) < HALF


@pytest.mark.parametrize("shop", ["a column"], indirect=True)
@pytest.mark.parametrize("value", [65_520.0, -1e30, 2.0**-25])
def test_vectors_that_half_precision_cannot_hold_are_refused_before_anything_is_written(shop, value):
    shop.adopt()
    with shop.opened() as docs:
        generations, (row,) = docs._backend.generations, docs._backend.documents.by_id(["7"])
        new = generations.create(EmbeddingSpace(model="any", dimension=2, revision="1"), None)
        vectors = np.array([[0, 1], [0, value]], np.float32)
        with pytest.raises(NumericalError, match=rf"of document {row.key} is .*; nothing was written"):
            generations.put(new.id, [row.key - 1, row.key], [row.content_hash] * 2, vectors)
        assert generations.count(new.id) == 0


@pytest.mark.parametrize("shop", ["a column"], indirect=True)
def test_every_number_of_half_precision_is_kept(shop):
    shop.adopt()
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    numbers = halves[np.isfinite(halves)].astype(np.float32)[: 62 * 1024].reshape(62, 1024)
    with shop.opened() as docs:
        generations, rows = docs._backend.generations, next(docs._backend.documents.scan(62))
        new = generations.create(EmbeddingSpace(model="any", dimension=1024, revision="1"), None)
        keys = [row.key for row in rows]
        assert generations.put(new.id, keys, [row.content_hash for row in rows], numbers) == 62
        known, vectors = generations.vectors(new.id, keys)
        assert known.tolist() == keys
        np.testing.assert_array_equal(vectors, numbers)
