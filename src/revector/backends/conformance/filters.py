"""The suite of a backend's filters: they say the same of stored documents as `Where.matches` says of metadata."""

from __future__ import annotations

import re
from typing import Any

import pytest

from revector.backends.contracts import Backend
from revector.backends.filters import parse_where

_NAMES = ["x", "größe", "a.b", "$.x", "x') OR 1=1 --", '"x"', "[0]", "0", "or", "\n", "🎈", "a\\b"]
_VALUES: list[Any] = ["a", "b", "", "größe", "🎈", "1", "true", "null", '{"y": 1}', "' OR 1=1 --", "a%"]
_VALUES += [0, 1, 1.0, -1, 1.5, 0.1, 1e-7, 123456789.12345679, 2**53 + 1, 2**63 - 1, 1e300, True, False, None]
FILTERED: list[dict[str, Any]] = [
    {},
    *[{"x": value} for value in [*_VALUES, [], ["a"], {}, {"y": 1}, {"y": "a"}, {"y": {"z": 1}}, 2**70]],
    *[{"x": value} for value in ([1, "a", 0.1], [True, None], ["1", "true"], [["a"], {"a": 1}], {"y": [1, "🎈"]})],
    *[{name: ["a", 1]} for name in _NAMES],
    *[{name: "a"} for name in _NAMES],
    *[{"x": {name: 1}} for name in _NAMES],
    *[{name: {"y": 1}} for name in _NAMES],
]
"""Metadata of documents on which filters are tried."""
_PATHS = [re.sub(r"([.\\])", r"\\\1", name) if name != "or" else "\\or" for name in _NAMES]
FILTERS: list[dict[str, Any]] = [
    *[{"x": value} for value in _VALUES],
    *[{"x": {"!=": value}} for value in ("a", 1, True, None)],
    *[{"x": {order: value}} for order in ("<", "<=", ">", ">=") for value in ("a", "", 1, 0.1, -1.5, 2**53 + 1)],
    *[{"x": {"in": values}} for values in ([], ["a", 1], [True, None], [0.1, 123456789.12345679, "🎈"])],
    *[{"x": {"contains": value}} for value in ("a", 1, 1.0, 0.1, True, None, "true", "")],
    *[{path: {"contains": "a"}} for path in _PATHS],
    {"x.y": {"contains": "🎈"}},
    {"not": {"x": {"contains": "a"}}},
    *[{path: {"exists": there}} for path in ("x", "x.y", "größe") for there in (True, False)],
    *[{path: "a"} for path in _PATHS],
    *[{f"x.{path}": 1} for path in _PATHS],
    *[{f"{path}.y": {"!=": 1}} for path in _PATHS],
    {"x.y.z": {">=": 1}},
    {"x": {">": 0, "<": 2}},
    {"x": 1, "größe": "a"},
    {"or": [{"x": 1}, {"größe": "a"}, {"and": [{"x": "a"}, {"x.y": {"exists": False}}]}]},
    {"or": []},
    {"not": {"x": {">": 0}}},
    {"not": {"x.größe": {">": 0}, "x": "a"}},
    {"not": {"not": {"x": 1}}},
    {"not": {}},
]


class FilterConformance:
    """What `revector.backends.contracts.Documents` promises of filters."""

    @pytest.mark.parametrize("where", FILTERS, ids=str)
    def test_a_filter_finds_the_documents_that_it_describes(self, backend: Backend, where: dict[str, Any]) -> None:
        """By the set, and among given keys; whatever the values and the names of fields are made of."""
        ids = [f"d{place}" for place in range(len(FILTERED))]
        written = backend.documents.upsert(ids, ids, FILTERED)
        parsed = parse_where(where)
        assert parsed is not None
        expected = [document.key for document in written if parsed.matches(document.metadata)]
        assert backend.documents.matching_keys(parsed, 1000).tolist() == expected
        among = [document.key for document in written[::2]]
        found = backend.documents.matching(parsed, [*among, *among, 10**6])
        assert found.tolist() == [key for key in expected if key in among]

    def test_a_filter_gives_no_more_keys_than_wanted(self, backend: Backend) -> None:
        """The limit."""
        backend.documents.upsert(list("abc"), list("abc"), [{"x": 1}] * 3)
        parsed = parse_where({"x": 1})
        assert parsed is not None
        assert len(backend.documents.matching_keys(parsed, 2)) == 2
