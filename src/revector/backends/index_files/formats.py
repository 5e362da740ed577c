"""Index files of the kinds that revector replaces: what is read of one, and how another like it is written.

hnswlib's files are read and written by the core; of FAISS and usearch the libraries do it, since only they write all
the parameters of a file back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.errors import InvalidArgumentError, RevectorError, StoreError
from revector.formats.vector_reading import read_vectors, vector_column
from revector.index import HnswIndex

__all__ = ["FORMATS", "Format", "IndexFile", "read"]

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]

_EXTRA = "index-files"


@dataclass(frozen=True)
class IndexFile:
    """What a file holds.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Of the vectors, each once.
    vectors : ndarray of float32, shape (n, d)
    parameters : dict
        Plain JSON: what makes another one like it.
    """

    labels: Labels
    vectors: Matrix
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A kind of files.

    Parameters
    ----------
    read : callable
        ``read(path, dimension, metric)``; hnswlib's files say neither.
    write : callable
        ``write(path, labels, vectors, parameters)`` to a path where nothing is.
    has_labels : callable
        Whether a file with some parameters holds labels; in others a vector is known by its place.
    """

    read: Callable[[Path, int, str], IndexFile]
    write: Callable[[Path, Labels, Matrix, dict[str, Any]], None]
    has_labels: Callable[[dict[str, Any]], bool] = lambda parameters: True


def _read_hnswlib(path: Path, dimension: int, metric: str) -> IndexFile:
    index = HnswIndex.load(path, dimension, metric="ip" if metric == "dot" else "cosine")
    labels = index.ids()
    parameters = {"m": index.m, "ef_construction": index.ef_construction, "metric": index.metric}
    return IndexFile(labels, index.get_vectors(labels), parameters)


def _write_hnswlib(path: Path, labels: Labels, vectors: Matrix, parameters: dict[str, Any]) -> None:
    shape = {name: parameters[name] for name in ("m", "ef_construction", "metric")}
    HnswIndex.build(vectors, labels, **shape).save(path)


def _faiss() -> Any:
    return require("faiss", extra=_EXTRA, purpose="a file of FAISS")


def _read_faiss(path: Path, dimension: int, metric: str) -> IndexFile:
    faiss = _faiss()
    index = faiss.read_index(str(path))
    is_mapped = hasattr(index, "id_map")
    inner = faiss.downcast_index(index.index) if is_mapped else index
    kinds = {faiss.IndexFlatIP: "flat", faiss.IndexFlatL2: "flat", faiss.IndexFlat: "flat", faiss.IndexHNSWFlat: "hnsw"}
    if (kind := kinds.get(type(inner))) is None:
        raise StoreError(
            f"{path} is a {type(inner).__name__}, expected IndexFlat or IndexHNSWFlat, alone or in an IndexIDMap: what "
            "packs vectors does not give them back; write the file again without"
        )
    labels = faiss.vector_to_array(index.id_map) if is_mapped else np.arange(inner.ntotal)
    parameters = {"kind": kind, "mapped": type(index).__name__ if is_mapped else "", "metric": int(inner.metric_type)}
    if kind == "hnsw":
        parameters |= {"m": inner.hnsw.nb_neighbors(1), "ef_construction": inner.hnsw.efConstruction}
        parameters |= {"ef_search": inner.hnsw.efSearch}
    return IndexFile(labels.astype(np.int64), inner.reconstruct_n(0, inner.ntotal), parameters)


def _write_faiss(path: Path, labels: Labels, vectors: Matrix, parameters: dict[str, Any]) -> None:
    faiss, dimension = _faiss(), vectors.shape[1]
    if parameters["kind"] == "hnsw":
        inner = faiss.IndexHNSWFlat(dimension, parameters["m"], parameters["metric"])
        inner.hnsw.efConstruction, inner.hnsw.efSearch = parameters["ef_construction"], parameters["ef_search"]
    else:
        inner = faiss.IndexFlat(dimension, parameters["metric"])
    if parameters["mapped"]:
        mapped = getattr(faiss, parameters["mapped"])(inner)
        mapped.add_with_ids(vectors, labels)
        faiss.write_index(mapped, str(path))
        return
    inner.add(vectors)
    faiss.write_index(inner, str(path))


def _usearch() -> Any:
    return require("usearch.index", extra=_EXTRA, purpose="a file of usearch")


def _read_usearch(path: Path, dimension: int, metric: str) -> IndexFile:
    usearch = _usearch()
    index = usearch.Index.restore(str(path))
    kinds = {usearch.MetricKind.Cos: "cos", usearch.MetricKind.IP: "ip"}
    if index is None or index.multi or index.metric_kind not in kinds:
        raise StoreError(f"{path} is not an index of usearch with one vector a key, by the cosine or inner product")
    labels = np.array(list(index.keys), np.int64)
    rows = index.get(labels, dtype=usearch.ScalarKind.F32) if len(labels) else np.empty((0, index.ndim))
    parameters = {"metric": kinds[index.metric_kind], "dtype": str(index.dtype).rsplit(".", 1)[-1].lower()}
    parameters |= {"connectivity": index.connectivity}
    return IndexFile(labels, np.array(rows, np.float32).reshape(len(labels), index.ndim), parameters)


def _write_usearch(path: Path, labels: Labels, vectors: Matrix, parameters: dict[str, Any]) -> None:
    index = _usearch().Index(ndim=vectors.shape[1], **parameters)
    index.add(labels, vectors)
    index.save(str(path))


def _read_npy(path: Path, dimension: int, metric: str) -> IndexFile:
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise StoreError(f"{path} has shape {matrix.shape} of {matrix.dtype}, expected rows of floats")
    return IndexFile(np.arange(len(matrix)), np.array(matrix, np.float32), {"dtype": matrix.dtype.name})


def _write_npy(path: Path, labels: Labels, vectors: Matrix, parameters: dict[str, Any]) -> None:
    with path.open("wb") as stream:
        np.save(stream, vectors.astype(parameters["dtype"]))


def _read_parquet(path: Path, dimension: int, metric: str) -> IndexFile:
    file = read_vectors(path)
    batches = list(file.batches)
    known = np.concatenate([batch.known for batch in batches]) if batches else np.empty(0, np.bool_)
    rows = [batch.vectors for batch in batches if len(batch.vectors)]
    vectors = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
    return IndexFile(np.flatnonzero(known), vectors, {"like": str(path)})


def _write_parquet(path: Path, labels: Labels, vectors: Matrix, parameters: dict[str, Any]) -> None:
    """Write the rows that are left of a file, with all their columns but for the vectors as they were."""
    arrow = require("pyarrow", extra="parquet", purpose="writing Parquet")
    parquet = require("pyarrow.parquet", extra="parquet", purpose="writing Parquet")
    table = parquet.read_table(parameters["like"])
    if len(labels) and labels.max() >= len(table):
        raise StoreError(
            f"{parameters['like']} has no rows for documents that were added, whose other columns are not known; "
            "delete them, or write the collection into a new file: revector export"
        )
    column = vector_column(Path(parameters["like"]))
    rows = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1])
    kept = table.take(arrow.array(labels))
    kept = kept.set_column(kept.schema.get_field_index(column), column, rows)
    stale = {name: value for name, value in (table.schema.metadata or {}).items() if name != b"revector_space"}
    parquet.write_table(kept.replace_schema_metadata(stale), path)


FORMATS = {
    "hnswlib": Format(_read_hnswlib, _write_hnswlib),
    "faiss": Format(_read_faiss, _write_faiss, has_labels=lambda parameters: bool(parameters["mapped"])),
    "usearch": Format(_read_usearch, _write_usearch),
    "npy": Format(_read_npy, _write_npy, has_labels=lambda parameters: False),
    "parquet": Format(_read_parquet, _write_parquet),
}
"""By the scheme of a URL."""


def read(scheme: str, path: Path, dimension: int, metric: str) -> IndexFile:
    """Read a file; raise `StoreError` where it cannot be read, or is not of that kind."""
    if not path.is_file():
        raise InvalidArgumentError(f"{path} does not exist, or is not a file")
    try:
        return FORMATS[scheme].read(path, dimension, metric)
    except RevectorError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise StoreError(f"{path} cannot be read as a file of {scheme}: {error}") from error
