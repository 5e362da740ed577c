"""Ridge regression between spaces, drawn to zero or to the Procrustes rotation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from revector.mapping.affine import AffineMap, Values, ridge_solver
from revector.mapping.moments import PairMoments
from revector.spaces import EmbeddingSpace


class RidgeMap(AffineMap):
    """Centred linear map with a penalty (A. E. Hoerl and R. W. Kennard, Technometrics 12, 1970).

    ``W = argmin ||X W - Y||^2 + penalty ||W - W0||^2``, where W0 is zero or the Procrustes rotation.

    Parameters
    ----------
    penalty : float, optional
        As a multiple of the mean eigenvalue of ``X^T X``; chosen on held-out pairs by default.
    toward_rotation : bool
        Draw W to the Procrustes rotation of the same pairs instead of to zero: better with few pairs.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    format = "revector.ridge.1"
    factors = ("matrix",)

    def __init__(
        self,
        penalty: float | None = None,
        *,
        toward_rotation: bool = False,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__(penalty, source=source, target=target)
        self.toward_rotation = toward_rotation

    def _solver(self, moments: PairMoments) -> Callable[[float], tuple[Values, ...]]:
        solve = ridge_solver(moments, _rotation(moments) if self.toward_rotation else None)
        return lambda penalty: (solve(penalty),)


def _rotation(moments: PairMoments) -> Values:
    u, _, vt = np.linalg.svd(moments.xy, full_matrices=False)
    rotation: Values = u @ vt
    return rotation
