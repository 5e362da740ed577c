"""The maps between the two spaces of a migration, fitted from documents that have a vector in both.

They serve queries while one of the models is not at hand: one map leads from the old space to the new one, the other
back. Both are fitted as early as there are pairs that carry one (the priorities put a random sample first for that
reason), and learn from what is embedded.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation, Keys
from revector.errors import InvalidArgumentError, NumericalError, StoreError, StoreUnavailableError
from revector.evaluation.best_map import quick_map
from revector.evaluation.map_trials import LEAST_PAIRS
from revector.evaluation.sampling import current_sample
from revector.ledger.owners import new_owner
from revector.mapping import LocalResidualMap, Procrustes, SpaceMap, load_map
from revector.migration.patience import patient
from revector.spaces import EmbeddingSpace

Rows = NDArray[np.float32]
Spaces = tuple[EmbeddingSpace, EmbeddingSpace]
Fit = Callable[[Backend, int, int], int]

MAX_PAIRS = 20_000
MAX_NUMBERS = 1 << 24
"""Numbers of all pairs of a map: what it takes is twice as many bytes, in the store and in whoever has loaded it."""
FIRST_PAIRS = 64
ENOUGH_TO_ROTATE = 5_000
"""A rotation of 384 dimensions gains a hundredth from four times as many."""
_FEWEST_PAIRS = 3  # a centred map needs more than two
_GROWS = 1.25  # a map that learns without a new fit is given pairs whenever there are so many times as many
_SHARE_OF_TIME = 0.05
SMALL = 2_000
"""A collection of so few documents always has the best map: that takes about a second."""
THOROUGH_AFTER_SECONDS = 100.0
"""So long after a generation was made, its maps are rotations, which are there after a tenth of a second: to choose and
to fit the best takes a few seconds, and a quick model would have embedded everything meanwhile."""
_LEASE_SECONDS = 600.0  # many times what a fit takes

_log = logging.getLogger(__name__)


def fit_bridge(
    backend: Backend, source_generation: int, target_generation: int, *, seed: int = 0, keeps: bool = True
) -> int:
    """Fit the maps from the source to the target space and back, and keep them in the backend.

    Parameters
    ----------
    backend : Backend
        Holds both generations.
    source_generation, target_generation : int
        Where the maps lead from and to.
    seed : int
        Of the sample, when there are more than `most_pairs`.
    keeps : bool
        Whether they are kept; otherwise it is only seen what it takes to fit them.

    Returns
    -------
    int
        The number of pairs they were fitted to.

    Raises
    ------
    NumericalError, InvalidArgumentError
        Too few pairs, or rows that do not vary.
    """
    source, target = (backend.generations.get(number) for number in (source_generation, target_generation))
    is_thorough = _is_time_to_choose(target) or backend.documents.count() <= SMALL
    old, new = drawn_pairs(backend, source.id, target.id, MAX_PAIRS if is_thorough else ENOUGH_TO_ROTATE, seed=seed)
    ways = ((source.space, target.space), old, new), ((target.space, source.space), new, old)
    for spaces, x, y in ways:
        if len(x) < LEAST_PAIRS or is_thorough:
            fit_map(backend, spaces, x, y, seed=seed, keeps=keeps)
        else:
            keep_map(backend, spaces, Procrustes(), x, y, keeps=keeps)
    return len(old)


def _is_time_to_choose(target: Generation) -> bool:
    return time.time() - target.created_at >= THOROUGH_AFTER_SECONDS


def drawn_pairs(
    backend: Backend, source_generation: int, target_generation: int, most: int = MAX_PAIRS, *, seed: int
) -> tuple[Rows, Rows]:
    """Return the vectors that random documents have in two generations, some or `most_pairs` at most."""
    generations = [source_generation, target_generation]
    fitting = most_pairs(*(backend.generations.get(generation).space for generation in generations))
    with backend.snapshot():
        keys = current_sample(backend, generations, min(most, fitting), seed)
        old, new = (backend.generations.vectors(generation, keys)[1] for generation in generations)
    return old, new


def fit_map(backend: Backend, spaces: Spaces, x: Rows, y: Rows, *, seed: int = 0, keeps: bool = True) -> None:
    """Fit the best map from one space to another, and keep it in the backend.

    Its kind is chosen by what mapped queries of the source find in the target, while that takes little; later maps are
    of the kind of the one before.

    Parameters
    ----------
    backend : Backend
    spaces : (EmbeddingSpace, EmbeddingSpace)
        Where it leads from and to.
    x, y : ndarray of float32, shape (n, d_source), (n, d_target)
    seed : int
    keeps : bool
        Whether it is kept in the end.
    """
    source, target = spaces
    kept = backend.generations.load_map(source.fingerprint, target.fingerprint)
    before = None if kept is None else load_map(kept)
    chosen = before if isinstance(before, LocalResidualMap) else None  # a rotation may be what was quick
    keep_map(backend, spaces, quick_map(y, x, serves="queries", like=chosen, seed=seed), x, y, keeps=keeps)


def keep_map(backend: Backend, spaces: Spaces, kind: SpaceMap, x: Rows, y: Rows, *, keeps: bool = True) -> SpaceMap:
    """Fit a kind of map from one space to another, keep it in the backend (or not), and return it."""
    source, target = spaces
    fitted = kind.set_params(source=source, target=target).fit(x, y)
    if keeps:
        backend.generations.save_map(source.fingerprint, target.fingerprint, fitted.to_bytes())
    return fitted


def most_pairs(source: EmbeddingSpace, target: EmbeddingSpace) -> int:
    """Return how many pairs a map between two spaces is fitted to, at most."""
    return min(MAX_PAIRS, MAX_NUMBERS // (source.dimension + target.dimension))


def map_bytes(source: EmbeddingSpace, target: EmbeddingSpace, documents: int) -> int:
    """Return what the maps between two spaces take in the store at most, both ways: two bytes for each number."""
    return 2 * 2 * min(documents, most_pairs(source, target)) * (source.dimension + target.dimension)


def teach_bridge(backend: Backend, source_generation: int, target_generation: int, keys: Keys) -> None:
    """Let maps that learn without a new fit know further pairs; other maps stay as they are.

    Parameters
    ----------
    backend : Backend
    source_generation, target_generation : int
    keys : sequence of int
        Documents that the maps do not know yet.
    """
    generations = (source_generation, target_generation)
    spaces = [backend.generations.get(generation).space for generation in generations]
    with backend.snapshot():
        for generation in generations:
            keys = np.setdiff1d(keys, backend.generations.stale_keys(generation, keys))
        rows = [backend.generations.vectors(generation, keys)[1] for generation in generations]
    for source, target in ((0, 1), (1, 0)):
        prints = spaces[source].fingerprint, spaces[target].fingerprint
        kept = backend.generations.load_map(*prints)
        known = None if kept is None else load_map(kept)
        if isinstance(known, LocalResidualMap) and len(keys):
            room = max(0, most_pairs(*spaces) - known.n_pairs)
            known.update(rows[source][:room], rows[target][:room])
            backend.generations.save_map(*prints, known.to_bytes())


class BridgeKeeper:
    """Fits the maps when there are `FIRST_PAIRS`, and again whenever they have doubled, up to `most_pairs`.

    In between, maps that learn are given what was embedded. All that happens in a thread of its own, for as long as its
    ``with`` block runs, and takes a twentieth of the time at most: nobody waits for a map. Where several processes
    work, the first one whose turn comes does it for all of them, until it ends.

    Parameters
    ----------
    backend : Backend
        Holds both generations.
    source_generation, target_generation : int
        Where the maps lead from and to.
    fit : callable
        Does the fitting; `fit_bridge` but for tests.
    on_fitted : callable, optional
        Called after each fit with both generations, by the same thread.
    teach : callable
        Lets maps know what was embedded since; `teach_bridge` but where nothing is to be kept.
    """

    def __init__(
        self,
        backend: Backend,
        source_generation: int,
        target_generation: int,
        fit: Fit = fit_bridge,
        on_fitted: Callable[[Backend, int, int], object] | None = None,
        teach: Callable[[Backend, int, int, Keys], object] = teach_bridge,
    ) -> None:
        self._backend, self._source, self._target, self._fit = backend, source_generation, target_generation, fit
        self._on_fitted, self._teach_maps = on_fitted, teach
        pair = [backend.generations.get(generation) for generation in (source_generation, target_generation)]
        prints = [generation.space.fingerprint for generation in pair]
        has_map = None not in (backend.generations.map_kept_at(*way) for way in (prints, prints[::-1]))
        self._made, self._most = pair[1], most_pairs(*(generation.space for generation in pair))
        self._pairs, self._has_map = backend.generations.count(target_generation), has_map
        self._fit_at: float = max(2 * self._pairs, FIRST_PAIRS) if has_map else FIRST_PAIRS
        self._next: float = self._fit_at
        self._rests_until = 0.0
        self._fresh: list[int] = []
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

    def landed(self, vectors: int, keys: Sequence[int] = ()) -> Future[None] | None:
        """Note vectors that were written to the target, and whose; return the fit that they set off."""
        self._pairs += vectors
        if self._next == math.inf:
            return None
        self._fresh = [*self._fresh, *keys][: self._most]
        is_due = self._pairs >= self._next and time.monotonic() >= self._rests_until
        if not is_due or (self._fitting is not None and not self._fitting.done()):
            return None
        fresh, self._fresh = self._fresh, []
        self._fitting = self._thread.submit(self._better_for_all, self._pairs, fresh)
        return self._fitting

    @patient
    def filled(self) -> None:
        """Fit once all documents are migrated, if they are few, or it is due, or there is no map yet."""
        self._pairs = self._backend.generations.count(self._target)
        if self._fitting is not None:
            self._fitting.result()
        is_quick = not self._has_map or self._pairs <= SMALL
        if self._pairs >= (_FEWEST_PAIRS if is_quick else self._fit_at):
            self._refit(self._pairs)

    def _better_for_all(self, pairs: int, fresh: list[int]) -> None:
        """Make the maps better, unless another process does; then rest."""
        try:
            is_ours = self._backend.ledger.leases.acquire(self._lease, self._owner, _LEASE_SECONDS)
        except StoreError as error:
            _log.warning("the map from generation %d to %d waits: %s", self._source, self._target, error)
            is_ours = False
        began = time.monotonic()
        if not is_ours:
            self._next = self._fit_at = 2 * pairs
        elif pairs >= self._fit_at:
            self._refit(pairs)
        else:
            self._teach(pairs, fresh)
        self._rests_until = time.monotonic() + (time.monotonic() - began) / _SHARE_OF_TIME

    def _refit(self, pairs: int) -> None:
        """Fit, and set the next marks. A map that cannot be fitted yet is no reason to stop a migration."""
        try:
            fitted = self._fit(self._backend, self._source, self._target)
            if self._on_fitted is not None:
                self._on_fitted(self._backend, self._source, self._target)
        except (NumericalError, InvalidArgumentError, StoreError) as error:
            _log.warning("the map from generation %d to %d was not fitted: %s", self._source, self._target, error)
            fitted = 0
        self._has_map = self._has_map or fitted > 0
        is_enough = fitted >= self._most and _is_time_to_choose(self._made)
        self._fit_at = math.inf if is_enough else 2 * max(pairs, 1)
        self._next = math.inf if is_enough else _GROWS * max(pairs, 1)

    def _teach(self, pairs: int, fresh: list[int]) -> None:
        try:
            self._teach_maps(self._backend, self._source, self._target, fresh)
        except (NumericalError, InvalidArgumentError, StoreError) as error:
            _log.warning("the map from generation %d to %d learned nothing: %s", self._source, self._target, error)
        self._next = min(self._fit_at, _GROWS * pairs)
