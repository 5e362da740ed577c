"""Intervals that hold however often one looks: confidence sequences of shares, quantiles and means.

With probability 1 - alpha an interval holds the truth at *all* times at once, so a rollout may be looked at after each
event and stopped at any of them. Three kinds, all from sums, which processes can keep apart and add up:

- A share of yes and no: the beta-binomial mixture martingale, exact (H. Robbins, "Statistical Methods Related to the
  Law of the Iterated Logarithm", Ann. Math. Stat. 41(5), 1970; S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon,
  "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Stat. 49(2), 2021).
- A quantile: the same martingale for the share of values below it, exact up to the width of a bin (S. Howard,
  A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification",
  Bernoulli 28(3), 2022).
- A difference of means of anything with a variance: the asymptotic confidence sequence (I. Waudby-Smith, D. Arbour,
  R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Ann. Stat.
  52(6), 2024, theorem 2.2), from `MIN_OF_A_MEAN` values of each arm on.

Every value counts as drawn by itself. Where one user asks a hundred times, the hundred are less than that, and the
intervals are too short by as much.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TypeVar

__all__ = [
    "Counts",
    "Estimate",
    "Histogram",
    "Moments",
    "Sums",
    "difference",
    "log_evidence",
    "mean_difference",
    "ratio",
]

Self = TypeVar("Self", bound="Sums")  # typing.Self needs Python 3.11

MIN_OF_A_MEAN = 50
"""With fewer values in an arm, the interval of a difference of means is the whole line."""
BEST_AT = 1_000
"""Values at which the intervals of quantiles and means are as short as they can be; elsewhere they are a bit longer."""
BINS_A_DECADE = 100
"""Bins of a histogram are 2.3 % wide."""
UNKNOWN = (0.5, 0.5)
NEAR_HALF = (12.0, 12.0)
"""Mixtures (beta distributions) for a share of which nothing is known, and for one that is not far from one half."""
_HALVINGS = 40  # of the line from 0 to 1: to 1e-12


@dataclass(frozen=True)
class Estimate:
    """A value with the interval that holds at all times.

    Parameters
    ----------
    value : float
        What was measured; NaN where nothing was.
    low, high : float
        Ends of the interval, which may be infinite.
    n : int
        Values that it is made of, the fewer ones where two arms are compared.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return the value with the ends of its interval."""
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Sums:
    """What can be counted apart and added up, field by field."""

    def __add__(self: Self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class Counts(Sums):
    """Hits among n trials.

    Parameters
    ----------
    hits, n : int
        How many there were.
    """

    hits: int = 0
    n: int = 0

    def share(self, alpha: float, prior: tuple[float, float] = UNKNOWN) -> Estimate:
        """Return the share of hits.

        Parameters
        ----------
        alpha : float
            Probability that the truth ever leaves the interval, at most.
        prior : tuple of float
            Of the mixture, chosen before anything was seen.
        """
        if not self.n:
            return Estimate(math.nan, 0.0, 1.0, 0)
        return Estimate(self.hits / self.n, *_ends(self.hits, self.n, alpha, prior), self.n)


@dataclass(frozen=True)
class Moments(Sums):
    """Count, sum and sum of squares of some values.

    Parameters
    ----------
    n : int
        Values.
    total, squares : float
        Their sum, and that of their squares.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, *values: float) -> Moments:
        """Sum up some values."""
        return cls(len(values), math.fsum(values), math.fsum(value * value for value in values))

    @property
    def mean(self) -> float:
        """Their mean; NaN if there are none."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Their variance; 0 if there are none."""
        return max(0.0, self.squares / self.n - self.mean**2) if self.n else 0.0


@dataclass(frozen=True)
class Histogram:
    """Positive values in bins of equal ratio, for their quantiles.

    Parameters
    ----------
    bins : mapping of int to int
        Bin -> values in it. Bin b holds those from ``10 ** (b / BINS_A_DECADE)`` to where the next one begins.
    """

    bins: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, *values: float) -> Histogram:
        """Count some values; what is not positive counts as very small."""
        bins = Counter(math.floor(BINS_A_DECADE * math.log10(max(value, 1e-9))) for value in values)
        return cls(dict(bins))  # of a Counter, asdict makes something else

    def __add__(self, other: Histogram) -> Histogram:
        bins = dict(self.bins)
        for place, count in other.bins.items():
            bins[place] = bins.get(place, 0) + count
        return Histogram(bins)

    @property
    def n(self) -> int:
        """How many values there are."""
        return sum(self.bins.values())

    def quantile(self, share: float, alpha: float) -> Estimate:
        """Return the value that a share of all values is below.

        Parameters
        ----------
        share : float
            .99 for the 99th percentile.
        alpha : float
            Probability that the truth ever leaves the interval, at most.
        """
        n = self.n
        few, many = _refuted_counts(n, share, alpha)
        value, low, high, below = math.nan, 0.0, math.inf, 0
        for place in sorted(self.bins):
            if below <= few:
                low = _edge(place)
            below += self.bins[place]
            if math.isnan(value) and below >= share * n:
                value = _edge(place + 0.5)
            if below >= many:
                high = _edge(place + 1)
                break
        return Estimate(value, low, high, n)


def log_evidence(hits: int, n: int, share: float, prior: tuple[float, float]) -> float:
    """Return the logarithm of the evidence against a share, 0 < share < 1.

    The likelihood of what was seen, averaged over the mixture, by that under the share: if it is the true one, this is
    a martingale that begins at 1, so that it ever reaches 1 / alpha with probability alpha at most (Ville).
    """
    return _log_averaged(hits, n, prior) - _log_likelihood(hits, n, share)


def difference(old: Estimate, new: Estimate) -> Estimate:
    """Return new - old; each may leave its interval with half the probability that the difference may."""
    return Estimate(new.value - old.value, new.low - old.high, new.high - old.low, min(old.n, new.n))


def ratio(old: Estimate, new: Estimate) -> Estimate:
    """Return new / old of positive values; each may leave its interval with half the probability that the ratio may."""
    value = new.value / old.value if old.value else math.nan
    low = new.low / old.high if old.high else 0.0
    return Estimate(value, low, new.high / old.low if old.low else math.inf, min(old.n, new.n))


def mean_difference(old: Moments, new: Moments, alpha: float) -> Estimate:
    """Return the mean of the new arm minus that of the old one, of values that were drawn into the arms at random.

    Both arms are given the larger one of their variances: an arm of few values may well have seen no rare one yet.

    Parameters
    ----------
    old, new : Moments
        Of the arms.
    alpha : float
        Probability that the truth ever leaves the interval, at most, in the limit of many values.
    """
    n, fewer = old.n + new.n, min(old.n, new.n)
    if fewer < MIN_OF_A_MEAN:
        return Estimate(new.mean - old.mean, -math.inf, math.inf, fewer)
    variance = max(old.variance, new.variance) * (n / old.n + n / new.n)
    best = -2 * math.log(alpha)
    grown = n * (best + math.log(best + 1)) / BEST_AT + 1  # t * rho**2 + 1 of the article
    reach = math.sqrt(variance * 2 * grown / (n * (grown - 1)) * math.log(math.sqrt(grown) / alpha))
    value = new.mean - old.mean
    return Estimate(value, value - reach, value + reach, fewer)


@lru_cache(maxsize=1_000)  # whoever looks again mostly finds what changed in one arm
def _ends(hits: int, n: int, alpha: float, prior: tuple[float, float]) -> tuple[float, float]:
    value, least = hits / n, _log_averaged(hits, n, prior) + math.log(alpha)

    def refuted(share: float) -> bool:
        return _log_likelihood(hits, n, share) <= least

    return _last_refuted(refuted, 0.0, value), _last_refuted(refuted, 1.0, value)


def _last_refuted(refuted: Callable[[float], bool], wrong: float, right: float) -> float:
    """Return the last share that is refuted on the way from the wrong one to the right one."""
    for _ in range(_HALVINGS if wrong != right else 0):
        middle = (wrong + right) / 2
        wrong, right = (middle, right) if refuted(middle) else (wrong, middle)
    return wrong


@lru_cache(maxsize=1_000)
def _refuted_counts(n: int, share: float, alpha: float) -> tuple[int, int]:
    """Return how many of n values below something are too few for it to be the quantile, and how many too many."""
    weight, enough, middle = BEST_AT / 8, -math.log(alpha), math.floor(n * share)  # an eighth is best for usual alphas

    def refuted(below: int) -> bool:
        return log_evidence(below, n, share, (weight * share, weight * (1 - share))) >= enough

    few = bisect_left(range(middle + 1), True, key=lambda below: not refuted(below)) - 1
    return few, middle + 1 + bisect_left(range(middle + 1, n + 1), True, key=refuted)


def _edge(place: float) -> float:
    return float(10 ** (place / BINS_A_DECADE))


def _log_likelihood(hits: int, n: int, share: float) -> float:
    return hits * math.log(share) + (n - hits) * math.log1p(-share)


def _log_averaged(hits: int, n: int, prior: tuple[float, float]) -> float:
    first, second = prior
    return _log_beta(first + hits, second + n - hits) - _log_beta(first, second)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
