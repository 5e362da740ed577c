"""What applications in plain SQL see of a collection: what serves, and any generation that they name."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from revector.backends.conformance.samples import new_generation, put, write
from revector.backends.opening import open_backend
from revector.errors import StoreBusyError
from revector.spaces import EmbeddingSpace
from worlds import places_of

psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed")


@pytest.fixture
def place(tmp_path):
    with places_of("postgres", tmp_path) as places:
        yield places / "docs"


@pytest.fixture
def backend(place):
    with closing(open_backend(place)) as backend:
        yield backend


@pytest.fixture
def application(place):
    """A connection that knows nothing of revector, and the collection's name."""
    server, _, name = place.partition("#")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.prepare_threshold = 0
        yield connection, name


def _served(application):
    connection, name = application
    rows = connection.execute(f'SELECT id, embedding FROM "revector_{name}".serving ORDER BY id').fetchall()
    return [(id_, vector.count(",") + 1) for id_, vector in rows]


def test_the_view_changes_generation_with_the_alias_under_prepared_statements(backend, application):
    """Also where the dimension is another one."""
    documents, old = write(backend, "a", "b"), new_generation(backend)
    new = backend.generations.create(EmbeddingSpace(model="wider", dimension=6, revision="1"), None)
    put(backend, old, documents)
    hashes = [document.content_hash for document in documents]
    backend.generations.put(new.id, [document.key for document in documents], hashes, np.ones((2, 6), np.float32))
    version = backend.generations.create_alias("live", old.id).version
    seen = [_served(application) for _ in range(3)]
    backend.generations.swap_alias("live", new.id, version)
    assert [*seen, _served(application)] == [[("id-a", 4), ("id-b", 4)]] * 3 + [[("id-a", 6), ("id-b", 6)]]


def test_a_query_is_answered_in_the_generation_that_it_names(backend, application):
    """Before and after a cut-over: who embeds asks what serves, and says it again with the query."""
    documents, old, new = write(backend, "a", "b"), new_generation(backend), new_generation(backend)
    put(backend, old, documents)
    put(backend, new, documents[::-1], value=5.0)
    version = backend.generations.create_alias("live", old.id).version
    connection, name = application
    asked = connection.execute("SELECT generation, dimension FROM revector.serving(%s)", [name]).fetchone()
    backend.generations.swap_alias("live", new.id, version)
    nearest = "SELECT id FROM revector.nearest(%s, '[1,1,1,1]', 2, %s)"
    assert asked == (old.id, 4)
    for generation in (*asked[:1], None, new.id):
        assert sorted(connection.execute(nearest, [name, generation]).fetchall()) == [("id-a",), ("id-b",)]


@pytest.mark.parametrize(
    ("query", "generation", "said"), [("[1,1]", None, "dimensions"), ("[1,1,1,1]", 99, "no generation 99")]
)
def test_a_query_of_another_space_is_refused(backend, application, query, generation, said):
    backend.generations.create_alias("live", new_generation(backend).id)
    connection, name = application
    with pytest.raises(psycopg.errors.RaiseException, match=said):
        connection.execute("SELECT * FROM revector.nearest(%s, %s::vector, 2, %s)", [name, query, generation])


def test_a_cut_over_does_not_wait_long_for_a_reader_of_the_view(backend, application):
    """It gives up, and nothing has happened; writers have waited for it no longer than that."""
    old, new = new_generation(backend), new_generation(backend)
    alias = backend.generations.create_alias("live", old.id)
    connection, name = application
    with connection.transaction():
        _served((connection, name))
        with pytest.raises(StoreBusyError, match="still open"):
            backend.generations.swap_alias("live", new.id, alias.version)
    assert backend.generations.alias("live") == alias
    backend.generations.swap_alias("live", new.id, alias.version)


def test_as_many_are_found_as_are_asked_for_whatever_a_graph_looks_at(backend, application):
    """pgvector stops after ``hnsw.ef_search`` rows, 40 unless somebody says more; the settings stay as they were."""
    documents, generation = write(backend, *(f"{number}" for number in range(300))), new_generation(backend)
    keys, hashes = zip(*((document.key, document.content_hash) for document in documents), strict=True)
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    backend.generations.put(generation.id, keys, hashes, vectors)
    backend.generations.create_alias("live", generation.id)
    connection, name = application
    table = f'"revector_{name}".vectors_{generation.id}'
    connection.execute(f"CREATE INDEX ON {table} USING hnsw (vector vector_cosine_ops)")
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET hnsw.ef_search = 60")
    found = connection.execute("SELECT id FROM revector.nearest(%s, '[1,1,1,1]', 250)", [name]).fetchall()
    settings = connection.execute("SELECT current_setting('hnsw.ef_search'), current_setting('enable_sort')").fetchone()
    assert (len(found), settings) == (250, ("60", "on"))
