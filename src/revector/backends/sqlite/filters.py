"""Filters as conditions of SQL over ``documents.metadata``.

Values and the names of fields are bound as parameters. Names that are plain identifiers are written out: only so can
SQLite use an index that a user makes, such as ``CREATE INDEX by_tenant ON documents (json_extract(metadata,
'$.tenant'))``. Other names are looked up among the keys of each object, as paths cannot spell all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from revector.backends.filters import Condition, Scalar, Where, kind_of

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {"text": "= 'text'", "number": "IN ('integer', 'real')"}

Parameters = dict[str, Any]
Test = Callable[[str, str], str]
"""Takes the SQL of a field's type and value, returns a condition."""


def translate(where: Where) -> tuple[str, Parameters]:
    """Return a filter as a condition, and the parameters it needs; they are called ``where_…``."""
    parameters: Parameters = {}
    return _sql(where, parameters), parameters


def _sql(part: Where | Condition, parameters: Parameters) -> str:
    if isinstance(part, Condition):
        return _condition(part, parameters)
    parts = [_sql(each, parameters) for each in part.parts]
    if part.joined == "or":
        return f"({' OR '.join(parts) or '0'})"
    together = f"({' AND '.join(parts) or '1'})"
    return together if part.joined == "and" else _negated(together)


def _condition(condition: Condition, parameters: Parameters) -> str:
    operator, value = condition.operator, condition.value
    if operator == "exists":
        there = _at(condition.path, lambda type_, _: f"{type_} IS NOT NULL", parameters)
        return there if value else _negated(there)
    if isinstance(value, tuple):
        return _at(condition.path, _one_of(value, parameters), parameters)
    if operator == "contains":
        return _at(condition.path, _holding(_compared("=", value, parameters)), parameters)
    test = _compared("=" if operator in ("==", "!=") else operator, value, parameters)
    held = _at(condition.path, test, parameters)
    return _negated(held) if operator == "!=" else held


def _negated(condition: str) -> str:
    """Return the opposite; what is unknown, as of missing fields, does not hold."""
    return f"NOT coalesce({condition}, 0)"


def _at(path: Sequence[str], test: Test, parameters: Parameters) -> str:
    """Return a condition on the field at a path."""
    if all(map(_PLAIN.fullmatch, path)):
        place = f"documents.metadata, '$.{'.'.join(path)}'"
        return f"({test(f'json_type({place})', f'json_extract({place})')})"
    tables, names, inside = [], [], "documents.metadata"
    for depth, name in enumerate(path):
        tables.append(f"json_each({inside}) AS level_{depth}")
        names.append(f"level_{depth}.key = {_bound(name, parameters)}")
        inside = f"CASE level_{depth}.type WHEN 'object' THEN level_{depth}.value END"
    last = f"level_{len(path) - 1}"
    held = " AND ".join([*names, test(f"{last}.type", f"{last}.value")])
    return f"EXISTS (SELECT 1 FROM {' CROSS JOIN '.join(tables)} WHERE {held})"


def _compared(operator: str, value: Scalar, parameters: Parameters) -> Test:
    kind = kind_of(value)
    if kind in ("null", "boolean"):
        return lambda type_, _: f"{type_} = '{json.dumps(value)}'"
    bound = (
        _bound(value, parameters) if kind == "text" else f"json_extract({_bound(json.dumps(value), parameters)}, '$')"
    )
    return lambda type_, found: f"{found} {operator} {bound} AND {type_} {_TYPES[kind]}"


def _holding(test: Test) -> Test:
    """Return the test of a list that has an element which passes another one."""

    def holds(type_: str, found: str) -> str:
        elements = f"json_each(CASE {type_} WHEN 'array' THEN {found} END) AS element"
        return f"EXISTS (SELECT 1 FROM {elements} WHERE {test('element.type', 'element.value')})"

    return holds


def _one_of(values: Sequence[Scalar], parameters: Parameters) -> Test:
    single = {json.dumps(value) for value in values if kind_of(value) in ("null", "boolean")}
    listed = {kind: [value for value in values if kind_of(value) == kind] for kind in _TYPES}
    bound = {kind: _bound(json.dumps(found), parameters) for kind, found in listed.items() if found}

    def test(type_: str, found: str) -> str:
        tests = [f"{type_} = '{name}'" for name in sorted(single)]
        for kind, name in bound.items():
            tests.append(f"({found} IN (SELECT value FROM json_each({name})) AND {type_} {_TYPES[kind]})")
        return f"({' OR '.join(tests) or '0'})"

    return test


def _bound(value: Any, parameters: Parameters) -> str:
    name = f"where_{len(parameters)}"
    parameters[name] = value
    return f":{name}"
