"""What a strategy is: a value that answers three questions from facts, and touches no backend.

A migration holds a list of strategies. They are asked in their order, and each one sees what those before it chose:
what workers do, what a search reads, and what else must hold before the next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from revector.backends.contracts import Generation
from revector.ledger.state import Phase
from revector.migration.priorities import PriorityRule


@dataclass(frozen=True)
class Facts:
    """What is known of a collection when its migration starts.

    Attributes
    ----------
    dimension : int
        The larger one of the two spaces'.
    """

    dimension: int


@dataclass(frozen=True)
class Work:
    """What workers do, and in which order.

    Attributes
    ----------
    sample : int
        How many documents, drawn at random, come before all others, so that the map between the spaces can be fitted.
    seed : int
        Of everything drawn at random.
    rule : callable or None
        Takes `DocumentFacts`, returns a priority of at least 1, lowest first; ``None`` for the default rule.
    batch : int or None
        Texts given to the encoder at a time; ``None`` for as many as its speed suggests.
    lease_seconds : float
        How long a worker may hold a document without a sign of life.
    """

    sample: int = 0
    seed: int = 0
    rule: PriorityRule | None = None
    batch: int | None = None
    lease_seconds: float = 60.0


@dataclass(frozen=True)
class Budget:
    """What a search may spend on embedding documents with the new model; what does not fit is answered without.

    Attributes
    ----------
    texts : int
        The most for one query.
    texts_in_flight : int
        The most at one time, over all searches of a process.
    milliseconds : float or None
        The longest that one search may take for it, as far as the speed measured so far can tell; no limit if ``None``.
    """

    texts: int
    texts_in_flight: int = 32
    milliseconds: float | None = None


@dataclass(frozen=True)
class Reading:
    """What a search does.

    Attributes
    ----------
    recall : tuple of Generation
        Whose nearest documents compete. Where there are two, the first one is complete, and the ranking is made in the
        space of the last one.
    depth : int
        How many documents of each compete, at least.
    budget : Budget
        For the embedding of candidates that the last generation lacks.
    write_through : bool
        Whether those vectors are stored, so that each is paid for once.
    """

    recall: tuple[Generation, ...]
    depth: int = 0
    budget: Budget = Budget(0)
    write_through: bool = True


@dataclass(frozen=True)
class Situation:
    """What a strategy knows when a search begins.

    Attributes
    ----------
    phase : Phase
        Of the migration.
    old, new : Generation
        Those of the migration; the new one from `start` on.
    at_hand : frozenset of int
        The generations that can be searched in the usual time: their models are at hand, their indexes up to date.
        After the cut-over the old one is among them only if the new model is not at hand.
    reading : Reading
        What the strategies before this one chose; at first, the generation that serves alone.
    """

    phase: Phase
    old: Generation
    new: Generation
    at_hand: frozenset[int]
    reading: Reading


class Strategy(Protocol):
    """How a migration gets from one space to the other. An immutable value; safe to share."""

    def fills(self, facts: Facts) -> Work | None:
        """Return what workers do; ``None`` if this strategy does not mind."""
        ...

    def reads(self, situation: Situation) -> Reading:
        """Return what a search does; `situation.reading` if this strategy does not mind."""
        ...

    def gates(self, situation: Situation) -> Sequence[str]:
        """Return what speaks against the next step, one sentence for each reason."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps: a ``name``, and the fields."""
        ...
