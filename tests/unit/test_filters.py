"""Filters: what they say of a document, and what their errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revector.backends.filters import parse_where
from revector.errors import InvalidArgumentError


def _matches(where: Any, metadata: dict[str, Any]) -> bool:
    parsed = parse_where(where)
    return parsed is None or parsed.matches(metadata)


@pytest.mark.parametrize(
    ("where", "metadata", "expected"),
    [
        ({"x": "a"}, {"x": "a"}, True),
        ({"x": 1}, {"x": "1"}, False),
        ({"x": "1"}, {"x": 1}, False),
        ({"x": 1}, {"x": True}, False),
        ({"x": True}, {"x": 1}, False),
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": None}, {"x": None}, True),
        ({"x": None}, {}, False),
        ({"x": "a"}, {"x": ["a"]}, False),
        ({"x": {"!=": "a"}}, {"x": "b"}, True),
        ({"x": {"!=": "a"}}, {"x": 1}, True),
        ({"x": {"!=": "a"}}, {}, True),
        ({"x": {"!=": None}}, {"x": None}, False),
        ({"x": {"<": 2}}, {"x": 1.5}, True),
        ({"x": {"<": 2}}, {"x": "1"}, False),
        ({"x": {"<": 2}}, {"x": False}, False),
        ({"x": {"<": 2}}, {}, False),
        ({"x": {">=": "b"}}, {"x": "a"}, False),
        ({"x": {">=": "Z"}}, {"x": "a"}, True),
        ({"x": {">=": 1, "<": 2}}, {"x": 2}, False),
        ({"x": {"in": ["a", 1]}}, {"x": 1}, True),
        ({"x": {"in": ["a", 1]}}, {"x": True}, False),
        ({"x": {"in": []}}, {"x": 1}, False),
        ({"x": {"exists": True}}, {"x": None}, True),
        ({"x": {"exists": False}}, {}, True),
        ({"a.b": 1}, {"a": {"b": 1}}, True),
        ({"a.b": 1}, {"a.b": 1}, False),
        (
            {r"a\.b": 1},
            {"a.b": 1},
            True,
        ),
        ({r"\or": 1}, {"or": 1}, True),
        ({r"a\\": 1}, {"a\\": 1}, True),
        ({"a.b": {"exists": False}}, {"a": 1}, True),
        ({"x": 1, "y": 2}, {"x": 1}, False),
        ({"or": [{"x": 1}, {"y": 2}]}, {"y": 2}, True),
        ({"or": []}, {}, False),
        ({"and": [{"x": 1}, {"y": 2}]}, {"x": 1}, False),
        ({"not": {"x": 1, "y": 2}}, {"x": 1}, True),
        ({}, {}, True),
        (None, {}, True),
    ],
)
def test_what_a_filter_says_of_a_document(where: Any, metadata: dict[str, Any], expected: bool) -> None:
    assert _matches(where, metadata) is expected


def test_values_of_numpy_are_the_values_that_they_stand_for() -> None:
    where = parse_where({"x": np.float64(0.1), "y": {"in": (np.int64(2), np.str_("a"))}, "z": np.bool_(True)})
    assert where == parse_where({"x": 0.1, "y": {"in": [2, "a"]}, "z": True})


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"year": {"=>": 2020}}, ["'year'", "'=>'", "<=", "exists"]),
        ({"year": {">=": None}}, ["'year'", ">=", "None", "a number or a text"]),
        ({"tags": ["a"]}, ["'tags'", "['a']", '"in"']),
        ({"a": {"in": "abc"}}, ["'a'", "in", "'abc'", "a list of values"]),
        ({"a": {"exists": "no"}}, ["'a'", "exists", "'no'", "true or false"]),
        ({"a.": 1}, ["'a.'", "\\."]),
        ({"or": {"a": 1}}, ["'or'", "a list of filters"]),
        ("tenant=a", ["where", "'tenant=a'", "a mapping"]),
    ],
)
def test_an_error_names_field_operator_and_what_was_expected(where: Any, words: list[str]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_where(where)
    assert [word for word in words if word not in str(caught.value)] == []
