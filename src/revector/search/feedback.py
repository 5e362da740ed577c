"""What can be said of a search afterwards, what that is worth in a rollout, and what is noted of it for judgements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from revector._arguments import choice, flag, number, shown
from revector.errors import InvalidArgumentError

__all__ = ["KINDS", "Feedback", "FeedbackKind"]

FeedbackKind = Literal["click", "good", "bad", "rating", "answer"]
KINDS = get_args(FeedbackKind)
_WORTH: Mapping[str, float] = MappingProxyType({"click": 1.0, "good": 1.0, "bad": -1.0})
LOWEST, HIGHEST = 1, 5
"""Of ratings."""


@dataclass(frozen=True)
class Feedback:
    """One thing that was said.

    Parameters
    ----------
    kind : {"click", "good", "bad", "rating", "answer"}
    worth : float
        From -1 to 1, for the arm of a rollout. A rating of 3 is worth nothing, one of 5 as much as "good".
    weight : float
        What it adds to the sum that is noted of its kind, see `revector.formats.clicks`.
    """

    kind: str
    worth: float
    weight: float

    @classmethod
    def of(cls, kind: FeedbackKind, value: float | bool | None) -> Feedback:
        """Return what was said; raise `InvalidArgumentError` if it is not one of the kinds, with the value it has."""
        choice(kind, "kind", KINDS)
        if kind == "rating":
            worth = _worth_of_rating(value)
            return cls(kind, worth, worth)
        if kind == "answer":
            worth = 1.0 if flag(value, "value") else -1.0
            return cls(kind, worth, worth)
        if value is not None:
            raise InvalidArgumentError(f"value is {shown(value)}, expected none: {kind!r} says all there is to say")
        return cls(kind, _WORTH[kind], 1.0)


def _worth_of_rating(value: float | bool | None) -> float:
    expected = f"expected a rating from {LOWEST} to {HIGHEST}"
    if value is None or isinstance(value, bool):
        raise InvalidArgumentError(f"value is {shown(value)}, {expected}")
    rating = number(value, "value", least=LOWEST)
    if rating > HIGHEST:
        raise InvalidArgumentError(f"value is {shown(value)}, {expected}")
    middle = (LOWEST + HIGHEST) / 2
    return (rating - middle) / (HIGHEST - middle)
