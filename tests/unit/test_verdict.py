"""The decision that follows from a measured lift, and how a verdict reads."""

from __future__ import annotations

import json

import pytest

from revector.evaluation.significance import Interval
from revector.evaluation.verdict import Decision, Row, Verdict, decide
from revector.planning.cost import Cost

COST = Cost(10**6, 139.0, 7200.0, 3_200_000_000, 5_300_000_000)


def _decide(low: float, high: float, min_lift: float = 0.0, n: int = 300, same: bool = False) -> Decision:
    lift = Interval((low + high) / 2, low, high, 0.3, n)
    return decide(lift, min_lift, relative=False, same_space=same)[0]


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
    decision, reason, needed = decide(Interval(0.2, 0.1, 0.3, 0.1, 8), 0.0, relative=False, same_space=False)
    assert decision is Decision.INCONCLUSIVE
    assert needed == 12
    assert "under 20 queries" in reason


def test_encoders_of_one_space_are_no_reason_to_migrate() -> None:
    assert _decide(0.03, 0.05, same=True) is Decision.STAY


def test_an_inconclusive_verdict_names_the_queries_that_would_settle_it() -> None:
    lift = Interval(0.01, -0.01, 0.03, 0.17, 300)
    _, reason, needed = decide(lift, 0.0, relative=False, same_space=False)
    assert needed is not None
    assert f"about {needed:,} more judged queries settle it with a probability of 80%" in reason


def test_a_lift_within_a_standard_error_of_the_threshold_may_take_more_than_anybody_asks() -> None:
    decision, reason, needed = decide(Interval(0.0, -0.1, 0.1, 0.3, 50), 0.0, relative=False, same_space=False)
    assert decision is Decision.INCONCLUSIVE
    assert needed == pytest.approx(50 * (1.96 / 0.2533) ** 2, rel=0.01)
    assert f"more than {needed:,} more judged queries" in reason


def test_a_relative_lift_reads_as_a_share() -> None:
    _, reason, _ = decide(Interval(0.25, 0.2, 0.3, 1.0, 100), 0.1, relative=True, same_space=False)
    assert reason.startswith("lift +25.0% [+20.0%, +30.0%] on 100 judged queries, asked for above +10.0%")


@pytest.fixture
def verdict() -> Verdict:
    stay, best = Interval(0.5, 0.48, 0.52, 0.3, 300), Interval(0.6, 0.58, 0.62, 0.3, 300)
    lift = Interval(0.1, 0.08, 0.12, 0.2, 300)
    decision, reason, needed = decide(lift, 0.02, relative=False, same_space=False)
    return Verdict(
        decision=decision,
        reason=reason,
        metric="nDCG@10",
        ground_truth="300 judged queries, nDCG@10",
        rows=(Row("stay", stay, 0.5 / 0.6, 0.0, 0), Row("re-embed", best, 1.0, 7200.0, COST.target_bytes)),
        lift=lift,
        min_lift=0.02,
        relative=False,
        queries_needed=needed,
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
