"""Searches of a graph find more of what is nearest once it was widened: in every process, and in plain SQL."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from psycopg import sql

from revector.backends.conformance.samples import write
from revector.backends.opening import open_backend
from revector.backends.postgres import building, index, serving
from revector.spaces import EmbeddingSpace
from worlds import places_of

psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed")

VECTORS = np.random.default_rng(0).standard_normal((3_000, 32), np.float32)
QUERIES = VECTORS[:40] + 0.5


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 1)
    monkeypatch.setattr(building.Graphs, "options", lambda *_: sql.SQL("WITH (m = 3, ef_construction = 6)"))
    for module in (index, serving):
        monkeypatch.setattr(module, "BREADTH", 10)
    with places_of("postgres", tmp_path) as places:
        yield places / "docs"


@pytest.fixture
def backend(place):
    with closing(open_backend(place)) as backend:
        yield backend


@pytest.fixture
def generation(backend):
    """A generation that serves, with a poor graph."""
    space = EmbeddingSpace(model="random", dimension=32, revision="1")
    documents, generation = write(backend, *map(str, range(3_000))), backend.generations.create(space, None)
    keys, hashes = zip(*((document.key, document.content_hash) for document in documents), strict=True)
    backend.generations.put(generation.id, keys, hashes, VECTORS)
    backend.generations.create_alias("live", generation.id)
    assert backend.index.prepare(generation).built == 3_000
    return generation


def recall(backend, generation, keys):
    _, nearest = backend.index.search_exact(generation, QUERIES, 10)
    return np.mean([np.isin(found, expected) for found, expected in zip(keys, nearest, strict=True)])


def searched(backend, generation):
    return recall(backend, generation, backend.index.search(generation, QUERIES, 10)[1])


def test_a_widened_search_finds_more_in_every_process(backend, generation, place):
    with closing(open_backend(place)) as other:
        before = [searched(one, generation) for one in (backend, other)]
        while backend.index.widen(generation):
            pass
        after = [searched(one, generation) for one in (backend, other)]
    assert max(before) + 0.1 < min(after) > 0.9  # pgvector draws the levels of a graph anew each time


def test_plain_sql_finds_more_too(backend, generation, place):
    server, _, name = place.partition("#")
    nearest = "SELECT id FROM revector.nearest(%s, %s::vector, 10)"

    def found(connection):
        ids = [[id_ for (id_,) in connection.execute(nearest, (name, str(q.tolist())))] for q in QUERIES]
        return recall(backend, generation, [list(backend.documents.keys(row).values()) for row in ids])

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SET hnsw.ef_search = 1")
        before = found(connection)
        while backend.index.widen(generation):
            pass
        after = found(connection)
        assert before + 0.1 < after > 0.9
        assert connection.execute("SHOW hnsw.ef_search").fetchone() == ("1",)


def test_a_search_is_as_wide_as_pgvector_allows_at_most(backend, generation):
    assert [backend.index.widen(generation) for _ in range(8)] == [True] * 7 + [False]


def test_a_generation_without_a_graph_needs_no_wider_search(backend):
    assert not backend.index.widen(backend.generations.create(EmbeddingSpace("flat", 4, "1"), None))


def test_few_vectors_are_put_at_once_where_each_finds_its_place_in_a_graph(backend, generation):
    bare = backend.generations.create(generation.space, None)
    at_once = [backend.generations.rows_at_once(of.id) for of in (generation, bare)]
    assert at_once[0] < 50 < 1_000 < at_once[1]
