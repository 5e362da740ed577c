"""Filters as LlamaIndex says them, as those of a collection."""

from __future__ import annotations

import re
from typing import Any

from revector._arguments import shown
from revector.errors import InvalidArgumentError

__all__ = ["field_named", "where_of"]

_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "nin", "contains", "any", "all")


def where_of(filters: Any) -> dict[str, Any]:
    """Return `MetadataFilters` as a filter of `revector.backends.filters`; an empty one if there are none.

    ``not`` holds where none of its filters does, as in LlamaIndex itself.

    Raises
    ------
    InvalidArgumentError
        One of the filters has an operator that a collection does not know: it does not look into texts, nor whether a
        list is empty.
    """
    if filters is None or not filters.filters:
        return {}
    parts = [where_of(each) if hasattr(each, "filters") else _condition(each) for each in filters.filters]
    joined = "and" if filters.condition is None else filters.condition.value
    return {"not": {"or": parts}} if joined == "not" else {joined: parts}


def field_named(name: str) -> str:
    """Return the field of a filter that has a name, whatever the name is made of: metadata are flat in LlamaIndex."""
    escaped = re.sub(r"([.\\])", r"\\\1", name)
    return f"\\{name}" if name in ("and", "or", "not") else escaped


def _condition(given: Any) -> dict[str, Any]:
    field, operator = field_named(given.key), given.operator.value
    if operator not in _OPERATORS:
        raise InvalidArgumentError(
            f"the filter on {shown(given.key)} has the operator {operator!r}, expected one of {', '.join(_OPERATORS)}"
        )
    if operator == "nin":
        return {"not": {field: {"in": given.value}}}
    if operator in ("any", "all"):
        held = [{field: {"contains": value}} for value in given.value]
        return {"or" if operator == "any" else "and": held}
    return {field: {operator: given.value}}
