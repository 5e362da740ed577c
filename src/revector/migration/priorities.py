"""In which order documents are re-embedded: the lowest number first.

The default rule: the 5 % that searches return most, then what changed in the last six months, then what failing
searches return or is marked as of high value, then the rest. A random sample comes before all of them, so that the map
between the two spaces can be fitted from pairs that represent the collection.

A database applies it slice by slice (`Backend.ask`): what it depends on the whole collection for, how many hits make a
document one of the 5 % and which share of the keys is the sample, is read once, beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from revector._arguments import whole_number
from revector.backends.contracts import Backend, DocumentFacts, Order
from revector.backends.contracts.order import (
    PLACES,
    PRIORITY_QUERIED,
    PRIORITY_REST,
    PRIORITY_SAMPLE,
    PRIORITY_UPDATED,
    PRIORITY_VALUED,
)

__all__ = [
    "PRIORITY_QUERIED",
    "PRIORITY_REST",
    "PRIORITY_SAMPLE",
    "PRIORITY_UPDATED",
    "PRIORITY_VALUED",
    "SAMPLE_PER_DIMENSION",
    "PriorityRule",
    "Turns",
    "default_order",
]

QUERIED_SHARE = 0.05
RECENT_SECONDS = 182.5 * 86400
SAMPLE_PER_DIMENSION = 4

PriorityRule: TypeAlias = Callable[[DocumentFacts], int]


@dataclass(frozen=True)
class Turns:
    """Whose turn it is when the documents of a collection are asked for.

    Attributes
    ----------
    backend : Backend
        Holds the documents.
    sample : int
        About so many documents, drawn at random, come before all others.
    seed : int
        Of the random sample.
    rule : callable, optional
        Takes the facts of a document, returns its priority, at least 1; replaces the default rule.
    """

    backend: Backend
    sample: int
    seed: int = 0
    rule: PriorityRule | None = None

    @cached_property
    def order(self) -> Order:
        """What the default rule decides by, and the sample; read when it is asked for first."""
        with self.backend.snapshot():
            documents, hit_counts = self.backend.documents.count(), self.backend.documents.hit_counts()
        return default_order(documents, hit_counts, sample=self.sample, seed=self.seed)

    def priority(self, fact: DocumentFacts) -> int:
        """Return the priority of a document.

        Raises
        ------
        InvalidArgumentError
            The rule returned something else than an integer of at least 1.
        """
        if self.rule is None:
            return self.order.priority(fact)
        chosen = whole_number(
            self.rule(fact), f"what the priority rule returned for document {fact.id!r}", least=PRIORITY_SAMPLE + 1
        )
        return PRIORITY_SAMPLE if self.order.is_sampled(fact.key) else chosen


def default_order(
    documents: int, hit_counts: Iterable[tuple[int, int]], *, sample: int, seed: int = 0, now: float | None = None
) -> Order:
    """Return what the default rule decides by in a collection.

    Parameters
    ----------
    documents : int
        How many there are.
    hit_counts : iterable of (int, int)
        Numbers of hits and how many documents have that many, the most first.
    sample, seed
        As for `Turns`.
    now : float, optional
        Seconds since the epoch that "recent" is measured from.
    """
    factor, shift = np.random.default_rng(seed).integers(1, PLACES, size=2).tolist()
    share = min(1.0, sample / max(documents, 1))
    return Order(
        sampled_below=round(share * PLACES),
        factor=factor,
        shift=shift,
        queried_from=_queried_from(hit_counts, max(1, int(documents * QUERIED_SHARE))),
        changed_from=(time.time() if now is None else now) - RECENT_SECONDS,
    )


def _queried_from(hit_counts: Iterable[tuple[int, int]], most: int) -> int:
    """Return the least hits that at most so many documents have; the documents with most hits count in any case."""
    least, reached = 1, 0
    for hits, documents in hit_counts:
        if reached and reached + documents > most:
            break
        least, reached = hits, reached + documents
    return least
