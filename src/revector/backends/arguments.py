"""Documents, ids and vectors as a caller gives them, checked before anything is embedded, paid for or written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown, strings, valid_unicode
from revector._arrays import as_queries
from revector.backends.contracts import Generation, Keys, NewDocument, content_hash
from revector.errors import InvalidArgumentError, NumericalError, ShapeError, StoreError
from revector.spaces import EmbeddingSpace

__all__ = [
    "checked_documents",
    "checked_ids",
    "checked_queries",
    "checked_vectors",
    "missing_generation",
    "require_dimension",
]


def checked_documents(
    ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
) -> list[NewDocument]:
    """Return the documents of a call, in its order.

    Raises
    ------
    InvalidArgumentError
        Lengths differ, an id comes twice, an id or a text is not a string of valid Unicode, or metadata is not a JSON
        object. The message names the id and its place.
    """
    named, listed = _new_ids(ids), strings(texts, "texts")
    fields = [None] * len(named) if metadata is None else _listed_metadata(metadata)
    if not len(named) == len(listed) == len(fields):
        raise InvalidArgumentError(
            f"got {len(named)} ids, {len(listed)} texts, {len(fields)} metadata; give as many of each"
        )
    return [_checked(*given) for given in zip(range(len(named)), named, listed, fields, strict=True)]


def checked_ids(ids: Iterable[str], *, ordered: bool = True) -> list[str]:
    """Return the ids of documents that may exist; raise `InvalidArgumentError` unless they are valid strings.

    Parameters
    ----------
    ids : iterable of str
        A single str is refused: its characters would be taken for ids.
    ordered : bool
        Whether the answer follows the order of `ids`, so that a set is refused.
    """
    listed = strings(ids, "ids", ordered=ordered)
    if not "".join(listed).isascii():
        for place, id_ in enumerate(listed):
            valid_unicode(id_, f"ids[{place}]")
    return listed


def checked_vectors(
    keys: Keys, hashes: Sequence[str], vectors: NDArray[np.float32], dimension: int
) -> NDArray[np.float32]:
    """Return vectors as they are stored: contiguous rows of little-endian float32, one for each key and hash.

    Raises
    ------
    ShapeError, NumericalError
        Lengths differ, the vectors have another dimension, or one holds NaN or infinity.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ShapeError(
            f"the vectors have shape {vectors.shape}, the generation's space has {dimension} dimensions; encode with "
            "the model of that space"
        )
    if not len(keys) == len(hashes) == len(vectors):
        raise ShapeError(f"got {len(keys)} keys, {len(hashes)} hashes, {len(vectors)} vectors; give as many of each")
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is refused below
        matrix = np.ascontiguousarray(vectors, dtype="<f4")
    broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(broken):
        raise NumericalError(
            f"{len(broken)} of {len(matrix)} vectors hold NaN or infinity, the first is that of document "
            f"{keys[broken[0]]}; nothing was written"
        )
    return matrix


def checked_queries(queries: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """Return query vectors as rows of float32.

    Raises
    ------
    ShapeError, NumericalError
        They have another dimension, or one holds NaN or infinity.
    """
    rows = as_queries(queries)
    if rows.shape[1] != dimension:
        raise ShapeError(f"queries have {rows.shape[1]} dimensions, expected {dimension}, as the vectors have")
    if not np.isfinite(rows).all():
        raise NumericalError("queries hold NaN or infinity; encode them again")
    return rows


def missing_generation(generation: int) -> StoreError:
    """Return the error of a generation that does not exist."""
    return StoreError(f"generation {shown(generation)} does not exist; it may have been retired")


def require_dimension(generation: Generation, space: EmbeddingSpace) -> None:
    """Raise `ShapeError` unless the vectors of a generation can be those of a space."""
    if generation.space.dimension != space.dimension:
        raise ShapeError(
            f"the space has dimension {space.dimension}, expected {generation.space.dimension}, as the vectors have"
        )


def _new_ids(ids: Iterable[str]) -> list[str]:
    listed = checked_ids(ids)
    if "" in listed or "\0" in "".join(listed):
        place, id_ = next((place, id_) for place, id_ in enumerate(listed) if not id_ or "\0" in id_)
        raise InvalidArgumentError(f"ids[{place}] is {shown(id_)}, expected a non-empty string without NUL")
    _require_distinct(listed)
    return listed


def _require_distinct(ids: list[str]) -> None:
    if len(set(ids)) == len(ids):
        return
    first: dict[str, int] = {}
    place, id_ = next((place, id_) for place, id_ in enumerate(ids) if first.setdefault(id_, place) != place)
    raise InvalidArgumentError(
        f"ids[{first[id_]}] and ids[{place}] are both {shown(id_)}; give each document once, the one that you mean"
    )


def _listed_metadata(metadata: Any) -> list[Any]:
    if isinstance(metadata, (str, bytes, Mapping)) or not isinstance(metadata, Iterable):
        raise InvalidArgumentError(f"metadata is {shown(metadata)}, expected a sequence of dicts, one for each id")
    return list(metadata)


def _checked(place: int, id_: str, text: str, metadata: Any) -> NewDocument:
    if not text.isascii():
        valid_unicode(text, f"the text of {id_!r} (texts[{place}])")
    try:
        stored = None if metadata is None else _metadata_json(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"the metadata of {id_!r} (metadata[{place}]) is not a JSON object: {error}"
        ) from error
    return NewDocument(id_, text, content_hash(text), stored)


def _metadata_json(metadata: Any) -> str:
    """Return metadata as they are stored; what would come back as something else is refused."""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"it is {shown(metadata)}, expected a dict")
    _require_str_keys(metadata)
    stored = json.dumps(dict(metadata), allow_nan=False)
    if "\\ud" in stored:  # a pair of surrogates, or half of one
        json.dumps(dict(metadata), ensure_ascii=False).encode()
    return stored


def _require_str_keys(value: Any) -> None:
    """Refuse the key 1, say, which JSON would turn into "1"."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {shown(key)} would come back as a string")
        value = value.values()
    for each in value:
        if isinstance(each, (dict, list, tuple)):
            _require_str_keys(each)
