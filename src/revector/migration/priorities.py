"""In which order documents are re-embedded: the lowest number first.

The default rule: the 5 % that searches return most, then what changed in the last six months, then what failing
searches return or is marked as of high value, then the rest. A random sample comes before all of them, so that the map
between the two spaces can be fitted from pairs that represent the collection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector.backends.contracts import DocumentFacts

PRIORITY_SAMPLE = 0
PRIORITY_QUERIED = 1
PRIORITY_UPDATED = 2
PRIORITY_VALUED = 3
PRIORITY_REST = 4

QUERIED_SHARE = 0.05
RECENT_SECONDS = 182.5 * 86400
SAMPLE_PER_DIMENSION = 4

PriorityRule: TypeAlias = Callable[[DocumentFacts], int]


def prioritise(
    facts: Sequence[DocumentFacts],
    *,
    dimension: int,
    rule: PriorityRule | None = None,
    seed: int = 0,
    now: float | None = None,
) -> dict[int, int]:
    """Give every document its priority.

    Parameters
    ----------
    facts : sequence of DocumentFacts
        All documents.
    dimension : int
        The larger dimension of the two spaces; the sample holds 4 times as many documents.
    rule : callable, optional
        Takes the facts of a document, returns its priority, at least 1; replaces the default rule.
    seed : int
        Of the random sample.
    now : float, optional
        Seconds since the epoch that "recent" is measured from.

    Returns
    -------
    dict of int to int
        Priority by document key.

    Raises
    ------
    InvalidArgumentError
        The rule returned something else than an integer of at least 1.
    """
    chosen = [_checked(rule(fact), fact) for fact in facts] if rule else default_priorities(facts, now=now)
    priorities = {fact.key: priority for fact, priority in zip(facts, chosen, strict=True)}
    priorities.update(dict.fromkeys(_sample(list(priorities), dimension, seed).tolist(), PRIORITY_SAMPLE))
    return priorities


def default_priorities(facts: Sequence[DocumentFacts], *, now: float | None = None) -> list[int]:
    """Apply the default rule, in the order of `facts`."""
    recent = (time.time() if now is None else now) - RECENT_SECONDS
    queried = _most_queried(facts)
    return [_default_priority(fact, fact.key in queried, recent) for fact in facts]


def _default_priority(fact: DocumentFacts, queried: bool, recent: float) -> int:
    if queried:
        return PRIORITY_QUERIED
    if fact.updated_at >= recent:
        return PRIORITY_UPDATED
    return PRIORITY_VALUED if fact.failures or _has_high_value(fact) else PRIORITY_REST


def _has_high_value(fact: DocumentFacts) -> bool:
    """Tell whether the metadata say ``"value": "high"``, ``"high_value": true`` or ``"priority": "high"``."""
    metadata = fact.metadata
    return metadata.get("high_value") is True or "high" in (metadata.get("value"), metadata.get("priority"))


def _most_queried(facts: Sequence[DocumentFacts]) -> set[int]:
    """Return the keys of the 5 % with most hits (at least one document); without a hit nobody is among them."""
    ranked = sorted((fact for fact in facts if fact.hits), key=lambda fact: (-fact.hits, fact.key))
    return {fact.key for fact in ranked[: max(1, int(len(facts) * QUERIED_SHARE))]}


def _sample(keys: Sequence[int], dimension: int, seed: int) -> NDArray[np.int64]:
    size = min(len(keys), SAMPLE_PER_DIMENSION * dimension)
    return np.random.default_rng(seed).choice(np.array(keys, dtype=np.int64), size=size, replace=False)


def _checked(priority: object, fact: DocumentFacts) -> int:
    return whole_number(
        priority, f"what the priority rule returned for document {fact.id!r}", least=PRIORITY_SAMPLE + 1
    )
