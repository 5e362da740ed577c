"""Vectors too long for a graph of full precision: one of half of it finds candidates, which are measured exactly."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from revector.backends.conformance.samples import write
from revector.backends.opening import open_backend
from revector.backends.postgres import building
from revector.backends.postgres.database import driver_of
from revector.spaces import EmbeddingSpace
from worlds import places_of

ROWS, DIMENSION = 200, 2_100


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 10)
    with places_of("postgres", tmp_path) as places, closing(open_backend(places / "docs")) as backend:
        yield backend


def filled(backend, dimension, metric="cosine", scale=1.0):
    """Return a generation of some vectors, and these."""
    documents = write(backend, *(f"{number}" for number in range(ROWS)))
    keys, hashes = zip(*((document.key, document.content_hash) for document in documents), strict=True)
    space = EmbeddingSpace(model="long", dimension=dimension, revision="1", metric=metric)
    generation = backend.generations.create(space, None)
    vectors = scale * np.random.default_rng(0).normal(size=(ROWS, dimension)).astype(np.float32)
    backend.generations.put(generation.id, keys, hashes, vectors)
    return generation, vectors


def searched(backend, generation, queries, k):
    """Return what a search finds, how often it has used the graph, and what exact search finds."""
    with backend.snapshot() as connection:
        driver = driver_of(connection)
        found = backend.index.search(generation, queries, k)
        graph = f"vectors_{generation.id}_graph"
        (scans,) = driver.execute("SELECT pg_stat_get_xact_numscans(to_regclass(%s))", [graph]).fetchone()
        return found, scans, backend.index.search_exact(generation, queries, k)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e6], ids=["tiny", "usual", "huge"])
def test_a_graph_of_half_the_precision_gives_exact_scores(backend, metric, scale):
    """Whatever the length of a query; stored vectors are of unit length, as those of models are."""
    generation, vectors = filled(backend, DIMENSION, metric, scale=DIMENSION**-0.5)
    assert backend.index.prepare(generation).built == ROWS
    queries = scale * (vectors[:10] + 0.01)
    (scores, keys), scans, (exact_scores, exact_keys) = searched(backend, generation, queries, 5)
    assert scans == len(queries)
    np.testing.assert_array_equal(keys, exact_keys)
    np.testing.assert_array_equal(scores, exact_scores)


def test_what_no_graph_can_hold_is_measured(backend):
    generation, vectors = filled(backend, building.LARGEST_DIMENSION["halfvec"] + 1)
    assert backend.index.prepare(generation).built == 0
    (_, keys), scans, _ = searched(backend, generation, vectors[:3], 2)
    assert (keys[:, 0].tolist(), scans) == (backend.generations.sample(generation.id, ROWS, 0)[:3].tolist(), None)
