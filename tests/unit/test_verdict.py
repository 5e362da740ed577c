"""The decision that follows from a measured lift, and how a verdict reads."""

from __future__ import annotations

import json

import numpy as np
import pytest

from revector.evaluation.alternatives import BOTH, QUERY_MODEL, RESCORED_MAP
from revector.evaluation.decide import SOON_SECONDS, decide
from revector.evaluation.significance import Interval
from revector.evaluation.verdict import Decision, Row, Verdict
from revector.planning.cost import Cost

COST = Cost(10**6, 139.0, 7200.0, 3_200_000_000, 5_300_000_000)


def _decide(low: float, high: float, min_lift: float = 0.0, n: int = 300, same: bool = False) -> Decision:
    lift = Interval((low + high) / 2, low, high, 0.3, n)
    return decide(lift, min_lift, relative=False, same_space=same).decision


def _around(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01, 0.3, 300)


@pytest.mark.parametrize(
    ("low", "high", "min_lift", "expected"),
    [
        (0.03, 0.05, 0.02, Decision.MIGRATE),
        (0.01, 0.05, 0.02, Decision.INCONCLUSIVE),
        (-0.05, 0.01, 0.02, Decision.STAY),
        (-0.05, -0.01, 0.0, Decision.STAY),
        (0.0, 0.0, 0.0, Decision.STAY),
        (-0.02, -0.01, -0.05, Decision.MIGRATE),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, min_lift: float, expected: Decision) -> None:
    assert _decide(low, high, min_lift) is expected


def test_a_handful_of_queries_decides_nothing() -> None:
    decided = decide(Interval(0.2, 0.1, 0.3, 0.1, 8), 0.0, relative=False, same_space=False)
    assert decided.decision is Decision.INCONCLUSIVE
    assert decided.queries_needed == 12
    assert "under 20 queries" in decided.reason


def test_encoders_of_one_space_are_no_reason_to_migrate() -> None:
    assert _decide(0.03, 0.05, same=True) is Decision.STAY


def test_an_inconclusive_verdict_names_the_queries_that_would_settle_it() -> None:
    lift = Interval(0.01, -0.01, 0.03, 0.17, 300)
    decided = decide(lift, 0.0, relative=False, same_space=False)
    deviation = 0.17 * (1 + 2 / np.sqrt(600))
    assert decided.queries_needed == pytest.approx((2.8016 * deviation / 0.01) ** 2 - 300, abs=2)
    asked = f"{decided.queries_needed:,} more judged queries settle a lift that is 0.01 or more off"
    assert f"{asked} with a probability of 80%" in decided.reason
    assert "what was measured" not in decided.reason


def test_a_large_lift_that_few_queries_leave_open_takes_fewer_if_it_is_what_was_measured() -> None:
    decided = decide(Interval(0.08, -0.01, 0.17, 0.3, 50), 0.0, relative=False, same_space=False)
    assert decided.decision is Decision.INCONCLUSIVE
    further = int((2.8016 * 0.36 / 0.08) ** 2 - 50) + 1
    assert decided.reason.endswith(f"with a probability of 80%, {further:,} if the lift is what was measured")
    assert decided.queries_needed is not None
    assert decided.queries_needed > 50 * further


def test_more_of_what_stands_in_for_judgements_settles_nothing() -> None:
    decided = decide(Interval(0.01, -0.01, 0.03, 0.17, 300), 0.0, relative=False, same_space=False, doubt=0.06)
    assert decided.decision is Decision.INCONCLUSIVE
    assert decided.queries_needed is None
    assert decided.reason.endswith("queries that people have judged do")


def test_a_relative_lift_reads_as_a_share() -> None:
    decided = decide(Interval(0.25, 0.2, 0.3, 1.0, 100), 0.1, relative=True, same_space=False)
    assert decided.reason.startswith("lift +25.0% [+20.0%, +30.0%] on 100 judged queries, asked for above +10.0%")


def test_a_bridge_is_worth_it_where_re_embedding_takes_long() -> None:
    said = {"relative": False, "same_space": False, "others": {RESCORED_MAP: _around(0.03)}}
    soon = decide(_around(0.05), 0.0, seconds=SOON_SECONDS, **said)
    late = decide(_around(0.05), 0.0, seconds=2 * SOON_SECONDS, **said)
    useless = decide(_around(0.05), 0.0, seconds=2 * SOON_SECONDS, **{**said, "others": {RESCORED_MAP: _around(0.005)}})
    assert soon.decision is useless.decision is Decision.MIGRATE
    assert late.decision is Decision.BRIDGE_THEN_MIGRATE
    assert late.reason.endswith("a map with re-scoring gives 60% of it on day one")


def test_both_are_kept_only_where_the_new_model_alone_is_not_enough() -> None:
    said = {"relative": False, "same_space": False, "others": {BOTH: _around(0.05)}}
    assert decide(_around(0.01), 0.02, **said).decision is Decision.KEEP_BOTH
    assert decide(_around(0.04), 0.02, **said).decision is Decision.MIGRATE


def test_the_query_model_alone_is_changed_where_re_embedding_adds_nothing_to_it() -> None:
    said = {"relative": False, "same_space": False, "others": {QUERY_MODEL: _around(0.04)}}
    equal, better = (
        decide(_around(0.05), 0.0, over_query_model=_around(gain), **said).decision for gain in (0.005, 0.02)
    )
    assert (equal, better) == (Decision.CHANGE_QUERY_MODEL, Decision.MIGRATE)


@pytest.mark.parametrize(
    ("low", "high", "said"), [(-0.009, 0.008, "practically equivalent"), (-0.05, -0.01, "the new model is worse")]
)
def test_staying_says_whether_the_models_are_alike(low: float, high: float, said: str) -> None:
    lift = Interval((low + high) / 2, low, high, 0.3, 300)
    assert said in decide(lift, 0.01, relative=False, same_space=False).reason


@pytest.fixture
def verdict() -> Verdict:
    stay, best = Interval(0.5, 0.48, 0.52, 0.3, 300), Interval(0.6, 0.58, 0.62, 0.3, 300)
    lift = Interval(0.1, 0.08, 0.12, 0.2, 300)
    decided = decide(lift, 0.02, relative=False, same_space=False)
    return Verdict(
        model="new",
        decision=decided.decision,
        reason=decided.reason,
        metric="nDCG@10",
        ground_truth="300 judged queries, nDCG@10",
        judged_by="people",
        rows=(Row("stay", stay, 0.5 / 0.6, 0.0, 0), Row("re-embed", best, 1.0, 7200.0, COST.target_bytes)),
        lift=lift,
        p_value=0.0001,
        min_lift=0.02,
        relative=False,
        queries_needed=decided.queries_needed,
        notes=("dimension changes from 256 to 384",),
        cost=COST,
    )


def test_a_verdict_is_json(verdict: Verdict) -> None:
    fields = json.loads(json.dumps(verdict.to_json()))
    assert fields["decision"] == "migrate"
    assert fields["rows"][1]["quality"]["high"] == 0.62
    assert fields["cost"]["documents"] == 10**6


def test_a_verdict_reads_as_decision_table_ground_truth_and_notes(verdict: Verdict) -> None:
    lines = str(verdict).splitlines()
    assert lines[0].startswith("MIGRATE: lift +0.1000 [+0.0800, +0.1200] on 300 judged queries")
    assert [line.split()[0] for line in lines[3:5]] == ["stay", "re-embed"]
    assert "83%" in lines[3]
    assert "2.0 h" in lines[4]
    assert "3.2 GB" in lines[4]
    assert lines[-2:] == ["measured on 300 judged queries, nDCG@10", "- dimension changes from 256 to 384"]
