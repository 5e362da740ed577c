"""What every map between embedding spaces is: typed by its two spaces, fitted on pairs, kept in one safetensors file.

A map knows the space it leads from and the one it leads to. Vectors of another space are refused when the caller says
where they come from.
"""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from revector._arguments import choice, file_path, flag
from revector._arrays import as_float32, as_numbers
from revector._files import write_whole
from revector.errors import InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.mapping import files
from revector.spaces import EmbeddingSpace

Rows = NDArray[np.float32]
Weights = NDArray[np.float64]
Map = TypeVar("Map", bound="SpaceMap")
MapPrecision = Literal["float32", "bfloat16"]

_PRECISIONS = ("float32", "bfloat16")
_FORMATS: dict[str, type[SpaceMap]] = {}


class SpaceMap(ABC):
    """A map from the rows of a source space to those of a target space.

    Follows the conventions of scikit-learn: the constructor only stores its parameters, `fit` learns and returns the
    map itself. Not thread-safe while fitting; a fitted map is.

    Parameters
    ----------
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    format: ClassVar[str]
    """Names the layout of the file."""

    def __init__(self, *, source: EmbeddingSpace | None = None, target: EmbeddingSpace | None = None) -> None:
        self.source = source
        self.target = target

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "format" in vars(cls):
            _FORMATS[cls.format] = cls

    def fit(self: Map, old: Any, new: Any, *, weights: Any = None) -> Map:
        """Fit the map to pairs, forgetting earlier ones.

        Parameters
        ----------
        old : array_like of float, shape (n, d_old)
        new : array_like of float, shape (n, d_new)
            Row i of both is the same text.
        weights : array_like of float, shape (n,), optional
            How much each pair counts; 2 counts as the pair given twice. All 1 by default.

        Returns
        -------
        SpaceMap
            This object.

        Raises
        ------
        ShapeError
            Different numbers of rows, or columns that do not fit the spaces.
        NumericalError
            NaN or infinity, or rows that do not vary.
        InvalidArgumentError
            Too few pairs, or weights that are negative or that this map does not take.
        """
        self._forget()
        return self.partial_fit(old, new, weights=weights)

    def partial_fit(self: Map, old: Any, new: Any, *, weights: Any = None) -> Map:
        """Add pairs to those seen before; the map is solved when it is next used. Arguments as for `fit`."""
        x, y = as_float32(old, "old"), as_float32(new, "new")
        self._check_dimension(x, self.source, "old")
        self._check_dimension(y, self.target, "new")
        self._learn(x, y, None if weights is None else _as_weights(weights, len(x)))
        return self

    def transform(
        self,
        x: Any,
        *,
        space: EmbeddingSpace | None = None,
        renormalize: bool = True,
        precision: MapPrecision = "float32",
    ) -> Rows:
        """Map rows of the old space into the new one.

        Parameters
        ----------
        x : array_like of float, shape (n, d_old)
        space : EmbeddingSpace, optional
            Where `x` comes from; checked against the map's source.
        renormalize : bool
            Return unit rows.
        precision : {"float32", "bfloat16"}
            Format of the products by the map's matrix (by its base's, where it has one). bfloat16 moves unit rows by
            some .003 and is for many rows: it is twice as fast where the CPU multiplies it, and slower elsewhere.

        Returns
        -------
        ndarray of float32, shape (n, d_new)

        Raises
        ------
        SpaceMismatchError
            `space` is not the map's source: the map is used the wrong way.
        ShapeError, NumericalError, InvalidArgumentError
            Wrong columns, NaN or infinity, an unknown precision, or a map that was never fitted.
        """
        self._check_direction(space, self.source, "transform")
        return self._apply(as_float32(x, "x"), *checked_products(renormalize, precision))

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Numbers that the fitted map holds; of maps that serve equally well, the one with fewer is to be taken."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop all pairs seen."""

    @abstractmethod
    def _learn(self, x: Rows, y: Rows, weights: Weights | None) -> None:
        """Take in checked pairs."""

    @abstractmethod
    def _apply(self, x: Rows, renormalize: bool, precision: MapPrecision) -> Rows:
        """Map rows."""

    @abstractmethod
    def _state(self) -> files.State:
        """Return what `_restore` needs beside the spaces: tensors, and a description of JSON types."""

    @classmethod
    @abstractmethod
    def _restore(cls: type[Map], state: files.State) -> Map:
        """Rebuild a fitted map without its spaces."""

    def get_params(self, deep: bool = False) -> dict[str, Any]:
        """Return the constructor's arguments by name; `deep` is taken for scikit-learn's sake and changes nothing."""
        return {name: getattr(self, name) for name in list(inspect.signature(type(self)).parameters)}

    def set_params(self: Map, **params: Any) -> Map:
        """Change constructor arguments and forget the pairs seen; raise `InvalidArgumentError` for an unknown one."""
        known = self.get_params()
        if unknown := sorted(set(params) - set(known)):
            raise InvalidArgumentError(f"{type(self).__name__} has no parameter {unknown[0]!r}, expected {list(known)}")
        for name, value in params.items():
            setattr(self, name, value)
        self._forget()
        return self

    def unfitted(self: Map) -> Map:
        """Return a new map with the same parameters that has seen no pairs."""
        return type(self)(**self.get_params())

    def to_bytes(self) -> bytes:
        """Serialise the fitted map as one safetensors file."""
        return files.pack(describe(self))

    @classmethod
    def from_bytes(cls: type[Map], blob: bytes) -> Map:
        """Rebuild a map from what `to_bytes` returned.

        Raises
        ------
        InvalidArgumentError
            The bytes are not a map, or one of another kind.
        """
        found = load_map(blob)
        if not isinstance(found, cls):
            raise InvalidArgumentError(f"the file holds a {type(found).__name__}, expected a {cls.__name__}")
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map to a safetensors file, whole or not at all."""
        write_whole(file_path(path), self.to_bytes())

    @classmethod
    def load(cls: type[Map], path: str | os.PathLike[str]) -> Map:
        """Read a map that `save` wrote. Raises `InvalidArgumentError` if it is not one of this kind."""
        return cls.from_bytes(file_path(path).read_bytes())

    def _never_fitted(self) -> InvalidArgumentError:
        return InvalidArgumentError("this map was never fitted; call fit(old, new) first")

    @staticmethod
    def _check_dimension(x: Rows, space: EmbeddingSpace | None, name: str) -> None:
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


def load_map(source: str | os.PathLike[str] | bytes) -> SpaceMap:
    """Read a map of any kind.

    Parameters
    ----------
    source : path or bytes
        A file that `SpaceMap.save` wrote, or what `SpaceMap.to_bytes` returned.

    Raises
    ------
    InvalidArgumentError
        It is not a map, or of a kind that this version does not know.
    """
    blob = source if isinstance(source, bytes) else file_path(source).read_bytes()
    with files.refusing_damage():
        return rebuild(files.unpack(blob))


def describe(fitted: SpaceMap) -> files.State:
    """Return the tensors and the description of a fitted map, its kind and its spaces included."""
    tensors, description = fitted._state()
    spaces = {side: space and space.to_json() for side, space in (("source", fitted.source), ("target", fitted.target))}
    return tensors, {"format": fitted.format, **spaces, **description}


def rebuild(state: files.State) -> SpaceMap:
    """Rebuild a map from what `describe` returned."""
    description = state[1]
    if description["format"] not in _FORMATS:
        raise InvalidArgumentError(f"map has format {description['format']!r}, expected one of {sorted(_FORMATS)}")
    found = _FORMATS[description["format"]]._restore(state)
    for side in ("source", "target"):
        setattr(found, side, description[side] and EmbeddingSpace.from_json(description[side]))
    return found


def checked_products(renormalize: Any, precision: Any) -> tuple[bool, MapPrecision]:
    """Return how to map, or raise `InvalidArgumentError`."""
    choice(precision, "precision", _PRECISIONS)
    return flag(renormalize, "renormalize"), precision


def check_pairs(x: Rows, y: Rows) -> None:
    """Raise unless both matrices have the same number of rows, at least one column, and finite values."""
    if len(x) != len(y):
        raise ShapeError(f"rows of new: got {len(y)}, expected {len(x)}")
    for rows, name in ((x, "old"), (y, "new")):
        if rows.shape[1] == 0:
            raise ShapeError(f"{name} has 0 columns, expected at least 1")
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise NumericalError(f"{name}: row {int(np.argmin(finite))} holds NaN or infinity")


def check_columns(pair: tuple[Rows, Rows], before: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """Raise `ShapeError` unless pairs have as many columns as earlier ones."""
    for rows, earlier, name in zip(pair, before, ("old", "new"), strict=True):
        if rows.shape[1] != earlier.shape[1]:
            raise ShapeError(f"{name} has {rows.shape[1]} columns, expected {earlier.shape[1]} as before")


def _as_weights(weights: Any, n: int) -> Weights:
    found = as_numbers(weights, "weights")
    if found.shape != (n,):
        raise ShapeError(f"weights have shape {found.shape}, expected ({n},): one for each pair")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise InvalidArgumentError("weights hold negative or non-finite numbers, expected finite ones of 0 or more")
    return found
