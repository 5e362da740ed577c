"""Graphs that the installed faiss writes, searched by both."""

import numpy as np
import pytest

from revector import HnswIndex

faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("m", [4, 16, 48])
def test_we_find_as_much_in_a_graph_of_faiss_as_faiss_does(metric, m, tmp_path):
    rng = np.random.default_rng(m)
    x, queries = (rng.standard_normal((n, 24), dtype=np.float32) for n in (3000, 200))
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    theirs = faiss.IndexHNSWFlat(24, m, kind)
    theirs.add(x)
    theirs.hnsw.efSearch = 60
    faiss.write_index(theirs, str(tmp_path / "index"))
    ours = HnswIndex.load_faiss(tmp_path / "index")
    assert ours.metric == metric
    expected = ours.search_exact(queries, 10)[1]

    def recall(found):
        return (found[:, :, None] == expected[:, None, :]).any(1).mean()

    assert recall(ours.search(queries, 10, ef=60)[1]) >= recall(theirs.search(queries, 10)[1]) - 0.01
