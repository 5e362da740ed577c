"""Filters as Haystack says them, as those of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from revector._arguments import shown
from revector.errors import InvalidArgumentError

__all__ = ["where_of"]

_COMPARISONS = ("==", "!=", ">", ">=", "<", "<=", "in", "not in")
_LOGIC = ("AND", "OR", "NOT")
_FIELDS = ("id", "content", "blob", "score", "embedding", "sparse_embedding")
_NOTHING: dict[str, Any] = {"or": []}


def where_of(filters: Any) -> dict[str, Any]:
    """Return filters of Haystack as one of `revector.backends.filters`; an empty one if there are none.

    As in Haystack, a field that is missing equals null, and only numbers and dates in ISO 8601 are smaller or greater.
    Dates are compared as the texts that they are: those of a field have to be written alike.

    Raises
    ------
    InvalidArgumentError
        It is not a filter, or asks for something else than metadata.
    """
    if not filters:
        return {}
    if not isinstance(filters, Mapping):
        raise InvalidArgumentError(f"filters is {shown(filters)}, expected a dict")
    return _comparison(filters) if "field" in filters else _logic(filters)


def _logic(given: Mapping[str, Any]) -> dict[str, Any]:
    operator, conditions = _part(given, "operator"), _part(given, "conditions")
    if operator not in _LOGIC:
        raise InvalidArgumentError(f"the operator is {shown(operator)}, expected one of {', '.join(_LOGIC)}")
    if not isinstance(conditions, list):
        raise InvalidArgumentError(f"conditions is {shown(conditions)}, expected a list of filters")
    parts = [where_of(each) for each in conditions]
    return {"not": {"and": parts}} if operator == "NOT" else {operator.lower(): parts}


def _comparison(given: Mapping[str, Any]) -> dict[str, Any]:
    field, operator, value = _field(given["field"]), _part(given, "operator"), _part(given, "value")
    if operator not in _COMPARISONS:
        raise InvalidArgumentError(f"the operator is {shown(operator)}, expected one of {', '.join(_COMPARISONS)}")
    if operator in ("in", "not in"):
        found = _one_of(field, value)
        return found if operator == "in" else {"not": found}
    if operator in ("==", "!=") and value is None:
        return _one_of(field, [None]) if operator == "==" else {"not": _one_of(field, [None])}
    if operator not in ("==", "!="):
        if value is None:
            return _NOTHING
        _require_ordered(value)
    return {field: {operator: value}}


def _one_of(field: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, list):
        raise InvalidArgumentError(f"the value is {shown(values)}, expected a list for 'in' and 'not in'")
    found = {field: {"in": values}}
    return {"or": [found, {field: {"exists": False}}]} if None in values else found


def _require_ordered(value: Any) -> None:
    """Raise `InvalidArgumentError` for a text that is not a date; what is neither is refused as any filter's is."""
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidArgumentError(
                f"the value is {shown(value)}, expected a number, or a date in ISO 8601"
            ) from error


def _field(given: Any) -> str:
    if not isinstance(given, str):
        raise InvalidArgumentError(f"the field is {shown(given)}, expected a str")
    name = given.removeprefix("meta.")
    if name == given and name in _FIELDS:
        raise InvalidArgumentError(f"the field is {given!r}, expected one of the metadata, such as 'meta.{given}'")
    escaped = name.replace("\\", "\\\\")
    return f"\\{name}" if name in ("and", "or", "not") else escaped


def _part(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise InvalidArgumentError(
            f"the filter {shown(dict(given))} has no {name!r}; a comparison has field, operator "
            "and value, other filters have operator and conditions"
        )
    return given[name]
