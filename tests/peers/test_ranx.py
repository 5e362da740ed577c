"""Metrics and significance beside ranx."""

import warnings

import numpy as np
import pytest

from revector.errors import InvalidArgumentError
from revector.evaluation import significance
from revector.evaluation.metrics import as_array, depth, per_query

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ranx = pytest.importorskip("ranx", reason="ranx is not installed")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

METRICS = {"nDCG@10": "ndcg@10", "MRR@10": "mrr@10", "recall@10": "recall@10", "precision@10": "precision@10"}
METRICS |= {"success@10": "hit_rate@10"}


def random_case(seed):
    """Grades above 0, scores without ties, and ids of queries in their order: ranx has orders of its own."""
    rng = np.random.default_rng(seed)
    documents = [f"d{n}" for n in range(80)]
    qrels = {
        f"q{n:02}": {id_: int(rng.integers(1, 4)) for id_ in rng.choice(documents, rng.integers(1, 15), replace=False)}
        for n in range(50)
    }
    runs = [
        {
            query: dict(zip(rng.permutation(documents)[:40].tolist(), rng.random(40).tolist(), strict=True))
            for query in qrels
        }
        for _ in range(2)
    ]
    return qrels, runs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_are_those_of_ranx(metric, seed):
    try:
        depth(metric)
    except InvalidArgumentError:
        pytest.skip(f"{metric} is no metric here yet")
    qrels, (run, _) = random_case(seed)
    theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), METRICS[metric], return_mean=False)
    np.testing.assert_allclose(as_array(per_query(run, qrels, metric)), theirs, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_randomisation_test_is_that_of_ranx(seed):
    test = getattr(significance, "chance_of_lift", None)
    if test is None:
        pytest.skip("there is no randomisation test here yet")
    from ranx.statistical_tests import fisher_randomization_test

    qrels, runs = random_case(seed)
    old, new = (as_array(per_query(run, qrels, "nDCG@10")) for run in runs)
    theirs, _ = fisher_randomization_test(old, new, n_permutations=10_000, max_p=0.05, random_seed=seed)
    assert test(old, new) == pytest.approx(float(theirs), abs=0.03)
