"""What the columns of a table mean, and how its values cross into payloads that JSON can hold, and back."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.backends.beside.store import Page
from revector.errors import StoreError

__all__ = ["Columns", "columns_of", "metric_of", "own_schema", "schema_like"]

PAYLOAD = "payload"
"""The column of revector's own tables that holds the payload as JSON."""
_METRIC = "revector_metric"
_IDS = ("id", "_id")
_VECTORS = ("vector", "embedding")
_WRITTEN = (datetime.date, datetime.time, datetime.datetime)


def arrow() -> Any:
    """Return pyarrow, which lancedb brings."""
    return require("pyarrow", extra="lancedb", purpose="a collection in LanceDB")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean.

    Parameters
    ----------
    schema : pyarrow.Schema
    id, vector : str
        The columns of the ids, and of the vectors that are searched.
    others : tuple of str
        Further columns of vectors.
    """

    schema: Any
    id: str
    vector: str
    others: tuple[str, ...] = ()

    @property
    def dimension(self) -> int:
        """Of the vectors that are searched."""
        return int(self.schema.field(self.vector).type.list_size)

    @property
    def is_own(self) -> bool:
        """Whether revector made the table, so that its payload is one column."""
        return set(self.schema.names) == {self.id, PAYLOAD, self.vector}

    @property
    def payload(self) -> list[str]:
        """The columns of the payload."""
        return [name for name in self.schema.names if name not in (self.id, self.vector, *self.others)]

    def table(self, ids: Sequence[str], vectors: NDArray[np.float32], payloads: Sequence[Mapping[str, Any]]) -> Any:
        """Return points as a table, without their other vectors."""
        pa = arrow()
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        kind = self.schema.field(self.vector).type
        columns = {
            self.id: pa.array(list(ids)).cast(self.schema.field(self.id).type),
            self.vector: pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]).cast(kind),
        }
        for name in self.payload:
            values = [json.dumps(p) for p in payloads] if self.is_own else [p.get(name) for p in payloads]
            columns[name] = _array(values, self.schema.field(name).type)
        names = [name for name in self.schema.names if name in columns]
        return pa.table(
            [columns[name] for name in names], schema=pa.schema([self.schema.field(name) for name in names])
        )

    def page(self, rows: Any, vectors: bool) -> Page:
        """Return rows as points."""
        ids = [str(value) for value in rows[self.id].to_pylist()]
        if self.is_own:
            payloads = [json.loads(value) for value in rows[PAYLOAD].to_pylist()]
        else:
            plain = [[_plain(value) for value in rows[name].to_pylist()] for name in self.payload]
            payloads = [dict(zip(self.payload, values, strict=True)) for values in zip(*plain, strict=True)]
            payloads = payloads or [{} for _ in ids]
        matrix = None
        if vectors:
            flat = rows[self.vector].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            matrix = np.asarray(flat, np.float32).reshape(len(ids), self.dimension)
        return Page(ids, payloads, matrix)


def columns_of(url: str, name: str, schema: Any, id_: str | None, vector: str | None) -> Columns:
    """Find the columns of ids and vectors; raise `StoreError` where they are not clear, or cannot be moved.

    Parameters
    ----------
    url, name, schema
        The store, the table and its schema.
    id_, vector : str, optional
        The columns, as the URL names them.
    """
    types = require("pyarrow.types", extra="lancedb", purpose="a collection in LanceDB")
    fields = {field.name: field.type for field in schema}
    vectors = [n for n, kind in fields.items() if types.is_fixed_size_list(kind) and types.is_floating(kind.value_type)]
    found = vector or next((n for n in _VECTORS if n in vectors), vectors[0] if len(vectors) == 1 else None)
    key = id_ or next((n for n in _IDS if n in fields), None)
    for what, column, among in (("vector", found, vectors), ("id", key, list(fields))):
        if column not in among:
            raise StoreError(
                f"{url}: it is not clear which column of {name!r} is its {what} (it has {', '.join(fields)}); say so "
                f"in the URL: ?{what}=COLUMN"
            )
    if not (types.is_string(fields[key]) or types.is_large_string(fields[key]) or types.is_integer(fields[key])):
        raise StoreError(f"{url}: the ids of {name!r} are {fields[key]}, expected text or integers")
    return Columns(schema, str(key), str(found), tuple(n for n in vectors if n != found))


def own_schema(dimension: int, metric: str) -> Any:
    """Return the schema of a table of revector's own."""
    pa = arrow()
    fields = [("id", pa.string()), (PAYLOAD, pa.string()), ("vector", pa.list_(pa.float32(), dimension))]
    return pa.schema(fields, metadata={_METRIC: metric})


def schema_like(columns: Columns, dimension: int, metric: str) -> Any:
    """Return the schema of a table for vectors of another dimension, otherwise like one that exists."""
    pa, schema = arrow(), columns.schema
    at = schema.get_field_index(columns.vector)
    field = pa.field(columns.vector, pa.list_(pa.float32(), dimension))
    return schema.set(at, field).with_metadata({**(schema.metadata or {}), _METRIC: metric})


def metric_of(schema: Any) -> str | None:
    """Return the metric that revector noted in a schema, if it did."""
    noted = (schema.metadata or {}).get(_METRIC.encode())
    return None if noted is None else str(noted.decode())


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: times in ISO 8601, decimals as text, bytes in base64."""
    if isinstance(value, _WRITTEN):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _array(values: list[Any], kind: Any) -> Any:
    """Return what `_plain` made of a column as that column."""
    pa = arrow()
    types = pa.types
    if types.is_binary(kind) or types.is_large_binary(kind):
        values = [value if value is None else base64.b64decode(value) for value in values]
    elif types.is_temporal(kind) or types.is_decimal(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)
