"""The map between the two spaces of a migration, fitted from documents that have a vector in both.

It serves queries while one of the models is not at hand, and is fitted as early as the pairs allow: the priorities put
a random sample first for that reason.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError, NumericalError, StoreError, StoreUnavailableError
from revector.evaluation.sampling import current_sample
from revector.ledger.owners import new_owner
from revector.migration.patience import patient
from revector.migration.priorities import SAMPLE_PER_DIMENSION

MAX_PAIRS = 5_000
_LEAST_PAIRS = 3  # a centred map needs more than two
_LEASE_SECONDS = 600.0  # many times what a fit takes

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
        keys = current_sample(backend, [source, target], MAX_PAIRS, seed)
        return backend.generations.vectors(source, keys)[1], backend.generations.vectors(target, keys)[1]


class BridgeKeeper:
    """Fits the map when there are enough pairs, and again whenever they have doubled, up to `MAX_PAIRS`.

    It does so in a thread of its own, for as long as its ``with`` block runs: nobody waits for a map. Where several
    processes work, the first one whose turn comes does it for all of them, until it ends.

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
        self._pairs = backend.generations.count(target_generation)
        enough = SAMPLE_PER_DIMENSION * max(space.dimension for space in spaces)
        self._next: float = max(2 * self._pairs, enough) if has_map else enough
        self._lease, self._owner = f"bridge:{source_generation}:{target_generation}", new_owner()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="revector-bridge")
        self._fitting: Future[None] | None = None

    def __enter__(self) -> BridgeKeeper:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for a fit under way, and leave further ones to others."""
        self._thread.shutdown()
        if self._fitting is not None:
            with suppress(StoreUnavailableError):  # it runs out
                self._backend.ledger.leases.release(self._lease, self._owner)

    def landed(self, vectors: int) -> Future[None] | None:
        """Note vectors that were written to the target; return the fit that they set off."""
        self._pairs += vectors
        if self._pairs < self._next or (self._fitting is not None and not self._fitting.done()):
            return None
        self._fitting = self._thread.submit(self._refit_for_all, self._pairs)
        return self._fitting

    @patient
    def filled(self) -> None:
        """Fit once all documents are migrated, however few they are."""
        self._pairs = self._backend.generations.count(self._target)
        if self._fitting is not None:
            self._fitting.result()
        if self._pairs >= _LEAST_PAIRS and self._next != math.inf:
            self._refit(self._pairs)

    def _refit_for_all(self, pairs: int) -> None:
        """Fit, unless another process does."""
        try:
            is_ours = self._backend.ledger.leases.acquire(self._lease, self._owner, _LEASE_SECONDS)
        except StoreError as error:
            _log.warning("the map from generation %d to %d waits: %s", self._source, self._target, error)
            is_ours = False
        if is_ours:
            self._refit(pairs)
        else:
            self._next = 2 * pairs

    def _refit(self, pairs: int) -> None:
        """Fit, and set the next mark. A map that cannot be fitted yet is no reason to stop a migration."""
        try:
            fitted = self._fit(self._backend, self._source, self._target)
        except (NumericalError, InvalidArgumentError, StoreError) as error:
            _log.warning("the map from generation %d to %d was not fitted: %s", self._source, self._target, error)
            fitted = 0
        self._next = math.inf if fitted >= MAX_PAIRS else 2 * max(pairs, 1)
