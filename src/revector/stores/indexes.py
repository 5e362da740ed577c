"""What a migration asks of the indexes of a store: to be ready before readers are sent to a generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from revector.stores.base import Generation


@dataclass(frozen=True)
class Preparation:
    """What it took to make the index of a generation ready to serve.

    Parameters
    ----------
    vectors : int
        How many it holds now.
    built : int
        How many of them were put into a new graph at once; 0 if the graph at hand was only brought up to date.
    seconds : float
        By the clock, reading the vectors and writing the file included.
    """

    vectors: int
    built: int
    seconds: float


class Indexes(Protocol):
    """The indexes of a store's generations."""

    def prepare(self, generation: Generation) -> Preparation:
        """Make the index of a generation ready, so that no search has to; searches go on meanwhile.

        Called outside of transactions, shortly before readers are sent to the generation, and as often as one likes.
        """
        ...


class KeptByStore:
    """Of stores that keep their own indexes, or search without: there is nothing to prepare."""

    def prepare(self, generation: Generation) -> Preparation:
        """Do nothing."""
        return Preparation(vectors=0, built=0, seconds=0.0)
