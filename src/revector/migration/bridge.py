"""The map between the two spaces of a migration, fitted from documents that have a vector in both.

It serves queries while one of the models is not at hand, and is fitted as early as the pairs allow: the priorities put
a random sample first for that reason.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError, NumericalError
from revector.migration.priorities import SAMPLE_PER_DIMENSION
from revector.stores.base import Store

MAX_PAIRS = 5_000
_LEAST_PAIRS = 3  # a centred map needs more than two

Fit = Callable[[Store, int, int], int]

_log = logging.getLogger(__name__)


def fit_bridge(store: Store, source_generation: int, target_generation: int, *, seed: int = 0) -> int:
    """Fit the map from the source to the target space and keep it in the store.

    Parameters
    ----------
    store : Store
        Holds both generations.
    source_generation, target_generation : int
        Where the map leads from and to.
    seed : int
        Of the sample, when there are more than `MAX_PAIRS` pairs.

    Returns
    -------
    int
        The number of pairs it was fitted to.

    Raises
    ------
    NumericalError, InvalidArgumentError
        Too few pairs, or rows that do not vary.
    """
    from revector.mapping import Procrustes

    old, new = _pairs(store, source_generation, target_generation, seed)
    source, target = store.generation(source_generation).space, store.generation(target_generation).space
    fitted = Procrustes(center=True, source=source, target=target).fit(old, new)
    store.save_map(source.fingerprint, target.fingerprint, fitted.to_bytes())
    return len(old)


def _pairs(store: Store, source: int, target: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with store.snapshot():
        keys = store.paired_keys(source, target)
        if len(keys) > MAX_PAIRS:
            keys = np.sort(np.random.default_rng(seed).choice(keys, size=MAX_PAIRS, replace=False))
        return store.get_vectors(source, keys)[1], store.get_vectors(target, keys)[1]


class BridgeKeeper:
    """Fits the map when there are enough pairs, and again whenever they have doubled, up to `MAX_PAIRS`.

    Parameters
    ----------
    store : Store
        Holds both generations.
    source_generation, target_generation : int
        Where the map leads from and to.
    fit : callable
        Does the fitting; `fit_bridge` but for tests.
    """

    def __init__(self, store: Store, source_generation: int, target_generation: int, fit: Fit = fit_bridge) -> None:
        self._store, self._source, self._target, self._fit = store, source_generation, target_generation, fit
        spaces = [store.generation(generation).space for generation in (source_generation, target_generation)]
        has_map = store.load_map(spaces[0].fingerprint, spaces[1].fingerprint) is not None
        self._pairs = len(store.paired_keys(source_generation, target_generation))
        enough = SAMPLE_PER_DIMENSION * max(space.dimension for space in spaces)
        self._next: float = max(2 * self._pairs, enough) if has_map else enough

    def landed(self, vectors: int) -> None:
        """Note vectors that were written to the target."""
        self._pairs += vectors
        if self._pairs >= self._next:
            self._refit()

    def filled(self) -> None:
        """Fit once all documents are migrated, however few they are."""
        self._pairs = len(self._store.paired_keys(self._source, self._target))
        if self._pairs >= _LEAST_PAIRS and self._next != math.inf:
            self._refit()

    def _refit(self) -> None:
        """Fit, and set the next mark. A map that cannot be fitted yet is no reason to stop a migration."""
        try:
            fitted = self._fit(self._store, self._source, self._target)
        except (NumericalError, InvalidArgumentError) as error:
            _log.warning("the map from generation %d to %d was not fitted: %s", self._source, self._target, error)
            fitted = 0
        self._next = math.inf if fitted >= MAX_PAIRS else 2 * max(self._pairs, 1)
