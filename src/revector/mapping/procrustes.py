"""Orthogonal Procrustes: the rotation that brings one space closest to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from revector import _core
from revector._arrays import as_float32
from revector.errors import InvalidArgumentError
from revector.mapping import files
from revector.mapping.base import MapPrecision, Rows, SpaceMap, Weights, check_pairs, checked_products
from revector.mapping.moments import PairMoments
from revector.mapping.spectrum import Spectrum
from revector.spaces import EmbeddingSpace


@dataclass(frozen=True)
class ProcrustesDiagnostics:
    """How a map was fitted and how well.

    Attributes
    ----------
    n_pairs : int
        Pairs seen.
    residual : float
        ``||map(X) - Y||_F / ||Y||_F`` before renormalisation, both centred if the map is; 0 is perfect.
    effective_rank : float
        Exponential of the entropy of the singular values of the cross-covariance (Roy & Vetterli 2007).
    condition : float
        Largest over smallest singular value; infinite if rank-deficient.
    rank : int
        Singular values that are more than float32 rounding.
    """

    n_pairs: int
    residual: float
    effective_rank: float
    condition: float
    rank: int


class Procrustes(SpaceMap):
    """Rotation that brings one space closest to another.

    ``W = argmin ||X W - Y||_F`` over W with orthonormal rows (or columns, where the new space is smaller), found by the
    SVD of ``X^T Y`` (Schönemann, Psychometrika 31, 1966). Not thread-safe while fitting; a fitted map is.

    Pairs without weights are summed by the core, weighted ones in numpy, some three times slower; weights have to be
    there from the first call on.

    Parameters
    ----------
    center : bool
        Subtract the means of both sides first. Spaces of real models need it.
    scale : bool
        Fit one scale factor as well; without effect on cosine results unless centred.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    format = "revector.procrustes.1"

    def __init__(
        self,
        center: bool = True,
        scale: bool = False,
        *,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__(source=source, target=target)
        self.center = center
        self.scale = scale
        self._pairs: _core.ProcrustesAccumulator | _WeightedPairs | None = None
        self._map: _core.ProcrustesMap | None = None

    def inverse_transform(
        self,
        y: Any,
        *,
        space: EmbeddingSpace | None = None,
        renormalize: bool = True,
        precision: MapPrecision = "float32",
    ) -> Rows:
        """Map rows of the new space back into the old one. Arguments and errors as for `transform`."""
        self._check_direction(space, self.target, "inverse_transform")
        renormalize, precision = checked_products(renormalize, precision)
        return self._fitted().transform(as_float32(y, "y"), renormalize, True, precision)

    @property
    def diagnostics(self) -> ProcrustesDiagnostics:
        """How many pairs were seen and how well they fit."""
        found = self._fitted().diagnostics
        return ProcrustesDiagnostics(found.n_pairs, found.residual, found.effective_rank, found.condition, found.rank)

    @property
    def rotation(self) -> Rows:
        """A copy of W, shape (d_old, d_new)."""
        return self._fitted().parameters()["rotation"]

    @property
    def n_parameters(self) -> int:
        """Numbers of W and of the means."""
        rotation = self.rotation
        return rotation.size + (sum(rotation.shape) if self.center else 0)

    def _forget(self) -> None:
        self._pairs = self._map = None

    def _learn(self, x: Rows, y: Rows, weights: Weights | None) -> None:
        if self._pairs is None:
            kind = _core.ProcrustesAccumulator if weights is None else _WeightedPairs
            self._pairs = kind(x.shape[1], y.shape[1])
        if weights is None:
            self._pairs.add(x, y)
        elif isinstance(self._pairs, _WeightedPairs):
            self._pairs.add(x, y, weights)
        else:
            raise InvalidArgumentError("earlier pairs had no weights; give weights (1 each) from the first call on")
        self._map = None

    def _apply(self, x: Rows, renormalize: bool, precision: MapPrecision) -> Rows:
        return self._fitted().transform(x, renormalize, False, precision)

    def _fitted(self) -> _core.ProcrustesMap:
        if self._map is None:
            if self._pairs is None:
                raise self._never_fitted()
            self._map = self._pairs.solve(self.center, self.scale)
        return self._map

    def _state(self) -> files.State:
        parameters = self._fitted().parameters()
        tensors = {
            "rotation": parameters["rotation"],
            "mean_old": parameters["mean_old"],
            "mean_new": parameters["mean_new"],
            "scale": np.array([parameters["scale"]], np.float32),
        }
        return tensors, {"center": self.center, "scale": self.scale, "diagnostics": vars(self.diagnostics)}

    @classmethod
    def _restore(cls, state: files.State) -> Procrustes:
        tensors, description = state
        found = cls(description["center"], description["scale"])
        found._map = _core.ProcrustesMap(
            tensors["rotation"],
            tensors["mean_old"],
            tensors["mean_new"],
            float(tensors["scale"][0]),
            _core.ProcrustesDiagnostics(**description["diagnostics"]),
        )
        return found


class _WeightedPairs:
    """What the core's accumulator does, for pairs with weights."""

    def __init__(self, d_old: int, d_new: int) -> None:
        self._moments = PairMoments.empty(d_old, d_new)

    def add(self, old: Rows, new: Rows, weights: Weights | None = None) -> None:
        check_pairs(old, new)
        self._moments.add(old, new, weights)

    def solve(self, center: bool, scale: bool) -> _core.ProcrustesMap:
        moments = self._moments if center else self._moments.about_zero()
        moments.require_solvable("Procrustes", 2 if center else 1)
        u, s, vt = np.linalg.svd(moments.xy, full_matrices=False)
        w = u @ vt
        mapped, trace = float(np.sum(w * (moments.xx @ w))), float(s.sum())
        factor = trace / mapped if scale else 1.0
        squares = max(factor * factor * mapped - 2 * factor * trace + moments.yy, 0.0)
        diagnostics = _core.ProcrustesDiagnostics(
            n_pairs=moments.n_pairs, residual=(squares / moments.yy) ** 0.5, **vars(Spectrum.of(s, max(w.shape)))
        )
        means = moments.mean_x.astype(np.float32), moments.mean_y.astype(np.float32)
        return _core.ProcrustesMap(w.astype(np.float32), *means, factor, diagnostics)
