"""Qdrant as a store of vectors. Against a server of it nothing here was tested: none can be obtained where tests run.

The local mode is one process's: its client is used by one thread at a time here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from revector._forks import renew_in_child
from revector._secrets import Secret
from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Page, StoreCapabilities
from revector.backends.contracts import IndexShape
from revector.backends.qdrant.configs import (
    DISTANCES,
    indexes_of,
    like_config,
    other_vectors,
    searched_vector,
    shape_of,
)
from revector.backends.qdrant.qdrant_errors import named
from revector.backends.qdrant.values import asked_vectors, page_of, point_id, vectors_of
from revector.errors import ClosedError, StoreError, StoreUnavailableError

__all__ = ["QdrantStore", "local_client", "remote_client"]

POINTS_A_CALL = 256
"""So many are written or read in one request: a megabyte or two, of 32 that a server takes."""
RETRY_SECONDS = 5.0
"""For so long a call is repeated while the server cannot be reached; whoever calls goes on from there."""
SETTLE_SECONDS = 3_600.0
_LOOK_EVERY_SECONDS = 0.5
_SAMPLE = 100

Matrix = NDArray[np.float32]
T = TypeVar("T")


def local_client(folder: str, url: str) -> QdrantClient:
    """Open a folder of the local mode, which one client at a time has open."""
    with named(url, None):
        return QdrantClient(path=folder)


def remote_client(server: str, secret: Secret | None, timeout_seconds: int) -> QdrantClient:
    """Return a client of a server, which is not asked yet."""
    key = None if secret is None else secret.reveal()
    return QdrantClient(url=server, api_key=key, timeout=timeout_seconds, check_compatibility=False)


class QdrantStore:
    """Collections in Qdrant; see `revector.backends.beside.store.VectorStore`.

    Parameters
    ----------
    client : QdrantClient
        The store closes it.
    url : str
        Of the store, without secrets.
    vector : str, optional
        The name of the vector that is searched, where collections have several.
    is_local : bool
        Whether the client is in local mode.
    secret : Secret, optional
        The key, which no message repeats.
    """

    capabilities = StoreCapabilities(
        aliases=True,
        carries=True,
        ids="whole numbers from 0 to 2^64 - 1, and UUIDs",
        notices=("vectors that are compared by their cosine are kept with length 1",),
    )

    def __init__(
        self,
        client: QdrantClient,
        url: str,
        *,
        vector: str | None = None,
        is_local: bool = False,
        secret: Secret | None = None,
    ) -> None:
        self._client, self.url, self._vector, self._secret = client, url, vector, secret
        self._is_local, self._closed = is_local, False
        self._layouts: dict[str, tuple[str, int]] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._alone: AbstractContextManager[Any] = threading.RLock() if self._is_local else nullcontext()

    def names(self) -> list[str]:
        """Return the names of the physical collections."""
        return sorted(each.name for each in self._ask(self._client.get_collections).collections)

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty collection, with the payload indexes of the one that it is like."""
        if self._ask(self._client.collection_exists, name):
            if self.count(name):
                raise StoreError(f"{self.url} has a collection {name} with points already; choose another name")
            return
        if like is None:
            vectors = models.VectorParams(size=dimension, distance=DISTANCES[metric])
            self._ask(self._client.create_collection, name, vectors_config=vectors)
            return
        info = self._info(like)
        searched, _, _ = searched_vector(like, info, self._vector)
        self._ask(self._client.create_collection, name, **like_config(info, searched, dimension, metric))
        for field, schema in indexes_of(info).items():
            self._ask(self._client.create_payload_index, name, field, field_schema=schema, wait=True)

    def drop(self, name: str) -> None:
        """Delete a collection; its aliases go with it."""
        if self._ask(self._client.collection_exists, name):
            self._ask(self._client.delete_collection, name)
        self._layouts.pop(name, None)

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points, in place of those that have the ids, a few hundred a request."""
        searched, dimension = self._layout(name)
        require_fitting(self.url, name, vectors, dimension)
        for start in range(0, len(ids), POINTS_A_CALL):
            part = slice(start, start + POINTS_A_CALL)
            others = {} if like is None else self._others(like, ids[part])
            points = [
                models.PointStruct(
                    id=point_id(id_), vector=vectors_of(searched, row, others.get(id_)), payload={**said}
                )
                for id_, row, said in zip(ids[part], vectors[part].tolist(), payloads[part], strict=True)
            ]
            self._ask(self._client.upsert, name, points=points, wait=True)

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        searched, dimension = self._layout(name)
        found: list[Any] = []
        for start in range(0, len(ids), POINTS_A_CALL):
            wanted = [point_id(id_) for id_ in ids[start : start + POINTS_A_CALL]]
            asked = asked_vectors(searched) if vectors else False
            found += self._ask(self._client.retrieve, name, ids=wanted, with_payload=True, with_vectors=asked)
        return page_of(found, searched, dimension if vectors else None)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        for start in range(0, len(ids), POINTS_A_CALL):
            points: Any = [point_id(id_) for id_ in ids[start : start + POINTS_A_CALL]]
            self._ask(self._client.delete, name, points_selector=models.PointIdsList(points=points), wait=True)

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query, all asked in one request."""
        searched, _ = self._layout(name)
        requests = [
            models.QueryRequest(query=query, using=searched or None, limit=k, with_payload=False)
            for query in queries.tolist()
        ]
        answers = self._ask(self._client.query_batch_points, name, requests=requests) if requests else []
        return [([str(p.id) for p in answer.points], [p.score for p in answer.points]) for answer in answers]

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        searched, dimension = self._layout(name)
        asked = asked_vectors(searched) if vectors else False
        place = after
        while True:
            found, place = self._ask(
                self._client.scroll, name, limit=batch, offset=place, with_payload=True, with_vectors=asked
            )
            yield page_of(found, searched, dimension if vectors else None, place)
            if place is None:
                return

    def count(self, name: str) -> int:
        """Count the points exactly."""
        return int(self._ask(self._client.count, name, exact=True).count)

    def aliased(self, alias: str) -> str | None:
        """Return the collection that an alias leads to, or ``None``."""
        found = self._ask(self._client.get_aliases).aliases
        return next((each.collection_name for each in found if each.alias_name == alias), None)

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to a collection; what it was before goes in the same request."""
        if alias in self.names():
            raise StoreError(f"{alias} is the name of a collection of {self.url}; give the alias another one")
        new = models.CreateAlias(collection_name=name, alias_name=alias)
        changes: list[Any] = [models.CreateAliasOperation(create_alias=new)]
        if self.aliased(alias) is not None:
            old = models.DeleteAlias(alias_name=alias)
            changes.insert(0, models.DeleteAliasOperation(delete_alias=old))
        self._ask(self._client.update_collection_aliases, changes)

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        if self.aliased(alias) is not None:
            old = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            self._ask(self._client.update_collection_aliases, [old])

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a collection."""
        info = self._info(name)
        searched, params, metric = searched_vector(name, info, self._vector)
        return {
            "dimension": int(params.size),
            "metric": metric,
            "vector": searched or "without a name",
            "points": self.count(name),
            "fields": sorted({field for payload in self._some(name) for field in payload}),
            "indexes": [f"{field} ({index.data_type.value})" for field, index in (info.payload_schema or {}).items()],
            "others": other_vectors(info, searched),
        }

    def moment(self) -> AbstractContextManager[None]:
        """Do nothing: no read waits for what was written before it."""
        return nullcontext()

    def shape(self, name: str) -> IndexShape:
        """Tell by which graph a collection is searched, and with which payload indexes."""
        info = self._info(name)
        return shape_of(info, searched_vector(name, info, self._vector)[1], is_local=self._is_local)

    def settle(self, name: str) -> None:
        """Return when the server has indexed what was written."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._info(name).status is models.CollectionStatus.YELLOW:
            if time.monotonic() > deadline:
                raise StoreError(f"{name} was not indexed within {SETTLE_SECONDS:,.0f} s; look at the server")
            time.sleep(_LOOK_EVERY_SECONDS)

    def stored_bytes(self, name: str) -> int:
        """Return what the vectors take, and payloads of the length that some have."""
        _, dimension = self._layout(name)
        lengths = [len(json.dumps(payload)) for payload in self._some(name)]
        return int(self.count(name) * (4 * dimension + (np.mean(lengths) if lengths else 0.0)))

    def close(self) -> None:
        """Close the client."""
        if not self._closed:
            self._closed = True
            with self._alone:
                self._client.close()

    def _some(self, name: str) -> list[dict[str, Any]]:
        """Return the payloads of a few points."""
        found, _ = self._ask(self._client.scroll, name, limit=_SAMPLE, with_payload=True, with_vectors=False)
        return [dict(point.payload or {}) for point in found]

    def _others(self, like: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the other vectors of points by their ids."""
        info = self._info(like)
        if not (others := other_vectors(info, searched_vector(like, info, self._vector)[0])):
            return {}
        wanted: Any = [point_id(id_) for id_ in ids]
        found = self._ask(self._client.retrieve, like, ids=wanted, with_payload=False, with_vectors=others)
        return {
            str(point.id): {key: value for key, value in point.vector.items() if key in others}
            for point in found
            if isinstance(point.vector, dict)
        }

    def _layout(self, name: str) -> tuple[str, int]:
        """Return the name of the vector that is searched, and its dimension, which a collection never changes.

        It is asked once, and anew after the server has refused anything: another one may have the name by now.
        """
        if (found := self._layouts.get(name)) is None:
            searched, params, _ = searched_vector(name, self._info(name), self._vector)
            found = self._layouts[name] = searched, int(params.size)
        return found

    def _info(self, name: str) -> models.CollectionInfo:
        return self._ask(self._client.get_collection, name)

    def _ask(self, call: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call the client; again, while the server cannot be reached. All calls may be repeated."""

        def once() -> T:
            if self._closed:
                raise ClosedError(self.url)
            try:
                with named(self.url, self._secret), self._alone:
                    return call(*args, **options)
            except StoreError:
                self._layouts.clear()
                raise

        again = Retrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            stop=stop_after_delay(RETRY_SECONDS),
            wait=wait_random(0.1, 0.5),
            reraise=True,
        )
        return again(once)
