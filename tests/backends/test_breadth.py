"""How broad a search of a local graph is: measured when it is built, kept beside it, no broader than it has to be."""

from __future__ import annotations

import numpy as np
import pytest

from revector.backends.local_index import breadth
from revector.index import HnswSnapshot


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    rows = np.random.default_rng(0).standard_normal((6_000, 24)).astype(np.float32)
    path = tmp_path_factory.mktemp("graph") / "1.0a.graph"
    keys = np.arange(len(rows))
    return HnswSnapshot.build(path, [(keys, rows)], 24, expected=len(rows), metric="cosine")


def test_searches_unlike_the_vectors_find_what_they_should(graph):
    queries = np.random.default_rng(1).standard_normal((200, 24)).astype(np.float32)
    assert graph.check(queries, ef=breadth.measured(graph)).recall >= breadth.RECALL - 0.005


def test_it_is_broader_than_stored_vectors_need(graph):
    assert breadth.measured(graph) > graph.tune(breadth.RECALL)


def test_it_is_kept_beside_the_graph(tmp_path):
    breadth.keep(tmp_path / "1.0a.breadth", 300)
    assert breadth.read(tmp_path / "1.0a.breadth") == 300


@pytest.mark.parametrize("content", ["", "many", "-5", "1", "1000000000"])
def test_what_is_not_a_breadth_is_passed_over(tmp_path, content):
    (tmp_path / "1.0a.breadth").write_text(content)
    assert breadth.read(tmp_path / "1.0a.breadth") is None


def test_a_graph_of_an_earlier_release_has_none(tmp_path):
    assert breadth.read(tmp_path / "1.0a.breadth") is None
