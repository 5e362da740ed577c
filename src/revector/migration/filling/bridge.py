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

from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError, NumericalError
from revector.migration.priorities import SAMPLE_PER_DIMENSION

MAX_PAIRS = 5_000
_LEAST_PAIRS = 3  # a centred map needs more than two

Fit = Callable[[Backend, int, int], int]

_log = logging.getLogger(__name__)


def fit_bridge(backend: Backend, source_generation: int, target_generation: int, *, seed: int = 0) -> int:
    """Fit the map from the source to the target space and keep it in the backend.

    Parameters
    ----------
    backend : Backend
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

    old, new = _pairs(backend, source_generation, target_generation, seed)
    source, target = backend.generations.get(source_generation).space, backend.generations.get(target_generation).space
    fitted = Procrustes(center=True, source=source, target=target).fit(old, new)
    backend.generations.save_map(source.fingerprint, target.fingerprint, fitted.to_bytes())
    return len(old)


def _pairs(backend: Backend, source: int, target: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with backend.snapshot():
        keys = backend.generations.paired_keys(source, target)
        if len(keys) > MAX_PAIRS:
            keys = np.sort(np.random.default_rng(seed).choice(keys, size=MAX_PAIRS, replace=False))
        return backend.generations.vectors(source, keys)[1], backend.generations.vectors(target, keys)[1]


class BridgeKeeper:
    """Fits the map when there are enough pairs, and again whenever they have doubled, up to `MAX_PAIRS`.

    Parameters
    ----------
    backend : Backend
        Holds both generations.
    source_generation, target_generation : int
        Where the map leads from and to.
    fit : callable
        Does the fitting; `fit_bridge` but for tests.
    """

    def __init__(self, backend: Backend, source_generation: int, target_generation: int, fit: Fit = fit_bridge) -> None:
        self._backend, self._source, self._target, self._fit = backend, source_generation, target_generation, fit
        spaces = [backend.generations.get(generation).space for generation in (source_generation, target_generation)]
        has_map = backend.generations.load_map(spaces[0].fingerprint, spaces[1].fingerprint) is not None
        self._pairs = len(backend.generations.paired_keys(source_generation, target_generation))
        enough = SAMPLE_PER_DIMENSION * max(space.dimension for space in spaces)
        self._next: float = max(2 * self._pairs, enough) if has_map else enough

    def landed(self, vectors: int) -> None:
        """Note vectors that were written to the target."""
        self._pairs += vectors
        if self._pairs >= self._next:
            self._refit()

    def filled(self) -> None:
        """Fit once all documents are migrated, however few they are."""
        self._pairs = len(self._backend.generations.paired_keys(self._source, self._target))
        if self._pairs >= _LEAST_PAIRS and self._next != math.inf:
            self._refit()

    def _refit(self) -> None:
        """Fit, and set the next mark. A map that cannot be fitted yet is no reason to stop a migration."""
        try:
            fitted = self._fit(self._backend, self._source, self._target)
        except (NumericalError, InvalidArgumentError) as error:
            _log.warning("the map from generation %d to %d was not fitted: %s", self._source, self._target, error)
            fitted = 0
        self._next = math.inf if fitted >= MAX_PAIRS else 2 * max(self._pairs, 1)
