"""Maps that were tried and did not become product code: `bench_maps` measures them for docs/quality.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector import cosine_topk, normalize
from revector.mapping import LocalResidualMap, RidgeMap

__all__ = ["TRIALS"]

Rows = NDArray[np.float32]

_BLOCK = 1024
_NEIGHBOURS = 48
_LANDMARKS = 2000


@dataclass(frozen=True)
class Trial:
    """A fitted map that is nothing but its function."""

    transform: Callable[[Rows], Rows]


def _blockwise(transform: Callable[[Rows], Rows]) -> Trial:
    return Trial(lambda x: np.concatenate([transform(x[i : i + _BLOCK]) for i in range(0, len(x), _BLOCK)]))


def _whitening(x: Rows) -> Callable[[Rows], Rows]:
    mean = x.mean(axis=0)
    variances, basis = np.linalg.eigh(np.cov((x - mean).T))
    whitening = (basis / np.sqrt(variances + 0.1 * variances.mean()) @ basis.T).astype(np.float32)
    return lambda rows: normalize((rows - mean) @ whitening)


def local_without_whitening(x: Rows, y: Rows) -> Trial:
    """Take as neighbours the nearest by plain cosine; half of the mean residual of eight, temperature .05."""
    base = RidgeMap().fit(x, y)
    residual = y - base.transform(x)

    def transform(rows: Rows) -> Rows:
        cosines, near = cosine_topk(rows, x, 8)
        weights = np.exp((cosines - cosines[:, :1]) / 0.05)
        weights *= 0.5 / weights.sum(axis=1, keepdims=True)
        return normalize(base.transform(rows) + np.matmul(weights[:, None], residual[near])[:, 0])

    return _blockwise(transform)


def kriging(x: Rows, y: Rows) -> Trial:
    """Weight the residuals of 48 neighbours by a Gaussian process with kernel ``exp((cosine - 1) / .8)``.

    D. G. Krige's method: neighbours that resemble each other share their weight. One system of 48 equations a row.
    """
    base, metric = RidgeMap().fit(x, y), _whitening(x)
    residual, known = y - base.transform(x), metric(x)
    noise = 0.03 * np.eye(_NEIGHBOURS, dtype=np.float32)

    def transform(rows: Rows) -> Rows:
        cosines, near = cosine_topk(metric(rows), known, _NEIGHBOURS)
        among = np.exp((np.matmul(known[near], known[near].transpose(0, 2, 1)) - 1) / 0.8) + noise
        weights = np.linalg.solve(among, np.exp((cosines - 1) / 0.8)[:, :, None])
        return normalize(base.transform(rows) + np.matmul(weights.transpose(0, 2, 1), residual[near])[:, 0])

    return _blockwise(transform)


def landmarks(x: Rows, y: Rows) -> Trial:
    """Ridge on the row and its Gaussian kernel with 2,000 pairs drawn at random (Nyström features)."""
    centres = x[np.random.default_rng(0).choice(len(x), min(_LANDMARKS, len(x) // 4), replace=False)]

    def features(rows: Rows) -> Rows:
        return np.concatenate([rows, np.exp(2 * (rows @ centres.T - 1), dtype=np.float32)], axis=1)

    fitted = RidgeMap().fit(features(x), y)
    return _blockwise(lambda rows: fitted.transform(features(rows)))


def local_on_rotation(x: Rows, y: Rows) -> Trial:
    """Correct a ridge map that is drawn to the rotation in place of a plain one."""
    return Trial(LocalResidualMap(RidgeMap(toward_rotation=True)).fit(x, y).transform)


def local_on_landmarks(x: Rows, y: Rows) -> Trial:
    """Correct the map of landmarks by its whitened neighbours."""
    base, metric = landmarks(x, y), _whitening(x)
    residual, known = y - base.transform(x), metric(x)

    def transform(rows: Rows) -> Rows:
        cosines, near = cosine_topk(metric(rows), known, 32)
        weights = np.exp((cosines - cosines[:, :1]) / 0.1)
        weights /= weights.sum(axis=1, keepdims=True)
        return normalize(base.transform(rows) + np.matmul(weights[:, None], residual[near])[:, 0])

    return _blockwise(transform)


TRIALS: dict[str, Callable[[Rows, Rows], Trial]] = {
    "local residual, plain cosine": local_without_whitening,
    "local residual on ridge toward rotation": local_on_rotation,
    "kriging of 48 neighbours": kriging,
    "ridge on 2,000 landmarks": landmarks,
    "local residual on landmarks": local_on_landmarks,
}
