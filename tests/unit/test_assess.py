"""The comparison of models: who wins when one model plainly knows more, and what nothing may leak."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation import holdout
from revector.evaluation.both import Side, keep_both
from revector.evaluation.exact import topk, topk_of_batches
from revector.evaluation.verdict import Decision, Verdict
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder

WEAK, STRONG = HashEncoder(4, seed=1, name="weak"), HashEncoder(96, seed=2, name="strong")
OTHER = HashEncoder(96, seed=3, name="other")
N, JUDGED = 300, 60
RNG = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(80)]
TEXTS = {f"d{i:03}": " ".join(RNG.choice(WORDS, 6, replace=False)) for i in range(N)}
QUERIES = {f"q{i}": " ".join(text.split()[:3]) for i, text in enumerate(list(TEXTS.values())[:JUDGED])}
QRELS = {f"q{i}": {f"d{i:03}": 1} for i in range(JUDGED)}


def _assess(path: Path, old: HashEncoder = WEAK, new: HashEncoder = STRONG, **options: object) -> Verdict:
    with Collection.open(path / "docs.db", old) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        return collection.assess(new, QUERIES, QRELS, **options)  # type: ignore[arg-type]


def test_a_much_better_model_is_worth_it(tmp_path: Path) -> None:
    verdict = _assess(tmp_path, min_lift=0.1)
    quality = {row.name: row.quality.value for row in verdict.rows}
    assert verdict.decision is Decision.MIGRATE
    assert list(quality) == ["stay", "map", "map + re-score", "re-embed", "keep both"]
    assert quality["re-embed"] - quality["stay"] == pytest.approx(verdict.lift.value)
    assert quality["map"] < quality["re-embed"]
    assert verdict.ground_truth == "60 judged queries, nDCG@10, exact search of 300 of 300 documents"
    assert "dimension changes from 4 to 96" in str(verdict)
    assert json.loads(json.dumps(verdict.to_json()))["decision"] == "migrate"


def test_a_much_worse_model_is_not(tmp_path: Path) -> None:
    assert _assess(tmp_path, old=STRONG, new=WEAK).decision is Decision.STAY


def test_another_model_of_the_same_quality_is_inconclusive_and_names_the_queries_needed(tmp_path: Path) -> None:
    verdict = _assess(tmp_path, old=STRONG, new=HashEncoder(96, seed=3))
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.queries_needed is None or verdict.queries_needed > 0


def test_the_same_contract_under_another_name_is_no_reason(tmp_path: Path) -> None:
    verdict = _assess(tmp_path, new=HashEncoder(4, seed=1, name="renamed"))
    assert verdict.decision is Decision.STAY
    assert verdict.lift.value == 0
    assert "keep the vectors" in verdict.reason


def test_a_relative_threshold_is_a_share_of_the_present_quality(tmp_path: Path) -> None:
    verdict = _assess(tmp_path, relative=True, min_lift=0.5)
    stay, best = (row.quality.value for row in verdict.rows if row.name in ("stay", "re-embed"))
    assert verdict.lift.value == pytest.approx(best / stay - 1)


def test_the_cost_is_that_of_the_whole_collection(tmp_path: Path) -> None:
    verdict = _assess(tmp_path, max_documents=100)
    assert verdict.cost.documents == N
    assert verdict.cost.seconds == pytest.approx(N / verdict.cost.documents_per_second)
    assert [row.extra_bytes > 0 for row in verdict.rows] == [False, True, True, True, True]
    assert [row.texts_a_query for row in verdict.rows] == [0, 0, 50, 0, 0]
    assert all(row.query_seconds > 0 for row in verdict.rows)
    table = [line for line in str(verdict).splitlines() if line.startswith((" " * 10, "stay", "map", "keep both  "))]
    assert max(map(len, table)) <= 80, "a terminal's width"
    assert "exact search of 100 of 300 documents" in verdict.ground_truth


def test_the_same_seed_gives_the_same_verdict(tmp_path: Path) -> None:
    first, second = (_assess(tmp_path, max_documents=100, seed=4) for _ in range(2))
    assert [row.quality for row in first.rows] == [row.quality for row in second.rows]
    assert first.lift == second.lift


def test_all_judged_documents_are_drawn_and_no_more_than_asked(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", WEAK) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        drawn = holdout.draw(collection._backend, 1, QUERIES, QRELS, max_documents=90, seed=0)
    ids = [document.id for document in drawn.documents]
    assert set(list(TEXTS)[:JUDGED]) <= set(ids)
    assert (len(ids), len(set(ids)), len(drawn.old_vectors)) == (90, 90, 90)


def test_judgements_of_unknown_queries_and_documents_are_left_out_and_counted(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", WEAK) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        qrels = {**QRELS, "q0": {"gone": 1}, "unknown": {"d000": 1}}
        verdict = collection.assess(STRONG, QUERIES, qrels)
    assert verdict.lift.n_queries == JUDGED - 1
    assert "2 judged queries without a text or a relevant document here left out" in verdict.notes


@pytest.mark.parametrize(
    ("qrels", "metric", "message"),
    [
        ({"q0": {"gone": 1}}, "nDCG@10", "do the ids"),
        ({}, "nDCG@10", "none of the 0 judged queries"),
        ({"q0": {"d000": 1}}, "nDCG@10", "one judged query"),
        (QRELS, "accuracy", "expected nDCG@k"),
    ],
)
def test_what_can_not_be_measured_is_refused(tmp_path: Path, qrels: dict, metric: str, message: str) -> None:
    with Collection.open(tmp_path / "docs.db", WEAK) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        with pytest.raises(InvalidArgumentError, match=message):
            collection.assess(STRONG, QUERIES, qrels, metric=metric)


def test_a_model_that_gives_nan_is_refused(tmp_path: Path) -> None:
    class Broken(HashEncoder):
        def encode(self, texts, *, kind="document"):
            return super().encode(texts, kind=kind) * np.float32("nan")

    with pytest.raises(EncoderError, match="NaN"):
        _assess(tmp_path, new=Broken(8))


class _Choosy(HashEncoder):
    """Refuses every text that holds a word, and counts the documents that it was asked for."""

    def __init__(self, word: str) -> None:
        super().__init__(96, seed=2, name="choosy")
        self.word, self.asked = word, []

    def encode(self, texts, *, kind="document"):
        if kind == "document":
            self.asked += texts
        if any(self.word in text.split() for text in texts):
            raise EncoderError(f"a text holds {self.word!r}")
        return super().encode(texts, kind=kind)


def test_documents_that_the_candidate_refuses_are_left_out_by_name_and_the_others_are_compared(tmp_path: Path) -> None:
    texts = {**TEXTS, "d100": "poison among others"}
    with Collection.open(tmp_path / "docs.db", WEAK) as collection:
        collection.upsert(list(texts), list(texts.values()))
        verdict = collection.assess(_Choosy("poison"), QUERIES, QRELS, min_lift=0.1)
    assert verdict.decision is Decision.MIGRATE
    assert "299 of 300 documents" in verdict.ground_truth
    assert any("1 document that the candidate refuses" in note and "'d100'" in note for note in verdict.notes)


def test_a_query_that_the_candidate_refuses_stops_the_assessment_before_a_document_is_paid_for(tmp_path: Path) -> None:
    candidate = _Choosy(next(iter(QUERIES.values())).split()[0])
    with pytest.raises(EncoderError, match="a text holds"):
        _assess(tmp_path, new=candidate)
    assert candidate.asked == []


def test_a_map_is_never_judged_on_the_pairs_it_was_fitted_to() -> None:
    rng = np.random.default_rng(5)
    old = rng.standard_normal((120, 40)).astype(np.float32)
    new = rng.standard_normal((120, 40)).astype(np.float32)  # nothing to learn
    mapped = holdout.cross_fitted(old, new, seed=0)
    assert mapped is not None
    unit = new / np.linalg.norm(new, axis=1, keepdims=True)
    assert abs(float(np.einsum("ij,ij->i", mapped, unit).mean())) < 0.05


def test_rescoring_brings_a_map_nearer_to_a_re_embed(tmp_path: Path) -> None:
    quality = {row.name: row.quality.value for row in _assess(tmp_path, old=STRONG, new=OTHER).rows}
    assert quality["map"] < quality["map + re-score"] <= quality["re-embed"] + 0.01


def test_models_that_err_on_different_documents_are_better_together_and_it_says_how_to_weigh_them() -> None:
    rng = np.random.default_rng(3)
    true = rng.standard_normal((400, 24))
    sides = []
    for _ in range(2):  # each model sees the same document and query with noise of its own
        documents = normalize(true + 0.9 * rng.standard_normal(true.shape))
        sides.append(Side(STRONG.space, normalize(true[:200] + 0.9 * rng.standard_normal((200, 24))), documents))
    kept = keep_both(*sides, _first_is_right, 10)
    alone = _first_is_right(list(topk(STRONG.space, sides[1].queries, sides[1].documents, 10)[1]))
    assert 0.3 <= kept.old_weight <= 0.7
    assert _first_is_right(kept.rankings).mean() > alone.mean() + 0.05


def test_a_model_that_adds_nothing_is_given_no_weight() -> None:
    rng = np.random.default_rng(4)
    documents = normalize(rng.standard_normal((400, 24)))
    new = Side(STRONG.space, normalize(documents[:200] + 0.2 * rng.standard_normal((200, 24))), documents)
    old = Side(STRONG.space, normalize(rng.standard_normal((200, 24))), normalize(rng.standard_normal((400, 24))))
    kept = keep_both(old, new, _first_is_right, 10)
    assert (
        _first_is_right(kept.rankings).mean()
        >= _first_is_right(list(topk(STRONG.space, new.queries, documents, 10)[1])).mean() - 0.01
    )
    assert kept.old_weight <= 0.2


def _first_is_right(rankings: list[np.ndarray]) -> np.ndarray:
    """Score 1 where document i is the first one that query i finds."""
    return np.array([float(ranked[0] == place) for place, ranked in enumerate(rankings)])


def test_too_few_pairs_make_no_map() -> None:
    few = np.eye(8, dtype=np.float32)
    assert holdout.cross_fitted(few, few, seed=0) is None


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_exact_search_in_batches_is_exact_search(metric: str) -> None:
    rng = np.random.default_rng(1)
    space = EmbeddingSpace(model="m", dimension=8, revision="r", metric=metric, normalized=False)
    documents = rng.standard_normal((50, 8)).astype(np.float32) * rng.uniform(0.1, 9, (50, 1)).astype(np.float32)
    queries = rng.standard_normal((7, 8)).astype(np.float32)
    batches = [(np.arange(at, min(at + 20, 50)) + 100, documents[at : at + 20]) for at in range(0, 50, 20)]
    scores, rows = topk(space, queries, documents, 5)
    batch_scores, keys = topk_of_batches(space, queries, batches, 5)
    np.testing.assert_array_equal(keys, rows + 100)
    np.testing.assert_allclose(batch_scores, scores, rtol=1e-5)
    norms = np.linalg.norm(documents, axis=1) if metric == "cosine" else 1.0
    np.testing.assert_array_equal(rows[:, 0], np.argmax(queries @ documents.T / norms, axis=1))


def test_exact_search_of_nothing_finds_nothing() -> None:
    space = EmbeddingSpace(model="m", dimension=8, revision="r", metric="dot")
    none = np.empty((0, 8), dtype=np.float32)
    assert topk(space, none, none, 3)[1].shape == (0, 0)
    assert topk_of_batches(space, np.ones((2, 8), dtype=np.float32), [], 3)[1].shape == (2, 0)


def _without_its_model(path: Path) -> Collection:
    with Collection.open(path, WEAK) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
    return Collection.open(path)  # the model was given in memory: nobody can load it again


def test_without_the_present_model_candidates_are_compared_with_each_other(tmp_path: Path) -> None:
    middling = HashEncoder(12, seed=3, name="middling")
    with _without_its_model(tmp_path / "a.db") as docs:
        found = docs.assess([middling, STRONG], QUERIES, QRELS)
    assert [verdict.decision for verdict in found.verdicts] == [Decision.MIGRATE, Decision.MIGRATE]
    assert found.best == 1
    rows = {row.name: row.quality.value for row in found.verdicts[1].rows}
    assert rows["stay"] == 0.0
    assert rows["re-embed"] > 0.5
    assert "keep both" not in rows
    assert any("not at hand: staying finds nothing" in note for note in found.verdicts[1].notes)


@pytest.mark.parametrize(
    ("queries", "options", "takes"),
    [
        (None, {}, "pairs built from the documents"),
        (QUERIES, {"threshold": 0.5}, "threshold"),
        (QUERIES, {"relative": True}, "relative"),
    ],
)
def test_what_takes_the_present_model_is_refused_without_it(
    tmp_path: Path, queries: dict, options: dict, takes: str
) -> None:
    qrels = None if queries is None else QRELS
    refused = pytest.raises(InvalidArgumentError, match=f"not at hand, which {takes} would take")
    with _without_its_model(tmp_path / "a.db") as docs, refused:
        docs.assess(STRONG, queries, qrels, **options)
