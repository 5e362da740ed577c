"""What Milvus is asked, once: each request may be made again, and the errors are the client's."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from revector.backends.beside.store import Matrix
from revector.backends.milvus.collections import HNSW, Collection, FieldIndex, index_of, indexes_of_new, plain_fields
from revector.backends.milvus.places import Place
from revector.backends.milvus.points import after, among, page_of
from revector.errors import StoreError

__all__ = ["Requests"]

_ANSWER_SECONDS = 60.0
_IN_TIME = {"timeout": _ANSWER_SECONDS}
_STRONG = {"consistency_level": "Strong", **_IN_TIME}
_AT_ONCE = 1_000
_MOST_HITS = 16_384  # a server refuses more
_LEAST_BREADTH = 100
_SAMPLE = 100
_NOT_LOADED = "NotLoad"


class _Moment(threading.local):
    """Since when the reads of a thread have to see everything, in the server's time; ``None``: since each of them."""

    depth = 0
    since: int | None = None


class Requests:
    """Requests to a server, or to a file.

    Parameters
    ----------
    milvus : module
        The client's package.
    client : MilvusClient
    place : Place
    """

    def __init__(self, milvus: Any, client: Any, place: Place) -> None:
        self._milvus, self._client, self._place, self._url = milvus, client, place, place.url
        self._moment = _Moment()

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let reads of this thread inside wait once for what was written before the first of them."""
        self._moment.depth += 1
        try:
            yield
        finally:
            self._moment.depth -= 1
            if not self._moment.depth:
                self._moment.since = None

    def names(self) -> list[str]:
        """Return the names of the collections."""
        return sorted(self._client.list_collections(**_IN_TIME))

    def collection(self, name: str) -> Collection:
        """Return what is told of a collection; raise `StoreError` if there is none, or its points cannot be moved."""
        found = self._found(name)
        if found is None or found.name != name:
            raise StoreError(f"{self._url} has no collection {name!r}; list_collections names those that are there")
        found.require_movable(self._url)
        return found

    def create(self, name: str, dimension: int, metric: str, like: str | None) -> None:
        """Make an empty collection, its indexes, and load it; go on with what was cut off."""
        source = None if like is None else self.collection(like)
        indexes = indexes_of_new(metric) if source is None else source.indexes_like(metric)
        if was_there := self._client.has_collection(name, **_IN_TIME):
            self._require_such(name, dimension)
        else:
            self._create(name, dimension, source)
        known = self._client.list_indexes(name)
        for index in indexes:
            if index.name not in known:
                self._index(name, index)
        self._client.load_collection(name, **_IN_TIME)
        if was_there and (self.collection(name).metric != metric or self.count(name)):
            raise StoreError(f"{self._url} has a collection {name!r}, and not an empty one; choose another name")

    def drop(self, name: str) -> None:
        """Delete a collection, and its aliases first: a server of 2.3 keeps those, and gives them to nobody again."""
        found = self._found(name)
        if found is not None and found.name == name:
            for alias in self._client.list_aliases(name, **_IN_TIME)["aliases"]:
                self._client.drop_alias(alias, **_IN_TIME)
            self._client.drop_collection(name, **_IN_TIME)

    def upsert(self, collection: Collection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, in place of those that have their keys."""
        self._moment.since = None
        if self._place.is_file:
            self._delete_richer(collection, rows)
        self._client.upsert(collection.name, list(rows), **_IN_TIME)

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Delete points."""
        self._moment.since = None
        self._client.delete(collection.name, filter=among(collection, ids), **_IN_TIME)

    def rows(self, collection: Collection, ids: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return some fields of those points that exist."""
        found = self._client.query(
            collection.name, filter=among(collection, ids), output_fields=list(fields), **self._level()
        )
        return [dict(row) for row in found]

    def page(self, collection: Collection, place: Any, fields: Sequence[str], n: int) -> list[dict[str, Any]]:
        """Return the first rows whose keys come after a place, in the order of their keys; none at the end alone.

        The client's own iterator keeps that order, but reads at the level of the collection, which may be another one
        than "Strong", and misses what others have just written. So it is asked for by what the iterator says: a server
        then stops where the order of its segments is certain, and a page may be short. A file has no other level.
        """
        asked = "" if place is None else after(collection, place)
        order = {"reduce_stop_for_best": "True"}
        if self._place.is_file:
            order["iterator"] = "True"
        most = min(n, _MOST_HITS)
        fields = list(fields)
        rows = self._client.query(
            collection.name, filter=asked, output_fields=fields, limit=most, **order, **self._level()
        )
        return [dict(row) for row in rows[:most]]

    def search(self, collection: Collection, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        is_graph = collection.index is not None and collection.index.kind == HNSW
        parameters = {"params": {"ef": max(_LEAST_BREADTH, 2 * k)}} if is_graph else {}
        found = self._client.search(
            collection.name,
            data=list(np.ascontiguousarray(queries, np.float32)),
            anns_field=collection.vector,
            limit=min(k, _MOST_HITS),
            search_params=parameters,
            **self._level(),
        )
        return [([str(hit.id) for hit in hits], [float(hit.distance) for hit in hits]) for hits in found]

    def count(self, name: str) -> int:
        """Count the points exactly."""
        (row,) = self._client.query(name, filter="", output_fields=["count(*)"], **self._level())
        return int(row["count(*)"])

    def aliased(self, alias: str) -> str | None:
        """Return the collection that an alias leads to, or ``None``."""
        if alias not in self._aliases():
            return None
        return str(self._client.describe_alias(alias, **_IN_TIME)["collection_name"])

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to a collection."""
        self.collection(name)
        if alias in self.names():
            raise StoreError(f"{self._url}: {alias!r} is the name of a collection; give the alias another one")
        move = self._client.alter_alias if alias in self._aliases() else self._client.create_alias
        move(name, alias, **_IN_TIME)

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        if alias in self._aliases():
            self._client.drop_alias(alias, **_IN_TIME)

    def described(self, collection: Collection) -> dict[str, Any]:
        """Return what adoption has to know."""
        if self._client.get_load_state(collection.name, **_IN_TIME)["state"].name == _NOT_LOADED:
            raise StoreError(f"{self._url}: the collection {collection.name!r} is not loaded; load it first")
        payloads = self._sample(collection)
        return {
            "dimension": collection.dimension,
            "metric": collection.metric,
            "points": self.count(collection.name),
            "fields": sorted({name for payload in payloads for name in payload}),
            "indexes": [str(index) for index in collection.indexes],
            "others": collection.others,
        }

    def flush(self, name: str) -> None:
        """Let what was written be sealed, so that it is indexed."""
        self._client.flush(name, **_IN_TIME)

    def indexed(self, index: FieldIndex | None, name: str) -> tuple[int, int]:
        """Return how many sealed vectors an index holds, and how many it does not."""
        if index is None:
            return 0, 0
        told = self._client.describe_index(name, index.name, **_IN_TIME)
        return int(told["indexed_rows"]), int(told["pending_index_rows"])

    def size_bytes(self, collection: Collection) -> int:
        """Return about what vectors and payloads take: Milvus does not tell."""
        payloads = self._sample(collection)
        each = sum(len(repr(payload)) for payload in payloads) / max(1, len(payloads)) + 4 * collection.dimension
        return round(self.count(collection.name) * each)

    def _level(self) -> dict[str, Any]:
        """Return what a read says of how new its answer has to be."""
        if self._place.is_file or not self._moment.depth:
            return _STRONG
        if self._moment.since is None:  # `MilvusClient` does not pass it on
            self._moment.since = int(self._client._get_connection().alloc_timestamp(**_IN_TIME))
        return {"consistency_level": "Customized", "guarantee_timestamp": self._moment.since, **_IN_TIME}

    def _found(self, name: str) -> Collection | None:
        """Return what is told of a collection, or of that which an alias leads to."""
        if not self._client.has_collection(name, **_IN_TIME):
            return None
        told = self._client.describe_collection(name, **_IN_TIME)
        names = self._client.list_indexes(name)
        indexes = tuple(index_of(self._client.describe_index(name, index, **_IN_TIME)) for index in names)
        partitions = tuple(self._client.list_partitions(name, **_IN_TIME))
        return Collection(told, indexes, partitions, self._place.vector)

    def _delete_richer(self, collection: Collection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Delete what has fields that rows in its place have not: Milvus Lite would keep those of the old row."""
        fields = [collection.key, *collection.scalars]
        keys = {str(row[collection.key]): row.keys() for row in rows}
        old = self.rows(collection, list(keys), fields)
        richer = [key for row in old if row.keys() - keys[key := str(row[collection.key])]]
        if richer:
            self.delete(collection, richer)

    def _require_such(self, name: str, dimension: int) -> None:
        """Raise `StoreError` if what has a name is not a collection of a dimension."""
        found = self._found(name)
        if found is not None and found.name != name:
            raise StoreError(f"{self._url}: {name!r} is an alias, of {found.name!r}; choose another name")
        if found is not None and found.dimension != dimension:
            raise StoreError(f"{self._url} has a collection {name!r} of another kind already; choose another name")

    def _create(self, name: str, dimension: int, source: Collection | None) -> None:
        kinds = {"num_shards": source.told["num_shards"], "properties": source.told["properties"]} if source else {}
        if source is None:
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=True)
            plain_fields(schema, self._milvus.DataType, dimension)
        else:
            schema = self._milvus.CollectionSchema.construct_from_dict(source.fields_like(dimension))
            if len(source.partitions) > 1:
                kinds["num_partitions"] = len(source.partitions)
        level = "Strong" if source is None else source.told["consistency_level_name"]
        self._client.create_collection(name, schema=schema, consistency_level=level, **kinds, **_IN_TIME)

    def _index(self, name: str, index: FieldIndex) -> None:
        wanted = self._client.prepare_index_params()
        options = {"metric_type": index.metric} if index.metric else {}
        wanted.add_index(index.field, index.kind, index.name, params=dict(index.parameters), **options)
        self._client.create_index(name, wanted, **_IN_TIME)

    def _aliases(self) -> list[str]:
        return list(self._client.list_aliases(**_IN_TIME)["aliases"])

    def _sample(self, collection: Collection) -> list[dict[str, Any]]:
        fields = [collection.key, *collection.scalars]
        return page_of(collection, self.page(collection, None, fields, _SAMPLE), vectors=False).payloads
