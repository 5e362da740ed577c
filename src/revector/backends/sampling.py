"""Keys at random from a table of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ask: TypeAlias = "Callable[[str, NDArray[np.int64] | None], NDArray[np.int64]]"
"""Takes a statement, and the keys that it is about where it has such a parameter; returns its only column."""

_LEAST_DENSITY = 1 / 16
_HIGHEST_KEY = "SELECT coalesce(max(key), 0) FROM documents"
_PRIME = (1 << 31) - 1  # products of two numbers below it fit into 64 bits


class Population(NamedTuple):
    """The statements that count the keys to draw from, list them as ``key``, and find those of a list."""

    size: str
    keys: str
    among: str


def draw(ask: Ask, population: Population, n: int, seed: int) -> NDArray[np.int64]:
    """Return `n` keys at random, or all if they are fewer, in ascending order.

    Keys are guessed, and kept where they exist. Where few of the keys below the highest one do, the existing ones are
    gone through in an order that is as good as random, which takes as long as counting them, and no memory either.
    """
    rng = np.random.default_rng(seed)
    count, highest = (int(ask(statement, None)[0]) for statement in (population.size, _HIGHEST_KEY))
    if count <= 4 * n:
        keys = np.sort(ask(population.keys, None))
        return np.sort(rng.choice(keys, size=min(n, len(keys)), replace=False))
    if count < _LEAST_DENSITY * highest:
        return np.sort(ask(_shuffled(population.keys, n, rng), None))
    found = np.empty(0, dtype=np.int64)
    while len(found) < n:
        guesses = np.unique(rng.integers(1, highest + 1, size=n * highest // count + 16))
        found = np.unique(np.concatenate([found, ask(population.among, guesses)]))
    return np.sort(rng.choice(found, size=n, replace=False))


def _shuffled(keys: str, n: int, rng: np.random.Generator) -> str:
    """Return a statement: the first keys by a permutation of the residues modulo a prime."""
    factor, start = rng.integers(1 << 20, 1 << 30, size=2).tolist()
    order = f"(key % {_PRIME} * {factor} + {start}) % {_PRIME}"
    return f"SELECT key FROM ({keys}) AS listed ORDER BY {order} LIMIT {n}"
