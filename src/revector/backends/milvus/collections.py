"""What Milvus tells of a collection, and what makes another one like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from revector.backends.contracts import EXACT, IndexShape
from revector.errors import StoreError

__all__ = ["HNSW", "KEY", "VECTOR", "Collection", "FieldIndex", "index_of", "indexes_of_new", "plain_fields"]

KEY, VECTOR = "_id", "_vector"
"""Fields of collections that were made here."""
HNSW = "HNSW"
DYNAMIC = "$meta"
_LONGEST_ID_BYTES = 512
_METRICS = {"COSINE": "cosine", "IP": "dot"}
_DISTANCES = {metric: distance for distance, metric in _METRICS.items()}
_GRAPH = {"M": "16", "efConstruction": "200"}
_TOLD_OF_INDEXES = ("total_rows", "indexed_rows", "pending_index_rows", "state", "field_name", "index_name")
_KINDS = ("index_type", "metric_type")


@dataclass(frozen=True)
class FieldIndex:
    """The index of a field.

    Parameters
    ----------
    field, name, kind : str
        ``HNSW`` and the like.
    metric : str
        Empty where the field is not a vector.
    parameters : mapping of str to str
        As far as they are told: Milvus Lite tells none.
    """

    field: str
    name: str
    kind: str
    metric: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        """Return it as people read it."""
        details = [self.metric] * bool(self.metric) + [f"{name} {value}" for name, value in self.parameters.items()]
        return f"{self.field} {self.kind}" + (f" ({', '.join(details)})" if details else "")


@dataclass(frozen=True)
class Collection:
    """A collection, as the server describes it.

    Parameters
    ----------
    told : mapping
        What the client's ``describe_collection`` returns.
    indexes : tuple of FieldIndex
    partitions : tuple of str
    chosen : str
        The vector that is searched; empty for the first one.
    """

    told: Mapping[str, Any]
    indexes: tuple[FieldIndex, ...]
    partitions: tuple[str, ...]
    chosen: str = ""

    @property
    def name(self) -> str:
        """Its own name, also where it was asked for by an alias."""
        return str(self.told["collection_name"])

    @cached_property
    def fields(self) -> dict[str, Mapping[str, Any]]:
        """All fields by their names."""
        return {field["name"]: field for field in self.told["fields"]}

    @cached_property
    def key(self) -> str:
        """The name of the primary key."""
        return next(name for name, field in self.fields.items() if field.get("is_primary"))

    @property
    def has_numbers(self) -> bool:
        """Whether ids are whole numbers, and not text."""
        return _kind(self.fields[self.key]) == "INT64"

    @property
    def vector(self) -> str:
        """The name of the vector that is searched: the one that was chosen, or the first one of float32.

        A collection that was made here has but one, whatever was chosen for those that were adopted.
        """
        return self.chosen if self.chosen in self._float_vectors else self._float_vectors[0]

    @property
    def _float_vectors(self) -> list[str]:
        return [name for name, field in self.fields.items() if _kind(field) == "FLOAT_VECTOR"]

    @property
    def dimension(self) -> int:
        """Of the vector that is searched."""
        return int(self.fields[self.vector]["params"]["dim"])

    @property
    def index(self) -> FieldIndex | None:
        """That of the vector that is searched."""
        return next((index for index in self.indexes if index.field == self.vector), None)

    @property
    def metric(self) -> str:
        """Of the vector that is searched."""
        return _METRICS[self.index.metric] if self.index else ""

    @property
    def others(self) -> list[str]:
        """The names of other vectors, but for those that the server works out by itself."""
        worked_out = {name for function in self.told.get("functions", []) for name in function["output_field_names"]}
        vectors = [name for name, field in self.fields.items() if _kind(field).endswith("VECTOR")]
        return [name for name in vectors if name != self.vector and name not in worked_out]

    @property
    def scalars(self) -> list[str]:
        """The names of what payloads consist of; `DYNAMIC` stands for what the schema does not name."""
        names = [name for name, field in self.fields.items() if name != self.key and not _is_vector(field)]
        return names + [DYNAMIC] * bool(self.told.get("enable_dynamic_field"))

    @property
    def shape(self) -> IndexShape:
        """How it is searched, its other indexes included."""
        payload = "; ".join(sorted(str(index) for index in self.indexes if index.field != self.vector))
        extra = {"other indexes": payload} if payload else {}
        if self.index is None:
            return IndexShape(EXACT, extra, why="there is no index")
        kind = EXACT if self.index.kind == "FLAT" else self.index.kind.lower()
        return IndexShape(kind, {**self.index.parameters, **extra})

    def require_movable(self, url: str) -> None:
        """Raise `StoreError` if its points cannot be moved, and say why."""
        if problem := self._problem():
            raise StoreError(f"{url}: the collection {self.name!r} {problem}")

    def _problem(self) -> str:
        if self.told.get("auto_id") or self.fields[self.key].get("auto_id"):
            return "has ids that the server gives, so that no other collection can have the same"
        if not self._float_vectors:
            return "has no field of type FLOAT_VECTOR, and only those are supported"
        if self.chosen and VECTOR not in self.fields and self.chosen not in self._float_vectors:
            return f"has no field {self.chosen!r} of type FLOAT_VECTOR; there are {', '.join(self._float_vectors)}"
        if self.index is None:
            return f"has no index over {self.vector!r}, which says what is near; create one"
        if self.index.metric not in _METRICS:
            return f"measures by {self.index.metric}; only {' and '.join(_METRICS)} are supported"
        has_key = any(field.get("is_partition_key") for field in self.fields.values())
        if len(self.partitions) > 1 and not has_key:
            return f"has {len(self.partitions)} partitions, which points would lose; a partition key is supported"
        return ""

    def indexes_like(self, metric: str) -> list[FieldIndex]:
        """Return the indexes of a collection that is like this one, with another metric."""
        searched = [index for index in self.indexes if index.field == self.vector]
        others = [index for index in self.indexes if index.field != self.vector]
        return [
            FieldIndex(one.field, one.name, one.kind, _DISTANCES[metric], one.parameters) for one in searched
        ] + others

    def fields_like(self, dimension: int) -> dict[str, Any]:
        """Return the description of a collection that is like this one, for vectors of another dimension."""
        fields = [dict(field) for field in self.told["fields"]]
        for field in fields:
            if field["name"] == self.vector:
                field["params"] = {**field["params"], "dim": dimension}
        return {**self.told, "fields": fields}


def index_of(told: Mapping[str, Any]) -> FieldIndex:
    """Return what the client's ``describe_index`` returns."""
    kind, metric = str(told["index_type"]), str(told.get("metric_type", ""))
    parameters = {name: str(value) for name, value in told.items() if name not in (*_TOLD_OF_INDEXES, *_KINDS)}
    is_metric = metric not in ("", "NONE")
    return FieldIndex(told["field_name"], told["index_name"], kind, metric if is_metric else "", parameters)


def indexes_of_new(metric: str) -> list[FieldIndex]:
    """Return the indexes of a collection that is like no other."""
    return [FieldIndex(VECTOR, VECTOR, HNSW, _DISTANCES[metric], _GRAPH)]


def plain_fields(schema: Any, types: Any, dimension: int) -> Any:
    """Give a schema of the client's the fields of a collection that is like no other, and return it."""
    schema.add_field(KEY, types.VARCHAR, is_primary=True, max_length=_LONGEST_ID_BYTES)
    schema.add_field(VECTOR, types.FLOAT_VECTOR, dim=dimension)
    return schema


def _kind(field: Mapping[str, Any]) -> str:
    return str(field["type"].name)


def _is_vector(field: Mapping[str, Any]) -> bool:
    return _kind(field).endswith("VECTOR")
