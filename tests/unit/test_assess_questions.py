"""What else can be asked of an assessment: several candidates, kinds of queries, a pipeline, a threshold."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.evaluation.verdict import ASSESSMENT, Assessment, Decision, Verdict
from revector.formats.judgements import Judgements
from revector.testing import HashEncoder

WEAK, STRONG = HashEncoder(4, seed=1, name="weak"), HashEncoder(96, seed=2, name="strong")
N, JUDGED = 200, 60
RNG = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(80)]
TEXTS = {f"d{i:03}": " ".join(RNG.choice(WORDS, 6, replace=False)) for i in range(N)}
QUERIES = {f"q{i}": " ".join(text.split()[: 2 + i % 2]) for i, text in enumerate(list(TEXTS.values())[:JUDGED])}
QRELS = {f"q{i}": {f"d{i:03}": 1} for i in range(JUDGED)}


@pytest.fixture
def docs(tmp_path: Path) -> Any:
    with Collection.open(tmp_path / "docs.db", WEAK) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()), [{"tenant": "ab"[i // 100]} for i in range(N)])
        yield docs


def _quality(verdict: Verdict, name: str, pipeline: str = "") -> float:
    return next(row.quality.value for row in verdict.rows if (row.name, row.pipeline) == (name, pipeline))


def test_of_several_candidates_the_best_one_is_taken(docs: Collection) -> None:
    poor = HashEncoder(3, seed=5, name="poor")
    found = docs.assess([poor, STRONG], QUERIES, QRELS, min_lift=0.1)
    assert isinstance(found, Assessment)
    assert [verdict.decision.moves for verdict in found.verdicts] == [False, True]
    assert (found.best, found.reason) == (1, "strong: migrate")
    assert found.verdicts[1].lift.confidence == pytest.approx(0.975), "both intervals hold together"
    assert str(found).startswith("strong: migrate\n\npoor\n")


def test_of_equal_candidates_the_one_that_takes_less_time_is_taken(docs: Collection) -> None:
    class Slow(HashEncoder):
        def encode(self, texts, *, kind="document"):
            time.sleep(0.001 * len(texts))
            return super().encode(texts, kind=kind)

    found = docs.assess([Slow(96, seed=2, name="slow"), STRONG], QUERIES, QRELS)
    assert found.best == 1


def test_nothing_is_taken_where_no_candidate_is_worth_it(docs: Collection) -> None:
    found = docs.assess([HashEncoder(4, seed=1, name="same"), HashEncoder(2, name="tiny")], QUERIES, QRELS)
    assert (found.best, found.reason) == (None, "no candidate is worth a migration")


def test_the_last_assessment_is_kept_with_the_collection_as_json(docs: Collection) -> None:
    verdict = docs.assess(STRONG, QUERIES, QRELS)
    kept = docs._backend.ledger.notes.get(ASSESSMENT)
    assert kept["verdicts"] == [json.loads(json.dumps(verdict.to_json()))]
    assert kept["measured_at"] > 0


def test_every_query_is_in_the_verdict_and_those_that_changed_most_with_what_was_found(docs: Collection) -> None:
    verdict = docs.assess(STRONG, QUERIES, QRELS)
    assert [each.id for each in verdict.queries] == list(QUERIES)
    lifts = [each.new - each.old for each in verdict.better]
    assert lifts == sorted(lifts, reverse=True)
    assert lifts[0] == max(each.new - each.old for each in verdict.queries)
    first = verdict.better[0]
    assert [shown.text for shown in first.by_new] == [TEXTS[shown.id] for shown in first.by_new]
    assert first.by_new[0].grade == 1
    assert all(each.new < each.old for each in verdict.worse)
    assert "queries got better" in str(verdict)


def test_queries_are_compared_by_length_by_facet_and_by_what_answers_them(docs: Collection) -> None:
    language = {query: "en" if place < 30 else "de" for place, query in enumerate(QUERIES)}
    judged = Judgements(QUERIES, QRELS, facets={"language": language})
    verdict = docs.assess(STRONG, judged, slice_by=["tenant"])
    found = {(each.by, each.value): each for each in verdict.slices}
    assert set(found) == {
        ("length", "1-2 words"),
        ("length", "3-5 words"),
        ("language", "en"),
        ("language", "de"),
    }, "a tenant has all queries"
    english = [each for each in verdict.queries if language[each.id] == "en"]
    assert found["language", "en"].n_queries == 30
    assert found["language", "en"].new == pytest.approx(np.mean([each.new for each in english]))
    assert all(each.p_adjusted >= each.p_value for each in verdict.slices)


def test_a_kind_of_query_that_gets_worse_is_named(docs: Collection) -> None:
    class OnlyLong(HashEncoder):
        """Understands queries of three words, and nothing of those of two."""

        def encode(self, texts, *, kind="document"):
            short = kind == "query"
            return super().encode(["?" if short and len(text.split()) < 3 else text for text in texts], kind=kind)

    docs.migrate(STRONG).start()
    docs.migration.run()
    docs.migration.verify()
    docs.migration.cutover()
    verdict = docs.assess(OnlyLong(96, seed=2, name="only long"), QUERIES, QRELS)
    assert [each.value for each in verdict.slices if each.is_worse] == ["1-2 words"]
    assert "- worse for length 1-2 words: -" in str(verdict)


def test_the_verdict_is_on_the_whole_pipeline(docs: Collection) -> None:
    class Oracle:
        """Knows which document begins with the query."""

        asked = 0

        def score(self, query, texts):
            self.asked += len(texts)
            return np.array([float(text.startswith(query)) for text in texts])

    oracle = Oracle()
    verdict = docs.assess(STRONG, QUERIES, QRELS, bm25=True, reranker=oracle, rerank_documents=20)
    assert list(dict.fromkeys(row.pipeline for row in verdict.rows)) == [
        "",
        "fused with BM25",
        "fused with BM25, re-ranked",
    ]
    assert _quality(verdict, "stay", "fused with BM25") > _quality(verdict, "stay") + 0.1
    whole = "fused with BM25, re-ranked"
    assert verdict.lift.value == pytest.approx(_quality(verdict, "re-embed", whole) - _quality(verdict, "stay", whole))
    assert f"nDCG@10, {whole}, exact search" in verdict.ground_truth
    assert 0 < oracle.asked < 5 * 20 * JUDGED, "a document is shown once, whatever finds it"
    assert max(map(len, str(verdict).splitlines()[2:20])) <= 80


def test_a_document_is_shown_to_a_reranker_once_for_all_candidates(docs: Collection) -> None:
    shown: list[tuple[str, str]] = []

    class Noted:
        def score(self, query, texts):
            shown.extend((query, text) for text in texts)
            return np.array([float(text.startswith(query)) for text in texts])

    docs.assess([STRONG, HashEncoder(64, seed=7)], QUERIES, QRELS, reranker=Noted(), rerank_documents=10)
    assert len(set(shown)) == len(shown) > 0


def test_bm25_that_finds_nothing_leaves_the_order_as_it_is(docs: Collection) -> None:
    strange = {query: f"unheard{place}" for place, query in enumerate(QUERIES)}
    verdict = docs.assess(STRONG, strange, QRELS, bm25=True)
    assert _quality(verdict, "stay", "fused with BM25") == pytest.approx(_quality(verdict, "stay"))


def test_a_threshold_is_measured_under_both_models(docs: Collection) -> None:
    verdict = docs.assess(STRONG, QUERIES, QRELS, threshold=0.9)
    old, new = verdict.separability["old"], verdict.separability["new"]
    assert old.threshold == 0.9
    assert new.threshold < 0.9, "the new model's scores are lower"
    assert new.separates
    assert new.best_f1 > old.best_f1


def test_that_no_threshold_separates_is_a_finding(docs: Collection) -> None:
    class Blind(HashEncoder):
        """Gives every text the same vector."""

        def encode(self, texts, *, kind="document"):
            return super().encode(["?"] * len(texts), kind=kind)

    verdict = docs.assess(Blind(8), QUERIES, QRELS, threshold=0.5)
    assert not verdict.separability["new"].separates
    assert "threshold, new model: 1.000: precision" in str(verdict)
    assert "no threshold separates relevant hits from others" in str(verdict)


def test_the_new_model_for_queries_alone_is_a_row_where_dimensions_are_equal(docs: Collection) -> None:
    class BetterQueries(HashEncoder):
        """Gives documents what the serving model gives, and turns queries toward what they look for."""

        def encode(self, texts, *, kind="document"):
            rows = super().encode(texts, kind=kind)
            if kind == "query":
                whole = {text: next((each for each in TEXTS.values() if each.startswith(text)), text) for text in texts}
                rows = super().encode([whole[text] for text in texts], kind=kind)
            return rows + np.float32(1e-1) * np.roll(rows, 1, axis=1) if kind == "document" else rows

    better = BetterQueries(4, seed=1)
    better.space = replace(better.space, query_prefix="query: ")
    verdict = docs.assess(better, QUERIES, QRELS)
    assert _quality(verdict, "query model") > _quality(verdict, "stay") + 0.3
    assert verdict.decision in (Decision.CHANGE_QUERY_MODEL, Decision.MIGRATE)
    assert all(row.name != "query model" for row in docs.assess(STRONG, QUERIES, QRELS).rows)


def test_doubt_about_the_judgements_widens_the_interval_and_is_said(docs: Collection) -> None:
    sure = docs.assess(STRONG, QUERIES, QRELS)
    unsure = docs.assess(STRONG, Judgements(QUERIES, QRELS, "clicks", ("by clicks alone",), doubt=0.2))
    assert unsure.lift.value == sure.lift.value
    assert unsure.lift.low < sure.lift.value - 1.9 * 0.2 < sure.lift.low
    assert "judged by clicks\n" in str(unsure)
    assert "- by clicks alone" in str(unsure)
    assert "judged by" not in str(sure)


def test_rows_have_the_usual_metrics(docs: Collection) -> None:
    row = docs.assess(STRONG, QUERIES, QRELS).rows[0]
    assert list(row.metrics) == ["precision@10", "recall@10", "MRR@10", "nDCG@10", "success@10"]
    assert row.metrics["recall@10"] == row.metrics["success@10"] == pytest.approx(10 * row.metrics["precision@10"])
    assert row.metrics["nDCG@10"] == pytest.approx(row.quality.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"reranker": object()}, "expected an object with score"),
        ({"rerank_documents": 0}, "rerank_documents is 0"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"slice_by": "tenant"}, "slice_by"),
        ({"bm25": 1}, "bm25 is 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(docs: Collection, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        docs.assess(STRONG, QUERIES, QRELS, **asked)
    with pytest.raises(InvalidArgumentError, match="no candidate"):
        docs.assess([], QUERIES, QRELS)
    with pytest.raises(InvalidArgumentError, match="come together"):
        docs.assess(STRONG, QUERIES)


def test_without_judged_queries_pairs_are_built_from_the_documents_and_the_interval_is_wide(tmp_path: Path) -> None:
    texts = [f"About {text[:17]} it is. The rest is {text} and more." for text in TEXTS.values()]
    with Collection.open(tmp_path / "built.db", WEAK) as docs:
        docs.upsert(list(TEXTS), texts)
        verdict = docs.assess(STRONG)
    assert verdict.judged_by == "pairs built from the documents"
    assert verdict.lift.high - verdict.lift.low > 2 * 1.95 * 0.06
    assert any("the query is taken out of the document" in note for note in verdict.notes)
