"""JSON lines: one object a line, read strictly.

What Python's reader takes without a word is refused: NaN and Infinity, a key given twice, numbers beyond float64, half
of a surrogate pair, and nesting that some later step would choke on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from revector._arguments import shown, valid_unicode
from revector.errors import InvalidArgumentError
from revector.formats.lines import BOM, Line

__all__ = ["MAX_NESTING", "parse_json_object", "parse_json_rows", "require_plain"]

MAX_NESTING = 100

_ID = re.compile(r'[{,]\s*"_?id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)')
_ID_WITHIN = 10_000  # characters


def parse_json_rows(lines: Iterable[Line]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("file:line", object) for each line that is not blank."""
    for where, text in lines:
        row = text.removeprefix(BOM)  # of a file that was appended to another one
        if row.strip():
            yield where, parse_json_object(where, row)


def parse_json_object(where: str, line: str, *, expected: str = "one object a line") -> dict[str, Any]:
    """Parse one line; `where` names it in the error, and so does the row's id if it can be seen.

    Raises
    ------
    InvalidArgumentError
        It is not one JSON object.
    """
    try:
        row = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"{_named(where, line)}: not JSON ({error.msg}, character {error.pos + 1}); expected {expected}"
        ) from error
    except RecursionError as error:
        raise _too_deep(_named(where, line)) from error
    except ValueError as error:  # of the functions below
        raise InvalidArgumentError(f"{_named(where, line)}: {error}") from error
    if not isinstance(row, dict):
        raise InvalidArgumentError(f"{where}: got a JSON {type(row).__name__}, expected {expected}")
    return row


def require_plain(named: str, value: Any, *, depth: int = 0) -> None:
    """Raise unless every string inside a JSON value is valid Unicode, and it is nested at most `MAX_NESTING` deep."""
    if isinstance(value, str):
        valid_unicode(value, named)
    elif depth > MAX_NESTING:
        raise _too_deep(named)
    elif isinstance(value, (dict, list)):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            require_plain(named, part, depth=depth + 1)


def _named(where: str, line: str) -> str:
    """Add the id to the place of a line that cannot be parsed."""
    found = _ID.search(line, 0, _ID_WITHIN)
    return f"{where}: row {found[1]}" if found else where


def _too_deep(named: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{named}: nested more than {MAX_NESTING} deep; flatten it")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice; leave one of them out")
    return row


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # Python's own limit
        raise ValueError(f"an integer of {len(digits):,} digits is not read; write it as a string") from error


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {shown(digits)} is beyond float64; write it as a string")
    return number


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON; write null, or leave the field out")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_constant)
