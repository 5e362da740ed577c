"""What a store in memory holds at one moment. Nothing of it is ever changed: a write makes another state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Alias, Generation


class StoredDocument(NamedTuple):
    """A document, and how often searches have returned it."""

    key: int
    id: str
    text: str
    content_hash: str
    metadata_json: str
    updated_at: float
    hits: int = 0
    failures: int = 0


class StoredVector(NamedTuple):
    """A vector; `seq` is the point at which it was written, `content_hash` that of the text it was computed from."""

    seq: int
    embedded_at: float
    content_hash: str
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class State:
    """A store at one moment.

    Attributes
    ----------
    documents : mapping of int to StoredDocument
        By key, the lowest first.
    keys : mapping of str to int
        By id.
    generations : mapping of int to Generation
        The oldest first.
    vectors : mapping of int to mapping of int to StoredVector
        By generation and key.
    aliases : mapping of str to Alias
    maps : mapping of (str, str) to (float, bytes)
        When it was kept, and the map.
    last_key, last_generation, seq : int
        What was given out last.
    """

    documents: Mapping[int, StoredDocument] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    generations: Mapping[int, Generation] = field(default_factory=dict)
    vectors: Mapping[int, Mapping[int, StoredVector]] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    maps: Mapping[tuple[str, str], tuple[float, bytes]] = field(default_factory=dict)
    last_key: int = 0
    last_generation: int = 0
    seq: int = 0


def drawn(keys: Collection[int], n: int, seed: int) -> NDArray[np.int64]:
    """Return `n` of some keys at random, or all if they are fewer, in ascending order."""
    listed = np.sort(np.fromiter(keys, dtype=np.int64, count=len(keys)))
    return np.sort(np.random.default_rng(seed).choice(listed, size=min(n, len(listed)), replace=False))
