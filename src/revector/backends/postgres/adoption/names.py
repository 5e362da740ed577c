"""Names of tables and columns as a command line has them: taken as they are spelled, case included.

A name in double quotes may hold dots, commas and blanks at its ends; a quote in it is doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from revector._arguments import shown, valid_unicode
from revector.errors import InvalidArgumentError

__all__ = ["TableName", "column_of", "columns_of", "listed", "nearest", "table_of"]

_OUTSIDE_QUOTES = '(?=(?:[^"]*"[^"]*")*[^"]*$)'
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')
_NEEDS_QUOTES = re.compile(r'[".,]')
_MOST_NAMES = 3


class TableName(NamedTuple):
    """The name of a table; one without a schema is looked up along the search_path."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        """Spell it so that `table_of` reads it."""
        return ".".join(_spelled(part) for part in self if part is not None)


def table_of(text: str) -> TableName:
    """Return the table that ``TABLE`` or ``SCHEMA.TABLE`` names.

    Raises
    ------
    InvalidArgumentError
        It is neither.
    """
    expected = "expected TABLE or SCHEMA.TABLE, with a name that holds a dot or a quote in double quotes"
    parts = _parts(text, ".", "table", expected)
    if len(parts) > 2:
        raise InvalidArgumentError(f"table is {shown(text)}, which has {len(parts)} parts; {expected}")
    return TableName(None, *parts) if len(parts) == 1 else TableName(*parts)


def columns_of(text: str, name: str = "columns") -> tuple[str, ...]:
    """Return the columns that ``COLUMN,COLUMN,…`` names; `name` is what to call the argument in an error.

    Raises
    ------
    InvalidArgumentError
        A name is missing, or has quotes that do not match.
    """
    expected = "expected COLUMN or COLUMN,COLUMN,…, with a name that holds a comma or a quote in double quotes"
    return tuple(_parts(text, ",", name, expected))


def column_of(text: str, name: str = "column") -> str:
    """Return the one column that ``COLUMN`` names; raise `InvalidArgumentError` for several."""
    columns = columns_of(text, name)
    if len(columns) > 1:
        raise InvalidArgumentError(f"{name} is {shown(text)}, which names {len(columns)} columns; expected one")
    return columns[0]


def listed(columns: Iterable[str]) -> str:
    """Spell columns so that `columns_of` reads them."""
    return ",".join(map(_spelled, columns))


def nearest(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the few names that are most like another one, whatever their case; the most like it first."""
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.lower(), []).append(name)
    close = get_close_matches(wanted.lower(), by_lower, _MOST_NAMES)
    return [name for lower in close for name in by_lower[lower]][:_MOST_NAMES]


def _parts(text: str, separator: str, name: str, expected: str) -> list[str]:
    if not isinstance(text, str) or "\0" in text:
        raise InvalidArgumentError(f"{name} is {shown(text)}, {expected} and no NUL")
    parts = re.split(re.escape(separator) + _OUTSIDE_QUOTES, valid_unicode(text, name))
    names = [_unquoted(part.strip()) for part in parts]
    if not all(names):
        raise InvalidArgumentError(f"{name} is {shown(text)}, {expected}")
    return names


def _unquoted(part: str) -> str:
    """Return the name that a part stands for; an empty one if it stands for none."""
    quoted = _QUOTED.fullmatch(part)
    return quoted[1].replace('""', '"') if quoted else "" if '"' in part else part


def _spelled(name: str) -> str:
    is_plain = name == name.strip() and not _NEEDS_QUOTES.search(name)
    return name if is_plain else '"{}"'.format(name.replace('"', '""'))
