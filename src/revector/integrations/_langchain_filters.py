"""Filters as LangChain's stores take them, as those of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revector._arguments import shown
from revector.errors import InvalidArgumentError

__all__ = ["where_of"]

_OPERATORS = {
    "$eq": "==",
    "$ne": "!=",
    "$lt": "<",
    "$lte": "<=",
    "$gt": ">",
    "$gte": ">=",
    "$in": "in",
    "$contains": "contains",
    "$exists": "exists",
}
_JOINED = {"$and": "and", "$or": "or", "$not": "not"}


def where_of(given: Any) -> dict[str, Any] | None:
    """Return a filter of LangChain's stores as one of `revector.backends.filters`.

    ``$eq``, ``$ne``, ``$lt``, ``$lte``, ``$gt``, ``$gte``, ``$in``, ``$nin``, ``$contains``, ``$exists``, ``$and``,
    ``$or`` and ``$not`` are translated; what has no ``$`` stays as it is.

    Raises
    ------
    InvalidArgumentError
        It is not a mapping, or has another operator.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(f"filter is {shown(given)}, expected a dict of fields to what must hold for them")
    return _all([_translated(name, wanted) for name, wanted in given.items()])


def _translated(name: Any, wanted: Any) -> dict[str, Any]:
    joined = _JOINED.get(name, name) if isinstance(name, str) else name
    if joined in ("and", "or"):  # what is not a list is refused with the filter as a whole
        return {joined: [where_of(each) for each in wanted] if isinstance(wanted, (list, tuple)) else wanted}
    if joined == "not":
        return {"not": where_of(wanted)}
    if not isinstance(wanted, Mapping):
        return {joined: wanted}
    _require_known(name, wanted)
    kept = {_OPERATORS.get(operator, operator): value for operator, value in wanted.items() if operator != "$nin"}
    parts = [{name: kept}] if kept or not wanted else []
    if "$nin" in wanted:
        parts.append({"not": {name: {"in": wanted["$nin"]}}})
    return _all(parts)


def _all(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"and": parts} if len(parts) > 1 else next(iter(parts), {})


def _require_known(field: Any, wanted: Mapping[Any, Any]) -> None:
    known = {*_OPERATORS, "$nin"}
    unknown = [each for each in wanted if isinstance(each, str) and each.startswith("$") and each not in known]
    if unknown:
        raise InvalidArgumentError(
            f"filter: the field {shown(field)} has {shown(unknown[0])}, expected one of {', '.join(sorted(known))}"
        )
