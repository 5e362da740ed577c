"""In which order a collection gets the vectors of a new generation: the lowest priority first."""

from __future__ import annotations

from dataclasses import dataclass

from revector.backends.contracts.documents import DocumentFacts

PRIORITY_SAMPLE = 0
PRIORITY_QUERIED = 1
PRIORITY_UPDATED = 2
PRIORITY_VALUED = 3
PRIORITY_REST = 4

PLACES = (1 << 31) - 1
"""A prime: the key of a document is hashed to a place below it, and products of two places fit into 64 bits."""


@dataclass(frozen=True)
class Order:
    """The default rule, as figures that a database can decide by, one document at a time.

    Attributes
    ----------
    sampled_below : int
        Documents whose key is hashed to a place below this one are the random sample; `PLACES` takes all.
    factor, shift : int
        Of the hash, positive and below `PLACES`: the square of ``key * factor + shift``, modulo `PLACES` throughout.
    queried_from : int
        So many hits make a document one that searches return often; at least 1.
    changed_from : float
        A text that was changed at this time or later is recent; seconds since the epoch.
    """

    sampled_below: int
    factor: int
    shift: int
    queried_from: int
    changed_from: float

    def is_sampled(self, key: int) -> bool:
        """Tell whether a document belongs to the random sample, which comes before all others."""
        place = (key % PLACES * self.factor + self.shift) % PLACES
        return place * place % PLACES < self.sampled_below

    def priority(self, fact: DocumentFacts) -> int:
        """Return the priority of a document."""
        if self.is_sampled(fact.key):
            return PRIORITY_SAMPLE
        if fact.hits >= self.queried_from:
            return PRIORITY_QUERIED
        if fact.updated_at >= self.changed_from:
            return PRIORITY_UPDATED
        return PRIORITY_VALUED if fact.failures or _has_high_value(fact) else PRIORITY_REST


def _has_high_value(fact: DocumentFacts) -> bool:
    """Tell whether the metadata say ``"value": "high"``, ``"high_value": true`` or ``"priority": "high"``."""
    metadata = fact.metadata
    return metadata.get("high_value") is True or "high" in (metadata.get("value"), metadata.get("priority"))
