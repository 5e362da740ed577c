"""What follows from the evidence of a step."""

from __future__ import annotations

import json

import pytest

from revector.errors import InvalidArgumentError
from revector.rollout import Arm, Counts, Evidence, Histogram, Margins, Moments, Outcome, Ramp, decide
from revector.rollout.sequential import Sums

RAMP = Ramp((0.1, 0.5), min_events=100)
AA, FIRST, LAST = 0, 1, 2


def arm(n: int = 500, *, errors: int = 0, empty: int = 0, milliseconds: float = 10.0, **sums: Moments) -> Arm:
    times = Histogram({round(100 * milliseconds): n - errors})
    return Arm(n, errors, empty, times, **sums)


WELL = Evidence(arm(5_000), arm(), Counts(60, 120), 400)


def test_a_step_without_enough_searches_goes_on() -> None:
    few = Evidence(arm(5_000), arm(99))
    assert decide(RAMP, FIRST, few).outcome is Outcome.CONTINUE


def test_where_there_are_clicks_a_step_sees_enough_of_them_too() -> None:
    few = Evidence(arm(5_000), arm(), Counts(40, 60), undecided=39)
    assert decide(RAMP, FIRST, few).reason == "1 more interleaved answers with clicks are needed"
    assert decide(RAMP, FIRST, few.clicked(0)).outcome is Outcome.NEXT
    assert decide(RAMP, FIRST, few, Margins(preference=None)).outcome is Outcome.NEXT


def test_a_new_arm_that_is_interleaved_as_a_whole_needs_no_searches_of_its_own() -> None:
    alone = Evidence(arm(5_000), preferred=Counts(40, 60), undecided=40)
    assert [decide(RAMP, at, alone).outcome for at in (AA, FIRST)] == [Outcome.NEXT] * 2


def test_clicks_on_equal_rankings_are_not_waited_for() -> None:
    assert decide(RAMP, AA, Evidence(arm(5_000), arm(), undecided=3)).outcome is Outcome.NEXT


@pytest.mark.parametrize(("at", "share"), [(AA, 0.1), (FIRST, 0.5)])
def test_a_step_that_has_shown_nothing_wrong_is_left_for_the_next(at: int, share: float) -> None:
    decision = decide(RAMP, at, WELL)
    assert (decision.outcome, decision.step.share, decision.step.same) == (Outcome.NEXT, share, False)


def test_the_last_step_ends_the_rollout() -> None:
    assert decide(RAMP, LAST, WELL).outcome is Outcome.DONE


REGRESSIONS = {
    "preference": WELL + Evidence(preferred=Counts(0, 200)),
    "errors": Evidence(arm(5_000), arm(errors=60)),
    "zero_results": Evidence(arm(5_000), arm(empty=60)),
    "p99": Evidence(arm(50_000), arm(5_000, milliseconds=20.0)),
    "cost": Evidence(arm(), arm(cost=Moments(500, 50.0, 5.1)) + Arm(), Counts()),
    "reward": Evidence(arm(reward=Moments(500, 300.0, 300.0)), arm(reward=Moments(500, 100.0, 100.0))),
}


@pytest.mark.parametrize("metric", REGRESSIONS)
def test_a_regression_of_any_metric_stops_the_rollout_and_is_named(metric: str) -> None:
    evidence = REGRESSIONS[metric] + Evidence(arm(cost=Moments(500, 0.0, 0.0)) if metric == "cost" else Arm())
    decision = decide(RAMP, FIRST, evidence, Margins(reward=0.1, cost=0.01))
    assert decision.outcome is Outcome.STOP
    assert [finding.metric for finding in decision.findings if finding.worse] == [metric]
    assert str(next(finding for finding in decision.findings if finding.worse)) in decision.reason


def test_what_looks_worse_and_is_not_settled_is_waited_for() -> None:
    decision = decide(RAMP, FIRST, Evidence(arm(5_000), arm(150, errors=2)))
    assert decision.outcome is Outcome.CONTINUE
    assert "searches that fail" in decision.reason


def test_preferences_that_may_well_hide_a_regression_are_waited_for() -> None:
    assert decide(RAMP, FIRST, Evidence(arm(5_000), arm(), Counts(9, 18), 200)).outcome is Outcome.CONTINUE


def test_a_few_preferences_are_no_reason_to_wait() -> None:
    assert decide(RAMP, FIRST, Evidence(arm(5_000), arm(), Counts(0, 3), 100)).outcome is Outcome.NEXT


def test_equal_arms_that_differ_for_the_better_are_not_trusted_either() -> None:
    decision = decide(RAMP, AA, Evidence(arm(5_000, errors=1_000), arm()))
    assert decision.outcome is Outcome.STOP
    assert "the measurement is wrong" in decision.reason


def test_a_gain_is_no_reason_to_stop_later_on() -> None:
    assert decide(RAMP, FIRST, Evidence(arm(5_000, errors=1_000), arm())).outcome is Outcome.NEXT


def test_a_metric_without_a_margin_is_not_looked_at() -> None:
    assert decide(RAMP, FIRST, REGRESSIONS["errors"], Margins(errors=None)).outcome is Outcome.NEXT


def test_evidence_survives_json() -> None:
    evidence = (WELL + Evidence(Arm.search(12.5, empty=True, cost=0.1))).clicked(-1).clicked(0)
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


def test_clicks_are_counted_by_whom_they_prefer() -> None:
    evidence: Sums = Evidence().clicked(1).clicked(-1).clicked(0).clicked(1)
    assert evidence == Evidence(preferred=Counts(2, 3), undecided=1)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), "0.1"])
def test_a_margin_below_nothing_is_refused(margin: object) -> None:
    with pytest.raises(InvalidArgumentError, match="errors"):
        Margins(errors=margin)  # type: ignore[arg-type]
