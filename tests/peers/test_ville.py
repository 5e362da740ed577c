"""Confidence sequences beside those of ville, which has them from the same articles."""

import math

import numpy as np
import pytest

from revector.rollout.sequential import BEST_AT, NEAR_HALF, UNKNOWN, Counts, Moments, log_evidence, mean_difference

ville = pytest.importorskip("ville")

pytestmark = pytest.mark.peers

ALPHA, N = 0.05, 3_000


@pytest.mark.parametrize("prior", [UNKNOWN, NEAR_HALF])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_shares_have_the_same_interval_at_all_times(share, prior):
    hits = (np.random.default_rng(1).random(N) < share).astype(float)
    theirs = ville.BernoulliCS(ALPHA, prior=prior, intersect=False).fit(hits)
    for n in (1, 2, 17, 100, 1_000, N):
        ours = Counts(int(hits[:n].sum()), n).share(ALPHA, prior)
        assert (ours.low, ours.high) == pytest.approx((theirs.lower_[n - 1], theirs.upper_[n - 1]), abs=1e-9)


def test_the_evidence_against_a_share_is_the_same():
    hits = (np.random.default_rng(2).random(N) < 0.98).astype(float)
    theirs = ville.BernoulliTest(0.99, prior=(124.0, 1.0)).fit(hits)
    ours = log_evidence(int(hits.sum()), N, 0.99, (124.0, 1.0))
    assert ours == pytest.approx(theirs.log_e_values_[-1], rel=1e-9)


@pytest.mark.parametrize("n", [BEST_AT, N, 10_000])
def test_a_difference_of_means_is_as_sure_as_theirs(n):
    """They know the propensity and center by running means; the two arms have one variance, so both reach as far."""
    rng = np.random.default_rng(3)
    values, treated = rng.normal(5.0, 2.0, n), rng.permutation(n) < n / 2
    theirs = ville.AsymptoticABTest(ALPHA, propensity=0.5, t_opt=BEST_AT).fit(values + 0.3 * treated, treated)
    arms = [(values + 0.3 * treated)[treated == arm] for arm in (False, True)]
    ours = mean_difference(*(Moments(len(arm), arm.sum(), (arm**2).sum()) for arm in arms), ALPHA)
    low, high = theirs.interval()
    assert ours.high - ours.low == pytest.approx(high - low, rel=0.05)
    assert math.isclose(ours.value, theirs.estimate_[-1], abs_tol=(high - low) / 10)
