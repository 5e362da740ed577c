"""Reading documents with their vectors: the files that `revector.formats.vector_files` writes, and those alike.

============  ========================================================================================================
``.parquet``  the rows of `revector.formats.parquet`, and a column of lists of floats, ``vector`` or the only one
``.jsonl``    the rows of `revector.formats.rows`, each with a list ``vector``, or null
``.npy``      a matrix of floats; the documents of its rows are in ``FILE.rows.jsonl``, in the same order
============  ========================================================================================================

The space is read from where it is written: ``FILE.space.json``, or the schema of a Parquet file under
``revector_space``. Files of others have none.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import file_path, shown
from revector._optional import require
from revector.errors import InvalidArgumentError, RevectorError
from revector.formats.rows import DocumentRow, read_documents, read_rows
from revector.formats.vector_files import Batch
from revector.spaces import EmbeddingSpace

__all__ = ["VectorFile", "read_vectors", "vector_column"]

_ROWS_AT_ONCE = 1_024
_Rows = Iterator[tuple[NDArray[np.bool_], NDArray[np.float32]]]


@dataclass(frozen=True)
class VectorFile:
    """A file of documents with vectors.

    Parameters
    ----------
    path : Path
    space : EmbeddingSpace or None
        Of the vectors, where the file says it.
    batches : iterator of Batch
        Read once, in the order of the file.
    """

    path: Path
    space: EmbeddingSpace | None
    batches: Iterator[Batch]


def read_vectors(path: str | os.PathLike[str]) -> VectorFile:
    """Open a file of documents with vectors.

    Raises
    ------
    InvalidArgumentError
        The name ends in none of the formats, or the file is not what its name says; of a row the message names it.
        What is wrong further down is raised by the batches.
    MissingExtraError
        pyarrow is not installed.
    """
    file = file_path(path)
    formats = {".parquet": _parquet, ".jsonl": _jsonl, ".npy": _npy}
    if (suffix := file.suffix.lower()) not in formats:
        raise InvalidArgumentError(f"{file} is not named as a file with vectors is, expected {', '.join(formats)}")
    if not file.is_file():
        raise InvalidArgumentError(f"{file} does not exist, or is not a file")
    try:
        documents, rows = formats[suffix](file)
        space = _space_of(file)
    except RevectorError:
        raise
    except (OSError, ValueError) as error:  # of pyarrow, and of a space that is not JSON
        raise InvalidArgumentError(f"{file} is not what its name says, or its space is damaged: {error}") from error
    return VectorFile(file, space, _batches(file, documents, rows))


def _batches(file: Path, documents: Iterator[DocumentRow], rows: _Rows) -> Iterator[Batch]:
    for known, vectors in rows:
        some = list(itertools.islice(documents, len(known)))
        if len(some) < len(known):
            raise InvalidArgumentError(f"{file} has more vectors than documents; write both again")
        if not np.isfinite(vectors).all():
            wrong = some[np.flatnonzero(known)[~np.isfinite(vectors).all(axis=1)][0]]
            raise InvalidArgumentError(f"{wrong.where}: the vector of {shown(wrong.id)} holds NaN or infinity")
        yield Batch([d.id for d in some], [d.text for d in some], [d.metadata for d in some], known, vectors)
    if next(documents, None) is not None:
        raise InvalidArgumentError(f"{file} has more documents than vectors; write both again")


def _npy(file: Path) -> tuple[Iterator[DocumentRow], _Rows]:
    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{file} is not a matrix of numpy's: {error}") from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise InvalidArgumentError(f"{file} has shape {matrix.shape} of {matrix.dtype}, expected rows of floats")

    def rows() -> _Rows:
        for start in range(0, len(matrix), _ROWS_AT_ONCE):
            part = np.array(matrix[start : start + _ROWS_AT_ONCE], np.float32)
            yield np.ones(len(part), np.bool_), part

    return read_documents(file.with_name(f"{file.name}.rows.jsonl")), rows()


def _jsonl(file: Path) -> tuple[Iterator[DocumentRow], _Rows]:
    def rows() -> _Rows:
        given = read_rows(file)
        while some := list(itertools.islice(given, _ROWS_AT_ONCE)):
            yield _matrix([(where, row.get("vector")) for where, row in some])

    return read_documents(file), rows()


def vector_column(file: Path) -> str:
    """Return the column of the vectors of a Parquet file; raise `InvalidArgumentError` where it is not clear."""
    parquet = require("pyarrow.parquet", extra="parquet", purpose="reading Parquet")
    types = require("pyarrow.types", extra="parquet", purpose="reading Parquet")
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    vectors = [
        field.name
        for field in parquet.read_schema(file)
        if any(is_list(field.type) for is_list in lists) and types.is_floating(field.type.value_type)
    ]
    if "vector" in vectors or len(vectors) == 1:
        return "vector" if "vector" in vectors else str(vectors[0])
    raise InvalidArgumentError(f"{file} has {len(vectors)} columns of vectors, expected one, or one named 'vector'")


def _parquet(file: Path) -> tuple[Iterator[DocumentRow], _Rows]:
    parquet, column = require("pyarrow.parquet", extra="parquet", purpose="reading Parquet"), vector_column(file)

    def rows() -> _Rows:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(_ROWS_AT_ONCE, columns=[column]):
                yield _of_arrow(batch.column(0))

    return read_documents(file), rows()


def _of_arrow(vectors: Any) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    known = ~np.asarray(vectors.is_null())
    flat = np.asarray(vectors.drop_null().flatten(), np.float32)
    return known, flat.reshape(int(known.sum()), -1) if flat.size else np.empty((0, 0), np.float32)


def _matrix(rows: list[tuple[str, Any]]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    known = np.array([vector is not None for _, vector in rows], np.bool_)
    given = [(where, vector) for where, vector in rows if vector is not None]
    for where, vector in given:
        if not isinstance(vector, list) or len(vector) != len(given[0][1]) or not all(map(_is_number, vector)):
            raise InvalidArgumentError(
                f"{where}: 'vector' is {shown(vector)}, expected numbers, as many as in the others; write null for none"
            )
    return known, np.array([vector for _, vector in given], np.float32).reshape(len(given), -1)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _space_of(file: Path) -> EmbeddingSpace | None:
    if file.suffix.lower() == ".parquet":
        parquet = require("pyarrow.parquet", extra="parquet", purpose="reading Parquet")
        written = (parquet.read_schema(file).metadata or {}).get(b"revector_space")
    else:
        beside = file.with_name(f"{file.name}.space.json")
        written = beside.read_bytes() if beside.exists() else None
    return None if written is None else EmbeddingSpace.from_json(json.loads(written))
