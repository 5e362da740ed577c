"""Writing documents with their vectors: Parquet, JSON lines, or a matrix of numpy's with its rows beside it.

============  ========================================================================================================
``.parquet``  ``id``, ``text``, ``metadata`` (JSON), ``vector`` (null where there is none); the space is in the schema,
              under ``revector_space``
``.jsonl``    an object a line with the same fields, the space beside it in ``FILE.space.json``
``.npy``      a float32 matrix of those that have a vector; ``FILE.rows.jsonl`` has id, text and metadata of each of its
              rows, and ``FILE.space.json`` the space
``.beir``     a folder with ``corpus.jsonl`` as BEIR has it: ``_id``, ``title`` (of the metadata), ``text``,
              ``metadata``; without vectors
============  ========================================================================================================

Files appear whole, under their names, once everything is written; nothing that is there is replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from revector._arguments import file_path
from revector._optional import require
from revector.errors import InvalidArgumentError
from revector.spaces import EmbeddingSpace

__all__ = ["Batch", "Write", "writing"]


@dataclass(frozen=True)
class Batch:
    """Some documents.

    Attributes
    ----------
    ids, texts : list of str, length n
    metadata : list of dict, length n
    known : ndarray of bool, shape (n,)
        Which of them have a vector.
    vectors : ndarray of float32, shape (known.sum(), dimension)
        Of those.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    metadata: Sequence[dict[str, Any]]
    known: NDArray[np.bool_]
    vectors: NDArray[np.float32]


Write = Callable[[Batch], None]


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `writing` makes.

    Raises
    ------
    InvalidArgumentError
        The name ends in none of the formats, or a file is there already.
    """
    target = file_path(path)
    if (suffix := target.suffix.lower()) not in _FORMATS:
        raise InvalidArgumentError(f"{target} is not named as a format is, expected one of {', '.join(_FORMATS)}")
    if suffix == ".beir":
        target = target / "corpus.jsonl"
    beside = [target.with_name(f"{target.name}.space.json")] if suffix in (".jsonl", ".npy") else []
    beside += [target.with_name(f"{target.name}.rows.jsonl")] if suffix == ".npy" else []
    files = [target, *beside]
    if there := next((file for file in files if file.exists()), None):
        raise InvalidArgumentError(f"{there} is there already; remove it, or choose another name")
    return files


@contextmanager
def writing(path: str | os.PathLike[str], space: EmbeddingSpace) -> Iterator[tuple[Write, list[Path]]]:
    """Yield what writes batches to a file, and the files that are there in the end; what fails leaves nothing.

    Raises
    ------
    InvalidArgumentError
        As `files_of`, or a file cannot be written.
    MissingExtraError
        pyarrow is not installed.
    """
    files, suffix = files_of(path), file_path(path).suffix.lower()
    target = files[0]
    parts = [file.with_name(f"{file.name}.{os.getpid()}.part") for file in files]
    try:
        if suffix == ".beir":
            target.parent.mkdir(exist_ok=True)
        with _FORMATS[suffix](parts, space) as write:
            yield write, files
        for part, file in zip(parts, files, strict=True):
            part.replace(file)
    except OSError as error:
        raise InvalidArgumentError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _parquet(parts: Sequence[Path], space: EmbeddingSpace) -> Iterator[Write]:
    arrow = require("pyarrow", extra="parquet", purpose="writing Parquet")
    parquet = require("pyarrow.parquet", extra="parquet", purpose="writing Parquet")
    columns = [(name, arrow.string()) for name in ("id", "text", "metadata")]
    schema = arrow.schema(
        [*columns, ("vector", arrow.list_(arrow.float32(), space.dimension))],
        metadata={"revector_space": json.dumps(space.to_json())},
    )
    with parquet.ParquetWriter(parts[0], schema) as writer:

        def write(batch: Batch) -> None:
            rows = np.zeros((len(batch.ids), space.dimension), dtype=np.float32)
            rows[batch.known] = batch.vectors
            mask = arrow.array(~batch.known)
            vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), space.dimension, mask=mask)
            metadata = [json.dumps(each, ensure_ascii=False) for each in batch.metadata]
            texts = [arrow.array(column, arrow.string()) for column in (batch.ids, batch.texts, metadata)]
            writer.write_batch(arrow.record_batch([*texts, vectors], schema=schema))

        yield write


@contextmanager
def _jsonl(parts: Sequence[Path], space: EmbeddingSpace) -> Iterator[Write]:
    _write_space(parts[1], space)
    with parts[0].open("w", encoding="utf-8", newline="\n") as stream:

        def write(batch: Batch) -> None:
            rows = iter(batch.vectors)
            vectors = [_numbers(next(rows)) if known else "null" for known in batch.known.tolist()]
            heads = _rows(batch, range(len(batch.ids)))
            stream.writelines(f'{head[:-1]}, "vector": {row}}}\n' for head, row in zip(heads, vectors, strict=True))

        yield write


@contextmanager
def _beir(parts: Sequence[Path], space: EmbeddingSpace) -> Iterator[Write]:
    with parts[0].open("w", encoding="utf-8", newline="\n") as stream:

        def write(batch: Batch) -> None:
            for id_, text, metadata in zip(batch.ids, batch.texts, batch.metadata, strict=True):
                title = metadata.get("title")
                is_title = isinstance(title, str)
                rest = {name: value for name, value in metadata.items() if name != "title" or not is_title}
                row = {"_id": id_, "title": title if is_title else "", "text": text, "metadata": rest}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _npy(parts: Sequence[Path], space: EmbeddingSpace) -> Iterator[Write]:
    _write_space(parts[1], space)
    count = 0
    with ExitStack() as stack:
        matrix = stack.enter_context(parts[0].open("wb"))
        beside = stack.enter_context(parts[2].open("w", encoding="utf-8", newline="\n"))
        begins = _write_header(matrix, 0, space.dimension)

        def write(batch: Batch) -> None:
            nonlocal count
            count += len(batch.vectors)
            matrix.write(np.ascontiguousarray(batch.vectors, dtype="<f4").tobytes())
            beside.writelines(f"{row}\n" for row in _rows(batch, np.flatnonzero(batch.known).tolist()))

        yield write
        matrix.seek(0)
        assert _write_header(matrix, count, space.dimension) == begins  # numpy leaves room for the number of rows


_FORMATS = {".parquet": _parquet, ".jsonl": _jsonl, ".npy": _npy, ".beir": _beir}


def _write_header(stream: BinaryIO, rows: int, dimension: int) -> int:
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)})
    return stream.tell()


def _write_space(file: Path, space: EmbeddingSpace) -> None:
    file.write_text(json.dumps(space.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _rows(batch: Batch, places: Sequence[int]) -> Iterator[str]:
    for place in places:
        row = {"id": batch.ids[place], "text": batch.texts[place], "metadata": batch.metadata[place]}
        yield json.dumps(row, ensure_ascii=False)


def _numbers(row: NDArray[np.float32]) -> str:
    """Return a vector as JSON: nine digits tell any two float32 apart."""
    return f"[{', '.join(map('{:.9g}'.format, row.tolist()))}]"
