"""The choice between maps: by what searches find, and for fewer parameters where that is the same."""

import json

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, ShapeError
from revector.evaluation.best_map import fit_best
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, RidgeMap
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

OLD = EmbeddingSpace(model="old", dimension=16, revision="a")
NEW = EmbeddingSpace(model="new", dimension=16, revision="b")


def rotated(n=1500, stretch=1.0, noise=0.02, seed=0):
    """Rows, and their rotation with some noise, the axes stretched by up to a factor."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((16, 16)))[0]
    x = normalize(rng.standard_normal((n, 16)))
    y = (x * np.geomspace(1 / stretch, stretch, 16)) @ turn + noise * rng.standard_normal((n, 16))
    return x, normalize(y)


def test_the_planted_winner_is_found():
    x, y = rotated(stretch=4)
    candidates = {"rotation": Procrustes(), "ridge": RidgeMap(), "rank 2": LowRankMap(2)}
    best, report = fit_best(x, y, candidates=candidates)
    assert isinstance(best, RidgeMap)
    assert report.chosen == "ridge"
    assert [contender.name for contender in report.contenders] == ["ridge", "rotation", "rank 2"]
    lost = report.contenders[1]
    assert lost.behind.low > 0
    assert lost.behind.value == pytest.approx(report.retention.value - lost.retention.value)


def test_ties_go_to_fewer_parameters():
    x, y = rotated()
    _, report = fit_best(
        x, y, candidates={"local": LocalResidualMap(), "rotation": Procrustes(), "low": LowRankMap(16)}
    )
    parameters = {contender.name: contender.n_parameters for contender in report.contenders}
    assert report.chosen == "rotation"
    assert parameters["rotation"] < parameters["low"] < parameters["local"]


class Coarse(Procrustes):
    """A rotation that says it is simpler, and blurs every row a little."""

    n_parameters = 1

    def _apply(self, x, renormalize, precision):
        rows = super()._apply(x, renormalize, precision)
        return normalize(rows + 0.02 * np.random.default_rng(0).standard_normal(rows.shape))


def test_a_simpler_map_is_not_taken_because_chance_could_make_up_for_what_it_loses():
    x, y = rotated(200)
    _, report = fit_best(x, y, candidates={"rotation": Procrustes(), "coarse": Coarse()})
    coarse = next(contender for contender in report.contenders if contender.name == "coarse")
    assert report.chosen == "rotation"
    assert coarse.behind.low <= 0 < coarse.behind.value, "the case that the test is about"


def test_few_pairs_are_held_out_in_turn_and_many_are_not():
    few, many = (fit_best(*rotated(n), candidates={"rotation": Procrustes()})[1] for n in (1000, 5000))
    assert (few.n_queries, many.n_queries) == (5 * 50, 250)


def test_queries_that_are_given_are_asked_in_each_part_and_count_once():
    x, y = rotated(1000)
    _, report = fit_best(x, y, queries=y[:70], candidates={"rotation": Procrustes()})
    assert (report.n_queries, report.n_held_out) == (70, 1000)


def test_the_map_is_fitted_on_all_pairs_and_typed():
    x, y = rotated()
    best, report = fit_best(x, y, candidates={"rotation": Procrustes()}, old_space=OLD, new_space=NEW)
    assert (best.source, best.target) == (OLD, NEW)
    assert (best.diagnostics.n_pairs, report.n_pairs) == (1500, 1500)
    np.testing.assert_array_equal(best.rotation, Procrustes().fit(x, y).rotation)


def test_a_map_for_queries_leads_the_other_way():
    x, y = rotated()
    best, report = fit_best(x, y, serves="queries", candidates={"rotation": Procrustes()}, old_space=OLD, new_space=NEW)
    assert (best.source, best.target) == (NEW, OLD)
    assert report.retention.value > 0.8
    np.testing.assert_allclose(best.rotation, Procrustes().fit(y, x).rotation, atol=1e-6)


def test_real_queries_and_judgements_are_the_ground_truth_if_given():
    x, y = rotated()
    queries = normalize(y[:100] + 0.05 * np.random.default_rng(1).standard_normal((100, 16)))
    judgements = {row: {row: 1} for row in range(100)}
    _, own = fit_best(x, y, queries=queries)
    _, judged = fit_best(x, y, queries=queries, judgements=judgements)
    assert own.ground_truth == "the new model's own top 10"
    assert judged.ground_truth == "the judged quality (nDCG@10)"
    assert own.n_queries == judged.n_queries == 100
    assert 0.9 < judged.retention.value < 1.1


def test_spaces_that_no_map_connects_are_called_so():
    rng = np.random.default_rng(0)
    x, y = (normalize(rng.standard_normal((600, 16))) for _ in range(2))
    _, report = fit_best(x, y)
    assert report.retention.value < 0.3
    assert "too different for a map to serve alone" in report.warning
    assert report.warning in str(report)


def test_a_map_that_keeps_nearly_everything_has_no_warning():
    _, report = fit_best(*rotated(noise=0.002))
    assert report.warning is None
    assert report.residual < 0.05
    assert 10 < report.effective_rank <= 16
    assert 1 <= report.condition < 100


def test_a_report_is_plain_json():
    _, report = fit_best(*rotated(400), candidates={"rotation": Procrustes()})
    fields = json.loads(json.dumps(report.to_json()))
    assert fields["chosen"] == "rotation"
    assert fields["n_held_out"] + fields["n_queries"] == 400, "five fifths, in turn"


def test_candidates_are_left_as_they_were():
    x, y = rotated(400)
    candidate = Procrustes(source=OLD)
    fit_best(x, y, candidates={"rotation": candidate})
    assert candidate.source == OLD
    with pytest.raises(InvalidArgumentError, match="never fitted"):
        candidate.transform(x)


def test_the_same_seed_gives_the_same_report():
    x, y = rotated(400)
    candidates = {"rotation": Procrustes()}
    assert fit_best(x, y, candidates=candidates)[1] == fit_best(x, y, candidates=candidates)[1]


def test_what_can_not_be_compared_is_refused():
    x, y = rotated(400)
    with pytest.raises(InvalidArgumentError, match="got 199 pairs, expected at least 200"):
        fit_best(x[:199], y[:199])
    with pytest.raises(ShapeError, match="rows of new"):
        fit_best(x, y[:-1])
    with pytest.raises(InvalidArgumentError, match="no candidates"):
        fit_best(x, y, candidates={})
    with pytest.raises(InvalidArgumentError, match="serves is 'both'"):
        fit_best(x, y, serves="both")


@pytest.mark.parametrize(
    ("judgements", "message"),
    [
        ({0: {400: 1}}, "outside the 400 pairs"),
        ({0: {3: 0}}, "no relevant row"),
        ({9: {3: 1}}, "outside the 5 given"),
        ({i % 5: dict.fromkeys(range(i % 5, 400, 5), 1) for i in range(5)}, "400 of 400 pairs are judged"),
    ],
)
def test_judgements_that_do_not_fit_are_refused(judgements, message):
    x, y = rotated(400)
    with pytest.raises(InvalidArgumentError, match=message):
        fit_best(x, y, queries=y[:5], judgements=judgements)


def test_judgements_without_queries_are_refused():
    x, y = rotated(400)
    with pytest.raises(InvalidArgumentError, match="pass queries="):
        fit_best(x, y, judgements={0: {1: 1}})
