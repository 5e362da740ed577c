"""Maps of the form ``(x - mean_old) W + mean_new``, solved from moments, the penalty chosen on pairs held out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector.errors import InvalidArgumentError
from revector.mapping import files
from revector.mapping.base import MapPrecision, Rows, SpaceMap, Weights, check_pairs
from revector.mapping.moments import PairMoments
from revector.spaces import EmbeddingSpace

Values = NDArray[np.float64]

PENALTIES: tuple[float, ...] = tuple(10.0 ** (exponent / 3) for exponent in range(-12, 7))
"""Those that are tried, as multiples of the mean eigenvalue of ``X^T X``."""

LEAST_PAIRS = 32
"""Fewer leave too few to choose a penalty on."""

_HELD_OUT = 1 / 8


@dataclass(frozen=True)
class Solved:
    """A solved map.

    Parameters
    ----------
    tensors : dict of str to ndarray of float32
        What the file holds; their product, where there are several factors, is W.
    penalty : float
        The penalty that was used, as a multiple of the mean eigenvalue.
    n_pairs : int
        Pairs it was fitted on.
    residual : float
        ``||map(X) - Y||_F / ||Y||_F`` on those pairs, both centred and before renormalisation.
    """

    tensors: files.Tensors
    penalty: float
    n_pairs: int
    residual: float


class AffineMap(SpaceMap):
    """What ridge and low-rank maps share.

    Every eighth pair, drawn at random, goes into moments of its own. They give the squared error of any W on those
    pairs exactly, so that the penalty is validated although no row is kept.

    Parameters
    ----------
    penalty : float, optional
        As a multiple of the mean eigenvalue of ``X^T X``; chosen on held-out pairs by default.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    factors: tuple[str, ...]
    """Names of the tensors whose product is W."""

    def __init__(
        self,
        penalty: float | None = None,
        *,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__(source=source, target=target)
        self.penalty = penalty
        self._forget()

    @property
    def solved(self) -> Solved:
        """What was found; the tensors are not to be written to."""
        return self._fitted()[0]

    @property
    def n_parameters(self) -> int:
        """Numbers of the factors and of the means."""
        return sum(tensor.size for tensor in self.solved.tensors.values())

    @abstractmethod
    def _solver(self, moments: PairMoments) -> Callable[[float], tuple[Values, ...]]:
        """Return what finds the factors of W for any penalty."""

    def _forget(self) -> None:
        self._training: PairMoments | None = None
        self._held_out: PairMoments | None = None
        self._found: tuple[Solved, _core.ProcrustesMap] | None = None
        self._draw = np.random.default_rng(0)

    def _learn(self, x: Rows, y: Rows, weights: Weights | None) -> None:
        check_pairs(x, y)
        if self._training is None or self._held_out is None:
            self._training = PairMoments.empty(x.shape[1], y.shape[1])
            self._held_out = PairMoments.empty(x.shape[1], y.shape[1])
        # one number a pair, in order: which pairs are held out does not depend on how the stream is cut
        held_out = self._draw.random(len(x)) < _HELD_OUT
        for moments, rows in ((self._training, ~held_out), (self._held_out, held_out)):
            moments.add(x[rows], y[rows], None if weights is None else weights[rows])
        self._found = None

    def _apply(self, x: Rows, renormalize: bool, precision: MapPrecision) -> Rows:
        return self._fitted()[1].transform(x, renormalize, False, precision)

    def _fitted(self) -> tuple[Solved, _core.ProcrustesMap]:
        if self._found is None:
            if self._training is None or self._held_out is None:
                raise self._never_fitted()
            solved = self._solve(self._training, self._held_out)
            self._found = solved, self._applied(solved)
        return self._found

    def _solve(self, training: PairMoments, held_out: PairMoments) -> Solved:
        everything = PairMoments.empty(*training.xy.shape)
        everything.merge(training)
        everything.merge(held_out)
        everything.require_solvable(type(self).__name__, 2)
        penalty = self._validated(training, held_out) if self.penalty is None else self.penalty
        if not penalty > 0:
            raise InvalidArgumentError(f"penalty is {penalty}, expected above 0")
        factors = self._solver(everything)(penalty)
        error = everything.squared_error(everything.mean_x, everything.mean_y, _product(factors))
        named = {"mean_old": everything.mean_x, "mean_new": everything.mean_y}
        named |= zip(self.factors, factors, strict=True)
        tensors = {name: tensor.astype(np.float32) for name, tensor in named.items()}
        return Solved(tensors, penalty, everything.n_pairs, (max(error, 0.0) / everything.yy) ** 0.5)

    def _validated(self, training: PairMoments, held_out: PairMoments) -> float:
        if (n := training.n_pairs + held_out.n_pairs) < LEAST_PAIRS or 0 in (training.weight, held_out.weight):
            raise InvalidArgumentError(
                f"{type(self).__name__} has {n} pair(s), expected at least {LEAST_PAIRS} to choose a penalty on; "
                "give more, or pass penalty="
            )

        training.require_solvable(type(self).__name__, 2)
        solve = self._solver(training)

        def error(penalty: float) -> float:
            return held_out.squared_error(training.mean_x, training.mean_y, _product(solve(penalty)))

        return min(PENALTIES, key=error)

    def _applied(self, solved: Solved) -> _core.ProcrustesMap:
        """Hand the matrix to the core; its map applies any, only its solver is about rotations."""
        tensors = solved.tensors
        w = _product(tuple(tensors[name].astype(np.float64) for name in self.factors)).astype(np.float32)
        unknown = _core.ProcrustesDiagnostics(
            n_pairs=solved.n_pairs, residual=solved.residual, effective_rank=0.0, condition=0.0, rank=0
        )
        return _core.ProcrustesMap(w, tensors["mean_old"], tensors["mean_new"], 1.0, unknown)

    def _state(self) -> files.State:
        solved = self.solved
        found = {"penalty": solved.penalty, "n_pairs": solved.n_pairs, "residual": solved.residual}
        params = {name: value for name, value in self.get_params().items() if name not in ("source", "target")}
        return solved.tensors, {"params": params, "solved": found}

    @classmethod
    def _restore(cls, state: files.State) -> AffineMap:
        tensors, description = state
        found = cls(**description["params"])
        solved = Solved(tensors, **description["solved"])
        found._found = solved, found._applied(solved)
        return found


def ridge_solver(moments: PairMoments, toward: Values | None = None) -> Callable[[float], Values]:
    """Return what solves ``argmin |X W - Y|^2 + penalty |W - toward|^2`` for any penalty, decomposed once.

    Parameters
    ----------
    moments : PairMoments
    toward : ndarray of float64, shape (d_x, d_y), optional
        Zero by default.
    """
    eigenvalues, basis = np.linalg.eigh(moments.xx)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    rotated = basis.T @ (moments.xy if toward is None else moments.xy - moments.xx @ toward)

    def solve(penalty: float) -> Values:
        w: Values = basis @ (rotated / (eigenvalues + penalty * eigenvalues.mean())[:, None])
        return w if toward is None else w + toward

    return solve


def _product(factors: tuple[Values, ...]) -> Values:
    product = factors[0]
    for factor in factors[1:]:
        product = product @ factor
    return product
