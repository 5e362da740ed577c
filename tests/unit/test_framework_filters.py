"""Filters of the frameworks, as those of a collection."""

from __future__ import annotations

from typing import Any

import pytest

from revector.backends.filters import parse_where
from revector.errors import InvalidArgumentError
from revector.integrations import _haystack_filters, _langchain_filters

METADATA: list[dict[str, Any]] = [
    {"year": 2020, "tags": ["a"], "author": {"name": "Ada"}},
    {"year": 2024, "lang": "en", "date": "2024-05-01"},
    {"year": 2022, "lang": "de", "or": 1, "date": "2021-01-01"},
    {"lang": None},
]


def found(where: Any) -> list[int]:
    """Return the places of the metadata that a filter matches."""
    parsed = parse_where(where)
    return [place for place, each in enumerate(METADATA) if parsed is None or parsed.matches(each)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [0, 1, 2, 3]),
        ({}, [0, 1, 2, 3]),
        ({"lang": "en"}, [1]),
        ({"lang": {"$eq": "en"}}, [1]),
        ({"lang": {"$ne": "en"}}, [0, 2, 3]),
        ({"year": {"$gt": 2020, "$lte": 2024}}, [1, 2]),
        ({"year": {"$lt": 2022}}, [0]),
        ({"year": {"$gte": 2022}}, [1, 2]),
        ({"lang": {"$in": ["en", "de"]}}, [1, 2]),
        ({"lang": {"$nin": ["en", "de"]}}, [0, 3]),
        ({"lang": {"$nin": ["en"], "$exists": True}}, [2, 3]),
        ({"lang": {"$exists": False}}, [0]),
        ({"tags": {"$contains": "a"}}, [0]),
        ({"year": {"$gte": 2020}, "lang": "de"}, [2]),
        ({"$and": [{"year": {"$gte": 2020}}, {"lang": "de"}]}, [2]),
        ({"$or": [{"author.name": "Ada"}, {"lang": "de"}]}, [0, 2]),
        ({"$not": {"$or": [{"year": 2020}, {"lang": {"$nin": ["de"]}}]}}, [2]),
        ({"or": [{"year": {">": 2023}}, {"year": {"$lt": 2021}}]}, [0, 1]),
        ({"not": {"lang": "en"}}, [0, 2, 3]),
        ({"\\or": 1}, [2]),
    ],
    ids=str,
)
def test_a_filter_of_langchains_stores_finds_what_it_describes(given: Any, expected: list[int]) -> None:
    assert found(_langchain_filters.where_of(given)) == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (len, "expected a dict"),
        ({"lang": {"$like": "e%"}}, r"has '\$like', expected one of \$contains, \$eq"),
        ({"$and": {"lang": "en"}}, "'and'"),
        ({"$or": ["en"]}, "expected a dict"),
    ],
    ids=str,
)
def test_what_a_collection_does_not_know_of_langchains_filters_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        parse_where(_langchain_filters.where_of(given))


def is_(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [0, 1, 2, 3]),
        (is_("meta.lang", "==", "en"), [1]),
        (is_("lang", "==", None), [0, 3]),
        (is_("lang", "!=", None), [1, 2]),
        (is_("meta.lang", "in", ["en", None]), [0, 1, 3]),
        (is_("meta.lang", "not in", ["en", None]), [2]),
        (is_("meta.date", ">=", "2022-01-01"), [1]),
        (is_("meta.year", "<", None), []),
        (is_("meta.author.name", "==", "Ada"), [0]),
        (is_("meta.or", "==", 1), [2]),
        ({"operator": "NOT", "conditions": [is_("meta.year", ">", 2000), is_("meta.lang", "==", "de")]}, [0, 1, 3]),
        ({"operator": "AND", "conditions": []}, [0, 1, 2, 3]),
        ({"operator": "OR", "conditions": []}, []),
    ],
    ids=str,
)
def test_a_filter_of_haystack_finds_what_it_describes(given: Any, expected: list[int]) -> None:
    assert found(_haystack_filters.where_of(given)) == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("lang", "expected a dict"),
        (is_("meta.lang", ">", "en"), "a date in ISO 8601"),
        (is_("meta.lang", "contains", "en"), "expected one of =="),
        (is_("content", "==", "en"), "expected one of the metadata, such as 'meta.content'"),
        (is_(1, "==", "en"), "the field is 1"),  # type: ignore[arg-type]
        (is_("meta.lang", "in", ("en",)), "expected a list"),
        ({"operator": "XOR", "conditions": []}, "expected one of AND, OR, NOT"),
        ({"operator": "AND", "conditions": {}}, "expected a list of filters"),
        ({"field": "meta.lang", "value": 1}, "has no 'operator'"),
    ],
    ids=str,
)
def test_what_is_not_a_filter_of_haystack_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        _haystack_filters.where_of(given)
