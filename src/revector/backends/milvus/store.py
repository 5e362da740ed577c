"""Physical collections in Milvus, in a server or in the file of Milvus Lite."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from revector._optional import require
from revector._secrets import Secret
from revector.backends.beside.calling import Calls
from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Matrix, Page, StoreCapabilities
from revector.backends.contracts import IndexShape
from revector.backends.milvus.collections import Collection
from revector.backends.milvus.milvus_errors import named
from revector.backends.milvus.places import Place
from revector.backends.milvus.points import page_of, rows_of, slices
from revector.backends.milvus.requests import Requests

__all__ = ["MilvusStore"]

_CONNECT_SECONDS = 10.0
_AT_ONCE = 1_000
_QUERIES_AT_ONCE = 100
_PAUSE_SECONDS, _IDLE_SECONDS = 0.2, 30.0


class MilvusStore:
    """Collections in Milvus; see `revector.backends.beside.store.VectorStore`.

    Every call may be repeated, and is while the connection is lost, or a server that has started loads a collection.
    Reads are of the consistency level "Strong": they wait for what was written before them, and inside a `moment` once.

    Parameters
    ----------
    place : Place
    token : Secret, optional

    Raises
    ------
    MissingExtraError
        The package ``pymilvus`` is not installed, or ``milvus-lite``, for a file.
    StoreUnavailableError
        There is no server.
    """

    capabilities = StoreCapabilities(
        aliases=True,
        carries=True,
        ids="text of up to 512 bytes; whole numbers of 64 bits in an adopted collection that has such ids",
        notices=(
            "a text takes 65,535 bytes at most, and so do all fields together that the schema does not name",
            "collections whose ids the server gives (auto_id), or with partitions but no partition key, are refused",
        ),
    )

    def __init__(self, place: Place, token: Secret | None = None) -> None:
        milvus: Any = require("pymilvus", extra="milvus", purpose="a collection in Milvus")
        grpc: Any = require("grpc", extra="milvus", purpose="a collection in Milvus")
        if place.is_file:
            require("milvus_lite", extra="milvus", purpose="a file of Milvus Lite")
        options = {} if place.is_file else {"db_name": place.database, "token": token.reveal() if token else ""}
        self.url = place.url
        self._call = Calls(self.url, (milvus.MilvusException, grpc.RpcError), lambda error: named(self.url, error))
        self._client: Any = self._call(milvus.MilvusClient, place.uri, timeout=_CONNECT_SECONDS, **options)
        self._ask = Requests(milvus, self._client, place)

    def names(self) -> list[str]:
        """Return the names of the collections."""
        return self._call(self._ask.names)

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty collection, with its indexes, and load it."""
        self._call(self._ask.create, name, dimension, metric, like)

    def drop(self, name: str) -> None:
        """Delete a collection, and the aliases that lead to it."""
        self._call(self._ask.drop, name)

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points."""
        found = self._collection(name)
        require_fitting(self.url, name, vectors, found.dimension)
        rows = rows_of(found, ids, vectors, payloads, self.url)
        others = {} if like is None else self._others(self._collection(like), ids)
        rows = [{**row, **others.get(id_, {})} for id_, row in zip(ids, rows, strict=True)]
        for batch in slices(rows, found.dimension):
            self._call(self._ask.upsert, found, batch)

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        found = self._collection(name)
        return page_of(found, self._rows(found, ids, _fields(found, vectors)), vectors)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        found = self._collection(name)
        for some in _parts(ids, _AT_ONCE):
            self._call(self._ask.delete, found, some)

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query; 16,384 at most."""
        found = self._collection(name)
        parts = _parts(queries, _QUERIES_AT_ONCE)
        return [hits for part in parts for hits in self._call(self._ask.search, found, part, k)]

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        found = self._collection(name)
        fields = _fields(found, vectors)
        rows = self._call(self._ask.page, found, after, fields, batch)
        while rows:
            place = rows[-1][found.key]
            following = self._call(self._ask.page, found, place, fields, batch)
            yield replace(page_of(found, rows, vectors), next=place if following else None)
            rows = following

    def count(self, name: str) -> int:
        """Count the points exactly."""
        self._collection(name)
        return self._call(self._ask.count, name)

    def aliased(self, alias: str) -> str | None:
        """Return the collection that an alias leads to, or ``None``."""
        return self._call(self._ask.aliased, alias)

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to a collection."""
        self._call(self._ask.point, alias, name)

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        self._call(self._ask.unalias, alias)

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a collection; raise `StoreError` if its points cannot be moved."""
        return self._call(self._ask.described, self._collection(name))

    def moment(self) -> AbstractContextManager[None]:
        """Let reads of this thread inside wait once, for what was written before the first of them."""
        return self._ask.moment()

    def shape(self, name: str) -> IndexShape:
        """Tell how a collection is searched."""
        return self._collection(name).shape

    def settle(self, name: str) -> None:
        """Return when what was written is sealed and indexed.

        A server leaves small segments without an index, and measures their vectors: where nothing more is indexed for
        half a minute, nothing will be.
        """
        index = self._collection(name).index
        self._call(self._ask.flush, name)
        most, since = -1, time.monotonic()
        while time.monotonic() - since < _IDLE_SECONDS:
            indexed, pending = self._call(self._ask.indexed, index, name)
            if not pending:
                return
            if indexed > most:
                most, since = indexed, time.monotonic()
            time.sleep(_PAUSE_SECONDS)

    def stored_bytes(self, name: str) -> int:
        """Return about what vectors and payloads take, by a sample: Milvus does not tell."""
        return self._call(self._ask.size_bytes, self._collection(name))

    def close(self) -> None:
        """Release the connection, unless another store of the same place has it as well."""
        if not self._call.is_closed:
            self._call.is_closed = True
            self._client.close()

    def _collection(self, name: str) -> Collection:
        return self._call(self._ask.collection, name)

    def _rows(self, found: Collection, ids: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
        return [row for part in _parts(ids, _AT_ONCE) for row in self._call(self._ask.rows, found, part, fields)]

    def _others(self, source: Collection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the other vectors of points, by their ids."""
        if not source.others:
            return {}
        rows = self._rows(source, ids, [source.key, *source.others])
        return {str(row.pop(source.key)): row for row in rows}


def _fields(found: Collection, vectors: bool) -> list[str]:
    return [found.key, *found.scalars, *[found.vector] * vectors]


def _parts(whole: Any, size: int) -> list[Any]:
    return [whole[first : first + size] for first in range(0, len(whole), size)]
