"""Parquet files as rows of documents and queries, a batch at a time.

What JSON cannot hold becomes what it is written as: a time in ISO 8601, a decimal as a string. Nulls and NaN are left
out, and so are columns of vectors (lists of floats): a collection makes its own. A column ``metadata`` may hold JSON.
"""

from __future__ import annotations

import datetime
import decimal
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from revector._arguments import shown
from revector._optional import require
from revector.errors import InvalidArgumentError
from revector.formats.json_lines import parse_json_object

__all__ = ["is_parquet", "parse_parquet"]

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 1_024
_WRITTEN = (datetime.date, datetime.time, datetime.datetime)


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as Parquet does; ``False`` where it cannot be read, or only once."""
    try:
        if not Path(path).is_file():  # what is read of a pipe is gone
            return False
        with Path(path).open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


def parse_parquet(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("file:row", row) for each row.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    InvalidArgumentError
        The file is damaged, has no id or text, or holds what no document can hold.
    """
    parquet = require("pyarrow.parquet", extra="parquet", purpose="reading Parquet")
    errors = (require("pyarrow", extra="parquet", purpose="reading Parquet").lib.ArrowException, OSError)
    name, before = os.fspath(path), 0
    try:
        with parquet.ParquetFile(path) as file:
            columns = _columns(name, file.schema_arrow)
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                for number, values in enumerate(batch.to_pylist(), start=before + 1):
                    where = f"{name}:{number}"
                    yield where, _row(where, values)
                before += batch.num_rows
    except errors as error:
        raise InvalidArgumentError(f"{name} is damaged, or not Parquet: {error}; write it again") from error


def _columns(name: str, schema: Any) -> list[str]:
    """Return the columns that are read."""
    types = require("pyarrow.types", extra="parquet", purpose="reading Parquet")

    def is_vector(kind: Any) -> bool:
        lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        return any(is_list(kind) for is_list in lists) and bool(types.is_floating(kind.value_type))

    columns = [field.name for field in schema if not is_vector(field.type)]
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise InvalidArgumentError(f"{name}: the column {shown(twice[0])} is there twice; leave one of them out")
    if "text" not in columns or {"id", "_id"}.isdisjoint(columns):
        raise InvalidArgumentError(f"{name} has the columns {shown(columns)}, expected 'id' (or '_id') and 'text'")
    return columns


def _row(where: str, values: Mapping[str, Any]) -> dict[str, Any]:
    row = {column: _plain(f"{where}: {column!r}", value) for column, value in values.items()}
    row = {column: value for column, value in row.items() if value is not None}
    if isinstance(row.get("metadata"), str):
        row["metadata"] = parse_json_object(f"{where}: 'metadata'", row["metadata"])
    return row


def _plain(named: str, value: Any) -> Any:
    """Return a value as JSON has it; ``None`` for what is left out."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, _WRITTEN):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, list):
        return [_plain(named, each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(named, each) for key, each in value.items()}
    raise InvalidArgumentError(f"{named} is {shown(value)}, expected text, a number, a time, or lists of them")
