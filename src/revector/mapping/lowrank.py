"""Reduced-rank regression between spaces: an affine map in few parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from revector.errors import InvalidArgumentError
from revector.mapping.affine import AffineMap, Values, ridge_solver
from revector.mapping.moments import PairMoments
from revector.spaces import EmbeddingSpace


class LowRankMap(AffineMap):
    """Centred linear map of bounded rank: the ridge solution, seen through its strongest directions.

    W is ``B V V^T``, B being the ridge solution and V the leading eigenvectors of ``B^T (X^T X) B``, the directions in
    which the mapped rows vary most (A. J. Izenman, Journal of Multivariate Analysis 5, 1975).

    Parameters
    ----------
    rank : int
        Of W.
    penalty : float, optional
        As a multiple of the mean eigenvalue of ``X^T X``; chosen on held-out pairs by default.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    format = "revector.lowrank.1"
    factors = ("left", "right")

    def __init__(
        self,
        rank: int = 128,
        penalty: float | None = None,
        *,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__(penalty, source=source, target=target)
        self.rank = rank

    def _solver(self, moments: PairMoments) -> Callable[[float], tuple[Values, ...]]:
        if not 1 <= self.rank <= min(moments.xy.shape):
            raise InvalidArgumentError(f"rank is {self.rank}, expected from 1 to {min(moments.xy.shape)}")
        solve = ridge_solver(moments)

        def factors(penalty: float) -> tuple[Values, ...]:
            b = solve(penalty)
            strongest = np.linalg.eigh(b.T @ moments.xx @ b)[1][:, : -self.rank - 1 : -1]
            return b @ strongest, strongest.T

        return factors
