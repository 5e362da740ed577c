"""What follows from the evidence of a step: go on, take the next share, stop, or be done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from types import MappingProxyType

from revector._arguments import number
from revector.rollout.evidence import Arm, Evidence
from revector.rollout.sequential import NEAR_HALF, Counts, Estimate, difference, mean_difference, ratio
from revector.rollout.splitting import Ramp, Step

__all__ = ["ALPHA", "Decision", "Finding", "Margins", "Outcome", "decide", "findings"]

ALPHA = 0.05
"""Probability that a rollout without a regression is ever stopped, at most."""

FEW = 5
"""With fewer values, preferences above all, nobody waits for a doubt to be settled."""


@dataclass(frozen=True)
class Margins:
    """How much worse the new arm may be; what has no margin is not looked at.

    Parameters
    ----------
    preference : float, optional
        Below one half, the share of decided queries that the new arm wins.
    reward : float, optional
        Mean reward of a search.
    errors, zero_results : float, optional
        Share of searches that fail, or that find nothing.
    p99 : float, optional
        Of the 99th percentile of a search's time, as a share of the old arm's.
    cost : float, optional
        Money a search.
    """

    preference: float | None = 0.05
    reward: float | None = None
    errors: float | None = 0.005
    zero_results: float | None = 0.01
    p99: float | None = 0.25
    cost: float | None = None

    def __post_init__(self) -> None:
        for name, margin in asdict(self).items():
            object.__setattr__(self, name, None if margin is None else number(margin, name, least=0))


@dataclass(frozen=True)
class Finding:
    """What is known of one metric.

    Parameters
    ----------
    metric : str
        A field of `Margins`.
    estimate : Estimate
        With an interval that holds at all times.
    equal : float
        What it would be if both arms were the same.
    limit : float
        The worst that is accepted.
    """

    metric: str
    estimate: Estimate
    equal: float
    limit: float

    @property
    def worse(self) -> bool:
        """Whether the new arm is shown to be worse than what is accepted."""
        best = self.estimate.high if self._more_is_better else self.estimate.low
        return self._beyond(best)

    @property
    def doubtful(self) -> bool:
        """Whether the new arm looks worse than what is accepted, shown or not; a few values look like anything.

        Of preferences there are few, so theirs has to look well by a standard error.
        """
        return self.estimate.n >= FEW and self._beyond(self.estimate.value - self._error)

    @property
    def _error(self) -> float:
        value, n = self.estimate.value, self.estimate.n
        return math.sqrt(value * (1 - value) / n) if self.metric == "preference" else 0.0

    @property
    def unequal(self) -> bool:
        """Whether the arms are shown to differ, whichever way."""
        return not self.estimate.low <= self.equal <= self.estimate.high

    @property
    def _more_is_better(self) -> bool:
        return self.metric in ("preference", "reward")

    def _beyond(self, value: float) -> bool:
        return value < self.limit if self._more_is_better else value > self.limit

    def __str__(self) -> str:
        """Return what was measured, how sure it is, and what is accepted."""
        bound = "least" if self._more_is_better else "most"
        return f"{MEANINGS[self.metric]}: {self.estimate}, accepted: {self.limit:.4g} at {bound}"


class Outcome(str, Enum):  # StrEnum needs Python 3.11
    """What follows."""

    CONTINUE = "continue"
    NEXT = "next"  # the next step begins
    STOP = "stop"  # a regression, or a measurement that cannot be trusted: roll back
    DONE = "done"  # the last step is over: cut over

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


@dataclass(frozen=True)
class Decision:
    """What follows from the evidence of a step.

    Parameters
    ----------
    outcome : Outcome
        What to do.
    reason : str
        Why, for people.
    findings : tuple of Finding
        Of all metrics.
    step : Step
        The one that holds from now on.
    """

    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...]
    step: Step


def decide(
    ramp: Ramp, at: int, evidence: Evidence, margins: Margins | None = None, *, alpha: float = ALPHA
) -> Decision:
    """Say what follows from what was seen since a step began. May be asked after every event.

    Parameters
    ----------
    ramp : Ramp
        The steps.
    at : int
        Which one it is, from 0.
    evidence : Evidence
        Of this step alone: shares differ between steps, and so may the hour of the day.
    margins : Margins, optional
        How much worse the new arm may be.
    alpha : float
        Probability that the whole rollout is stopped without a regression, at most.
    """
    steps = ramp.steps
    step = steps[at]
    found = findings(evidence, margins or Margins(), alpha / len(steps))
    missing = _missing(step, evidence, margins or Margins())
    doubtful = [each for each in found if each.doubtful and not step.same]
    if wrong := [each for each in found if (each.unequal if step.same else each.worse)]:
        why = "both arms are answered alike, and differ; the split or the measurement is wrong: " if step.same else ""
        return Decision(Outcome.STOP, why + "; ".join(map(str, wrong)), found, step)
    if missing:
        return Decision(Outcome.CONTINUE, " and ".join(missing), found, step)
    if doubtful:
        return Decision(Outcome.CONTINUE, f"not settled yet: {'; '.join(map(str, doubtful))}", found, step)
    if at + 1 < len(steps):
        following = steps[at + 1]
        return Decision(Outcome.NEXT, f"nothing speaks against a share of {following.share:.0%}", found, following)
    return Decision(Outcome.DONE, "nothing speaks against the new arm", found, step)


def _missing(step: Step, evidence: Evidence, margins: Margins) -> list[str]:
    """Return what a step lacks of its events.

    Where there are clicks, interleaved answers tell the most, so each step sees enough of them as well; if all of the
    new arm is interleaved, of them alone. Both rankings of an A/A are one, of which clicks tell nothing.
    """
    seen = {"searches of the new arm": evidence.new.searches}
    if evidence.interleaved and not (step.same and evidence.new.searches) and margins.preference is not None:
        seen["interleaved answers with clicks"] = evidence.interleaved
        seen = {what: count for what, count in seen.items() if count}
    return [f"{step.min_events - n:,} more {what} are needed" for what, n in seen.items() if n < step.min_events]


def findings(evidence: Evidence, margins: Margins, alpha: float) -> tuple[Finding, ...]:
    """Return what is known of each metric that has a margin; all intervals hold at once with 1 - alpha."""
    wanted = {name: margin for name, margin in asdict(margins).items() if margin is not None}
    return tuple(_finding(name, margin, evidence, alpha / len(wanted)) for name, margin in wanted.items())


def _finding(metric: str, margin: float, evidence: Evidence, alpha: float) -> Finding:
    if metric == "preference":
        return Finding(metric, evidence.preferred.share(alpha, NEAR_HALF), 0.5, 0.5 - margin)
    estimate = _COMPARED[metric](evidence.old, evidence.new, alpha)
    if metric == "p99":
        return Finding(metric, estimate, 1.0, 1.0 + margin)
    return Finding(metric, estimate, 0.0, -margin if metric == "reward" else margin)


def _errors(old: Arm, new: Arm, alpha: float) -> Estimate:
    shares = [Counts(arm.errors, arm.searches).share(alpha / 2) for arm in (old, new)]
    return difference(*shares)


def _zero_results(old: Arm, new: Arm, alpha: float) -> Estimate:
    shares = [Counts(arm.empty, arm.searches - arm.errors).share(alpha / 2) for arm in (old, new)]
    return difference(*shares)


def _p99(old: Arm, new: Arm, alpha: float) -> Estimate:
    return ratio(*(arm.milliseconds.quantile(0.99, alpha / 2) for arm in (old, new)))


_COMPARED: MappingProxyType[str, Callable[[Arm, Arm, float], Estimate]] = MappingProxyType(
    {
        "reward": lambda old, new, alpha: mean_difference(old.reward, new.reward, alpha),
        "errors": _errors,
        "zero_results": _zero_results,
        "p99": _p99,
        "cost": lambda old, new, alpha: mean_difference(old.cost, new.cost, alpha),
    }
)
MEANINGS: MappingProxyType[str, str] = MappingProxyType(
    {
        "preference": "share of the queries with a preference that prefer the new arm",
        "reward": "reward a search, new - old",
        "errors": "share of searches that fail, new - old",
        "zero_results": "share of searches that find nothing, new - old",
        "p99": "99th percentile of a search's time, new / old",
        "cost": "cost a search, new - old",
    }
)
