"""Who sees the new arm: a sticky split by key, and the ramp that its share climbs."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from revector._arguments import flag, number, shown, whole_number
from revector.errors import InvalidArgumentError

__all__ = ["SHARES", "Ramp", "Step", "in_new_arm", "place"]

SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)
MIN_EVENTS = 200
"""Searches of the new arm before a step can be left: none of the bounds says much with fewer."""
_BITS = 53  # as many as a float holds exactly


def in_new_arm(key: str, salt: str, share: float) -> bool:
    """Tell whether a key belongs to the new arm.

    A key has one place between 0 and 1, the same in every process; the new arm holds the places below the share. So it
    keeps whom it has when the share grows, and another salt draws anew.

    Parameters
    ----------
    key : str
        What stays together: a user, a session, a tenant.
    salt : str
        Names the rollout.
    share : float
        From 0 (nobody) to 1 (all).
    """
    return place(key, salt) < share


def place(key: str, salt: str) -> float:
    """Return where a key lies: uniform in [0, 1), from its BLAKE2b digest, keyed with that of the salt."""
    salted = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(key.encode(), digest_size=8, key=salted).digest()
    return float((int.from_bytes(digest, "big") >> (64 - _BITS)) / 2**_BITS)


@dataclass(frozen=True)
class Step:
    """A stretch of a rollout with one share.

    Parameters
    ----------
    share : float
        Of the keys in the new arm.
    min_events : int
        Searches of the new arm, and where there are clicks also interleaved ones with clicks, before the step can be
        left.
    same : bool
        A/A: the new arm is answered as the old one is. Whatever differs is wrong with the split or the measurement.
    """

    share: float
    min_events: int
    same: bool = False


@dataclass(frozen=True)
class Ramp:
    """The shares that a rollout goes through, the smallest first.

    Parameters
    ----------
    shares : sequence of float
        Above 0, growing, 1 at most.
    min_events : int
        Searches of the new arm that each step has at least.
    same_first : bool
        Whether the first share is held as an A/A before anything new is shown.
    """

    shares: Sequence[float] = SHARES
    min_events: int = MIN_EVENTS
    same_first: bool = True

    def __post_init__(self) -> None:
        shares = _growing(self.shares)
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "min_events", whole_number(self.min_events, "min_events", least=1))
        object.__setattr__(self, "same_first", flag(self.same_first, "same_first"))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in their order; the last one is over when the rollout is done."""
        first = [Step(self.shares[0], self.min_events, same=True)] if self.same_first else []
        return (*first, *(Step(share, self.min_events) for share in self.shares))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {"shares": list(self.shares), "min_events": self.min_events, "same_first": self.same_first}


def _growing(shares: Any) -> tuple[float, ...]:
    if isinstance(shares, (str, bytes)) or not hasattr(shares, "__iter__"):
        raise InvalidArgumentError(f"shares is {shown(shares)}, expected numbers between 0 and 1")
    found = tuple(number(share, f"shares[{at}]", above=0) for at, share in enumerate(shares))
    rising = all(before < after for before, after in itertools.pairwise(found))
    if not found or not rising or found[-1] > 1:
        raise InvalidArgumentError(f"shares is {shown(shares)}, expected numbers that grow and end at 1 at most")
    return found
