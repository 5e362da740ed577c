r"""Filters: which documents a search may find, by their metadata.

A filter is a mapping of fields to what must hold for them; all of it must hold::

    {"tenant": "a", "year": {">=": 2020, "<": 2024}, "author.name": {"in": ["Ada", "Grace"]}}

A field
    is a name of the metadata; ``a.b`` is the field ``b`` inside the object ``a``. A backslash takes the next character
    for what it is: ``a\.b`` is a field whose name has a dot, ``\or`` one that is called "or".
A condition
    is a value (text, number, true, false or null), which means ``==``, or a mapping of operators to values: ``==``,
    ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in`` (a list), ``contains`` (a value), ``exists`` (true or false).
``"and"``, ``"or"``
    have a list of filters, ``"not"`` has one; each is a filter like the whole.

Like is compared with like: a number never equals a text, true is not 1, 1 and 1.0 are the same number, null is a value.
Texts are ordered by their code points. A field that is missing, or holds a list or an object, equals nothing and is
neither smaller nor greater than anything. ``!=`` holds wherever ``==`` does not, so for missing fields as well;
``exists`` holds for a field that is there, whatever it holds; ``contains`` for a list that has the value as an element.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from revector._arguments import shown, valid_unicode
from revector.errors import InvalidArgumentError

__all__ = ["Condition", "Where", "kind_of", "parse_where"]

Scalar: TypeAlias = "str | int | float | bool | None"
Kind: TypeAlias = Literal["text", "number", "boolean", "null", "other"]

MOST_CONDITIONS = 100
DEEPEST = 8
"""Filters inside filters, and names in the path of a field."""
_LARGEST = 2**63 - 1
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS = ("==", "!=", *_ORDERS, "in", "contains", "exists")
_MISSING = object()


def kind_of(value: Any) -> Kind:
    """Return what a value of JSON can be compared with: its like."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "text" if isinstance(value, str) else "number" if isinstance(value, (int, float)) else "other"


@dataclass(frozen=True)
class Condition:
    """What must hold for one field.

    Attributes
    ----------
    path : tuple of str
        The names that lead to the field.
    operator : str
        One of those of the module.
    value : str, int, float, bool, None, or a tuple of them
        A tuple for ``in``.
    """

    path: tuple[str, ...]
    operator: str
    value: Scalar | tuple[Scalar, ...]

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether it holds for a document."""
        found: Any = metadata
        for name in self.path:
            found = found.get(name, _MISSING) if isinstance(found, Mapping) else _MISSING
        if self.operator == "exists":
            return (found is not _MISSING) == self.value
        if isinstance(self.value, tuple):
            return any(_equal(found, value) for value in self.value)
        if self.operator == "contains":
            return isinstance(found, list) and any(_equal(each, self.value) for each in found)
        if self.operator in _ORDERS:
            return kind_of(found) == kind_of(self.value) and _ORDERS[self.operator](found, self.value)
        return _equal(found, self.value) == (self.operator == "==")


@dataclass(frozen=True)
class Where:
    """A filter that was checked.

    Attributes
    ----------
    joined : {"and", "or", "not"}
        Whether all parts must hold, one of them, or not all of them.
    parts : tuple of Condition or Where
    """

    joined: Literal["and", "or", "not"]
    parts: tuple[Condition | Where, ...]

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether it holds for a document."""
        held = (part.matches(metadata) for part in self.parts)
        return any(held) if self.joined == "or" else all(held) == (self.joined == "and")


def parse_where(where: Any) -> Where | None:
    """Return a filter as backends take it; ``None`` if every document matches.

    Raises
    ------
    InvalidArgumentError
        It is not a filter as the module describes it; the message names field, operator and what was expected. Filters
        are at most 8 deep, and have at most 100 conditions.
    """
    parsed = None if where is None else _parsed(where, "where", DEEPEST)
    if parsed is not None and _count(parsed) > MOST_CONDITIONS:
        raise InvalidArgumentError(f"where has {_count(parsed)} conditions, expected at most {MOST_CONDITIONS}")
    return parsed if parsed is not None and parsed.parts else None


def _equal(found: Any, value: Scalar) -> bool:
    return kind_of(found) == kind_of(value) and bool(found == value)


def _count(part: Condition | Where) -> int:
    return 1 if isinstance(part, Condition) else sum(map(_count, part.parts))


def _parsed(where: Any, name: str, depth: int) -> Where:
    if not isinstance(where, Mapping):
        raise InvalidArgumentError(f"{name} is {shown(where)}, expected a mapping of fields to what must hold for them")
    if not depth:
        raise InvalidArgumentError(f"where holds filters inside filters, deeper than {DEEPEST}; say it in fewer steps")
    if len(where) > MOST_CONDITIONS:
        raise InvalidArgumentError(f"{name} has {len(where)} fields, expected at most {MOST_CONDITIONS}")
    parts: list[Condition | Where] = []
    for field, wanted in where.items():
        if field == "and" or field == "or":
            listed = _listed(wanted, f"{name}: {field!r}", "filters", MOST_CONDITIONS)
            parts.append(Where(field, tuple(_parsed(each, f"a filter in {field!r}", depth - 1) for each in listed)))
        elif field == "not":
            parts.append(Where("not", (_parsed(wanted, "'not'", depth - 1),)))
        else:
            parts += _conditions(field, wanted)
    return Where("and", tuple(parts))


def _conditions(field: Any, wanted: Any) -> list[Condition]:
    path = _path(field)
    if not isinstance(wanted, Mapping):
        return [Condition(path, "==", _scalar(wanted, f"where: the field {shown(field)}"))]
    if not wanted:
        raise InvalidArgumentError(f"where: the field {shown(field)} has no operator, expected {_choices()}")
    return [Condition(path, *_operation(field, *given)) for given in wanted.items()]


def _operation(field: str, name: Any, value: Any) -> tuple[str, Any]:
    called = f"where: the field {shown(field)}, {name}" if isinstance(name, str) and name in _OPERATORS else None
    if called is None:
        raise InvalidArgumentError(f"where: the field {shown(field)} has {shown(name)}, expected {_choices()}")
    if name == "in":
        return name, tuple(_scalar(each, f"{called}: a value") for each in _listed(value, called, "values"))
    if name == "exists" and not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(f"{called} is {shown(value)}, expected true or false")
    checked = _scalar(value, called)
    if name in _ORDERS and kind_of(checked) not in ("text", "number"):
        raise InvalidArgumentError(f"{called} is {shown(value)}, expected a number or a text")
    return name, checked


def _path(field: Any) -> tuple[str, ...]:
    """Take the name of a field apart at its dots."""
    if not isinstance(field, str):
        raise InvalidArgumentError(f"where: the field {shown(field)} is not a str")
    names, characters = [""], iter(_clean(field, "where: a field"))
    for character in characters:
        if character == ".":
            names.append("")
        else:
            names[-1] += next(characters, "") if character == "\\" else character
    if "" in names or len(names) > DEEPEST:
        raise InvalidArgumentError(
            f"where: the field {shown(field)} is not one to {DEEPEST} names with dots in between; write \\. for a dot "
            "that belongs to a name"
        )
    return tuple(names)


def _scalar(value: Any, called: str) -> Scalar:
    plain: Any = value.item() if isinstance(value, np.generic) else value
    kind = kind_of(plain)
    if kind == "other":
        raise InvalidArgumentError(
            f"{called} is {shown(value)}, expected a text, a number, true, false or null, or operators with them; one "
            'of several is {"in": […]}'
        )
    if kind == "text":
        return _clean(plain, called)
    if kind == "number" and not (math.isfinite(plain) if isinstance(plain, float) else abs(plain) <= _LARGEST):
        raise InvalidArgumentError(f"{called} is {shown(value)}, expected a finite number, and 64 bits for an integer")
    return plain  # type: ignore[no-any-return]


def _clean(text: str, called: str) -> str:
    if "\0" in text:
        raise InvalidArgumentError(f"{called} is {shown(text)}, expected a text without NUL")
    return valid_unicode(str.__str__(text), called)


def _listed(values: Any, called: str, of: str, most: int = 100_000) -> list[Any]:
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise InvalidArgumentError(f"{called} is {shown(values)}, expected a list of {of}")
    if len(values) > most:
        raise InvalidArgumentError(f"{called} has {len(values):,} {of}, expected at most {most:,}")
    return list(values)


def _choices() -> str:
    return f"a mapping of {', '.join(_OPERATORS)} to values"
