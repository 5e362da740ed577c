"""Filters as conditions of SQL over ``documents.metadata``, which is jsonb.

jsonb compares as filters do: like with like, 1 and 1.0 are the same number, numbers have any size and precision. So
most conditions compare ``metadata -> 'field'`` with a value, which is what an index of the user's own can serve::

    CREATE INDEX by_tenant ON documents ((metadata -> 'tenant'))

Texts are the exception, where their order is asked for: jsonb has that of the database, filters that of code points.
Values and the names of fields are bound as parameters.
"""

from __future__ import annotations

import json
from typing import Any

from revector.backends.filters import Condition, Where, kind_of
from revector.backends.postgres.values import exact_json

Parameters = dict[str, Any]


def translate(where: Where) -> tuple[str, Parameters]:
    """Return a filter as a condition, and the parameters it needs; they are called ``where_…``."""
    parameters: Parameters = {}
    return _sql(where, parameters), parameters


def _sql(part: Where | Condition, parameters: Parameters) -> str:
    if isinstance(part, Condition):
        return _condition(part, parameters)
    parts = [_sql(each, parameters) for each in part.parts]
    if part.joined == "or":
        return f"({' OR '.join(parts) or 'false'})"
    together = f"({' AND '.join(parts) or 'true'})"
    return together if part.joined == "and" else f"({together} IS NOT TRUE)"


def _condition(condition: Condition, parameters: Parameters) -> str:
    """Return a condition on a field; it is unknown, which does not hold, where the field is missing."""
    operator, value = condition.operator, condition.value
    *above, name = (_bound(name, "text", parameters) for name in condition.path)
    inside = " -> ".join(["documents.metadata", *above])
    field = f"({inside} -> {name})"
    if operator == "exists":
        return f"({field} IS {'NOT ' if value else ''}NULL)"
    if isinstance(value, tuple):
        return f"({field} = ANY({_bound([_json(each) for each in value], 'jsonb[]', parameters)}))"
    if operator == "contains":  # of jsonb, a value of its own contains itself as well
        held = f"{field} @> {_bound(_json(value), 'jsonb', parameters)}"
        return f"(jsonb_typeof({field}) = 'array' AND {held})"
    if operator in ("==", "!="):
        equal = f"({field} = {_bound(_json(value), 'jsonb', parameters)})"
        return equal if operator == "==" else f"({equal} IS NOT TRUE)"
    if kind_of(value) == "number":
        ordered = f"{field} {operator} {_bound(_json(value), 'jsonb', parameters)}"
        return f"({ordered} AND jsonb_typeof({field}) = 'number')"
    ordered = f'({inside} ->> {name}) COLLATE "C" {operator} {_bound(value, "text", parameters)}'
    return f"({ordered} AND jsonb_typeof({field}) = 'string')"


def _json(value: Any) -> str:
    return exact_json(json.dumps(value))


def _bound(value: Any, kind: str, parameters: Parameters) -> str:
    name = f"where_{len(parameters)}"
    parameters[name] = value
    return f"%({name})s::{kind}"
