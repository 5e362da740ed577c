"""Documents at random whose vectors are those of their present texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend

_MOST_DRAWN = 64
"""Where hardly any vector is current, so many times the sample are looked at, and what was found is the sample."""


def current_sample(backend: Backend, generations: Sequence[int], n: int, seed: int) -> NDArray[np.int64]:
    """Return the keys of documents at random that have a vector of their present text in all of some generations.

    Parameters
    ----------
    backend : Backend
        Holds the generations.
    generations : sequence of int
        The last one is drawn from: name the smallest last.
    n : int
        How many; fewer if there are not so many, or hardly any.
    seed : int
        Of the drawing.

    Returns
    -------
    ndarray of int64, shape (at most n,)
        In ascending order.
    """
    wanted = n
    while True:
        keys = drawn = backend.generations.sample(generations[-1], wanted, seed)
        for generation in generations:
            keys = np.setdiff1d(keys, backend.generations.stale_keys(generation, keys))
        if len(keys) >= n or len(drawn) < wanted or wanted >= _MOST_DRAWN * n:
            return np.sort(np.random.default_rng(seed).choice(keys, size=min(n, len(keys)), replace=False))
        wanted *= 2
