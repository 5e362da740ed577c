"""Maps between embedding spaces: orthogonal Procrustes.

A map knows the space it leads from and the one it leads to. Vectors of another space are refused when the caller says
where they come from.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arrays import as_float32
from revector._files import write_whole
from revector.errors import InvalidArgumentError, ShapeError, SpaceMismatchError
from revector.spaces import EmbeddingSpace

__all__ = ["Procrustes", "ProcrustesDiagnostics"]

_FORMAT = "revector.procrustes.1"


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


class Procrustes:
    """Rotation that brings one space closest to another.

    ``W = argmin ||X W - Y||_F`` over W with orthonormal rows (or columns, where the new space is smaller), found by the
    SVD of ``X^T Y`` (Schönemann, Psychometrika 31, 1966). Not thread-safe while fitting; a fitted map is.

    Parameters
    ----------
    center : bool
        Subtract the means of both sides first. Spaces of real models need it.
    scale : bool
        Fit one scale factor as well; without effect on cosine results unless centred.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    def __init__(
        self,
        center: bool = True,
        scale: bool = False,
        *,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        self.center = center
        self.scale = scale
        self.source = source
        self.target = target
        self._pairs: _core.ProcrustesAccumulator | None = None
        self._map: _core.ProcrustesMap | None = None

    def fit(self, old: Any, new: Any) -> Procrustes:
        """Fit the map to pairs, forgetting earlier ones.

        Parameters
        ----------
        old : array_like of float, shape (n, d_old)
        new : array_like of float, shape (n, d_new)
            Row i of both is the same text.

        Returns
        -------
        Procrustes
            This object.

        Raises
        ------
        ShapeError
            Different numbers of rows, or columns that do not fit the spaces.
        NumericalError
            NaN or infinity, or rows that do not vary.
        InvalidArgumentError
            Too few pairs (one, or two when centred, are the least).
        """
        self._pairs = None
        return self.partial_fit(old, new)

    def partial_fit(self, old: Any, new: Any) -> Procrustes:
        """Add pairs to those seen before; the map is solved when it is next used. Arguments as for `fit`."""
        x, y = as_float32(old, "old"), as_float32(new, "new")
        self._check_dimension(x, self.source, "old")
        self._check_dimension(y, self.target, "new")
        pairs = self._pairs or _core.ProcrustesAccumulator(x.shape[1], y.shape[1])
        pairs.add(x, y)
        self._pairs, self._map = pairs, None
        return self

    def transform(
        self, x: Any, *, space: EmbeddingSpace | None = None, renormalize: bool = True
    ) -> NDArray[np.float32]:
        """Map rows of the old space into the new one.

        Parameters
        ----------
        x : array_like of float, shape (n, d_old)
        space : EmbeddingSpace, optional
            Where `x` comes from; checked against the map's source.
        renormalize : bool
            Return unit rows.

        Returns
        -------
        ndarray of float32, shape (n, d_new)

        Raises
        ------
        SpaceMismatchError
            `space` is not the map's source: the map is used the wrong way.
        ShapeError, NumericalError, InvalidArgumentError
            Wrong columns, NaN or infinity, or a map that was never fitted.
        """
        self._check_direction(space, self.source, "transform")
        return self._fitted().transform(as_float32(x, "x"), renormalize, False)

    def inverse_transform(
        self, y: Any, *, space: EmbeddingSpace | None = None, renormalize: bool = True
    ) -> NDArray[np.float32]:
        """Map rows of the new space back into the old one. Arguments and errors as for `transform`."""
        self._check_direction(space, self.target, "inverse_transform")
        return self._fitted().transform(as_float32(y, "y"), renormalize, True)

    @property
    def diagnostics(self) -> ProcrustesDiagnostics:
        """How many pairs were seen and how well they fit."""
        found = self._fitted().diagnostics
        return ProcrustesDiagnostics(found.n_pairs, found.residual, found.effective_rank, found.condition, found.rank)

    @property
    def rotation(self) -> NDArray[np.float32]:
        """A copy of W, shape (d_old, d_new)."""
        return self._fitted().parameters()["rotation"]

    def to_bytes(self) -> bytes:
        """Serialise the fitted map as one safetensors file."""
        from safetensors.numpy import save

        parameters = self._fitted().parameters()
        tensors = {
            "rotation": parameters["rotation"],
            "mean_old": parameters["mean_old"],
            "mean_new": parameters["mean_new"],
            "scale": np.array([parameters["scale"]], np.float32),
        }
        description = {
            "format": _FORMAT,
            "center": self.center,
            "scale": self.scale,
            "source": self.source and self.source.to_json(),
            "target": self.target and self.target.to_json(),
            "diagnostics": vars(self.diagnostics),
        }
        return save(tensors, metadata={"revector": json.dumps(description)})

    @classmethod
    def from_bytes(cls, blob: bytes) -> Procrustes:
        """Rebuild a map from what `to_bytes` returned.

        Raises
        ------
        InvalidArgumentError
            The bytes are not a map of this format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(blob)
            header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
            description = json.loads(header["__metadata__"]["revector"])
            if description["format"] != _FORMAT:
                raise InvalidArgumentError(f"map has format {description['format']!r}, expected {_FORMAT!r}")
            return cls._restore(tensors, description)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidArgumentError | ShapeError):
                raise
            raise InvalidArgumentError(f"these bytes are not a map written by Procrustes.to_bytes: {error}") from error

    @classmethod
    def _restore(cls, tensors: dict[str, NDArray[np.float32]], description: dict[str, Any]) -> Procrustes:
        spaces = {
            side: None if description[side] is None else EmbeddingSpace.from_json(description[side])
            for side in ("source", "target")
        }
        found = cls(description["center"], description["scale"], **spaces)
        found._map = _core.ProcrustesMap(
            tensors["rotation"],
            tensors["mean_old"],
            tensors["mean_new"],
            float(tensors["scale"][0]),
            _core.ProcrustesDiagnostics(**description["diagnostics"]),
        )
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map to a safetensors file, whole or not at all."""
        write_whole(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Procrustes:
        """Read a map that `save` wrote. Raises `InvalidArgumentError` if it is not one."""
        return cls.from_bytes(Path(path).read_bytes())

    def _fitted(self) -> _core.ProcrustesMap:
        if self._map is None:
            if self._pairs is None:
                raise InvalidArgumentError("this map was never fitted; call fit(old, new) first")
            self._map = self._pairs.solve(self.center, self.scale)
        return self._map

    @staticmethod
    def _check_dimension(x: NDArray[np.float32], space: EmbeddingSpace | None, name: str) -> None:
        if space is not None and x.shape[1] != space.dimension:
            raise ShapeError(f"{name} has {x.shape[1]} columns, expected {space.dimension} of the space {space}")

    @staticmethod
    def _check_direction(found: EmbeddingSpace | None, expected: EmbeddingSpace | None, verb: str) -> None:
        if found is None or expected is None or found.fingerprint == expected.fingerprint:
            return
        raise SpaceMismatchError(
            f"{verb} takes vectors of {expected}, got vectors of {found}; the map leads the other way or belongs to "
            "another pair of models",
            expected=str(expected),
            found=str(found),
        )
