"""Arguments of public functions: a check returns the value as the code behind it needs it, or says what is wrong."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from revector.errors import InvalidArgumentError

__all__ = [
    "choice",
    "file_path",
    "flag",
    "function",
    "most_results",
    "number",
    "path_bytes",
    "score",
    "shown",
    "strings",
    "valid_unicode",
    "whole_number",
]

_SHOWN_CHARACTERS = 80
_MOST = 2**63 - 1  # what a database and the core can hold


def shown(value: object) -> str:
    """Return what to call a value in an error: its repr, cut to a line; never fails, as the repr itself may."""
    try:
        text = repr(value)
    except Exception:  # an int of 5,000 digits has none, nor has a deeply nested list
        return f"of type {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def whole_number(value: Any, name: str, *, least: int | None = None, most: int = _MOST) -> int:
    """Return an integer of any library as int; raise `InvalidArgumentError` for anything else, and out of bounds."""
    if type(value) is int and (least is None or value >= least) and -_MOST <= value <= most:  # nearly always
        return value
    expected = "an integer" + ("" if least is None else f" of at least {least}")
    try:
        whole = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except (TypeError, ValueError):
        whole = None
    if whole is None or (least is not None and whole < least):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected {expected}")
    if not -_MOST <= whole <= most:
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected at most {most:,} in size")
    return whole


def number(value: Any, name: str, *, least: float | None = None, above: float | None = None) -> float:
    """Return a finite real number as float; raise `InvalidArgumentError` for anything else, and out of bounds."""
    bound = f" of at least {least}" if least is not None else f" above {above}" if above is not None else ""
    real = _real(value)
    if not math.isfinite(real) or (least is not None and real < least) or (above is not None and real <= above):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected a finite number{bound}")
    return real


def share(value: Any, name: str, *, zero: bool = False) -> float:
    """Return a number above 0, or 0 if that is allowed, and up to 1; raise `InvalidArgumentError` for anything else."""
    real = _real(value)
    if not (0 < real <= 1 or (zero and real == 0)):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected a share: {'' if zero else 'above '}0 to 1")
    return real


def score(value: Any, name: str) -> float:
    """Return a real number as float, infinities included; raise `InvalidArgumentError` for anything else."""
    real = _real(value)
    if math.isnan(real):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected a number other than NaN")
    return real


def most_results(k: Any, n: int) -> int:
    """Return how many results a question for `k` of them has where `n` may be found: the one rule for every search.

    `k` is an integer of at least 1, and as large as one likes: nothing is ever sized by it.
    """
    if type(k) is not int or k < 1 or k > _MOST:
        k = whole_number(k, "k", least=1)
    return k if k < n else n


def choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return one of some words; raise `InvalidArgumentError` for anything else."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected one of {', '.join(map(repr, choices))}")
    return value


def path_bytes(path: Any, name: str = "path") -> bytes:
    """Return a path as the operating system takes it; raise `InvalidArgumentError` for what cannot be one."""
    try:
        encoded = os.fsencode(path)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name} is {shown(path)}, expected a path") from error
    if b"\0" in encoded:  # the core would take what stands before it
        raise InvalidArgumentError(f"{name} is {shown(path)}, expected a path without null characters")
    return encoded


def file_path(path: Any, name: str = "path") -> Path:
    """Return a path as pathlib has it; raise `InvalidArgumentError` for what cannot be one."""
    return Path(os.fsdecode(path_bytes(path, name)))


def flag(value: Any, name: str) -> bool:
    """Return a truth value; anything else is refused, since a string such as ``"no"`` would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected True or False")
    return bool(value)


def function(value: Any, name: str) -> Callable[..., Any]:
    """Return something that can be called; raise `InvalidArgumentError` for anything else."""
    if not callable(value):
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected a function")
    return value  # type: ignore[no-any-return]


def strings(values: Any, name: str, *, ordered: bool = True) -> list[str]:
    """Return str objects as a list; a single str, which is a sequence of str, too, is refused.

    Parameters
    ----------
    values : iterable of str
        Read once.
    name : str
        What to call it in an error.
    ordered : bool
        Whether the order means something, so that a set is refused.
    """
    unordered = (set, frozenset) if ordered else ()
    if isinstance(values, (str, bytes, bytearray, memoryview, Mapping, *unordered)):
        raise _no_sequence(values, name)
    if type(values) is not list and not isinstance(values, Iterable):
        raise _no_sequence(values, name)
    try:
        listed = list(values)
    except TypeError as error:  # an array without dimensions can only be tried
        raise _no_sequence(values, name) from error
    if set(map(type, listed)) <= {str}:  # far faster than a loop
        return listed
    return [_plain_str(value, f"{name}[{place}]") for place, value in enumerate(listed)]


def valid_unicode(text: str, name: str) -> str:
    """Return a text that can be written as UTF-8; raise `InvalidArgumentError` if it holds half a surrogate pair."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(
                f"{name} is not valid Unicode: character {error.start} is {text[error.start]!r}, half of a surrogate "
                "pair; clean it first"
            ) from error
    return text


def _real(value: Any) -> float:
    """Return a real number of any library as float; NaN for anything else."""
    try:
        return math.nan if isinstance(value, (bool, np.bool_, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _plain_str(value: Any, name: str) -> str:
    """Return a str that is nothing but a str, of numpy's or any other subclass."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} is {shown(value)} ({type(value).__name__}), expected str")
    return str.__str__(value)


def _no_sequence(values: object, name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{name} is {shown(values)} ({type(values).__name__}), expected a sequence of str; put a single one in a list"
    )
