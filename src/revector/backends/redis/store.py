"""Physical collections in Redis: an index of RediSearch over hashes whose keys begin alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from revector._optional import require
from revector._secrets import Secret
from revector.backends.beside.calling import Calls
from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Matrix, Page, StoreCapabilities
from revector.backends.contracts import IndexShape
from revector.backends.redis.hashes import hash_of, payload_of, vector_of
from revector.backends.redis.indexes import SearchIndex
from revector.backends.redis.places import Place
from revector.backends.redis.redis_errors import named
from revector.backends.redis.requests import Hashes, Requests

__all__ = ["RedisStore"]

_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 60.0
_AT_ONCE = 500  # points in a transaction, for the server does nothing else meanwhile
_PAUSE_SECONDS = 0.05


class RedisStore:
    """Collections in a Redis server with RediSearch; see `revector.backends.beside.store.VectorStore`.

    Every call may be repeated, and is while the connection is lost.

    Parameters
    ----------
    place : Place
    password : Secret, optional

    Raises
    ------
    MissingExtraError
        The package ``redis`` is not installed.
    """

    capabilities = StoreCapabilities(
        aliases=True,
        carries=True,
        ids="any text: what follows the prefix in a key",
        notices=(
            "what a crash of the server loses is lost: let it write each command to its disk (appendfsync always)",
            "the time to live of a hash is not carried to the new collection",
        ),
    )

    def __init__(self, place: Place, password: Secret | None = None) -> None:
        redis: Any = require("redis", extra="redis", purpose="a collection in Redis")
        self._client = redis.Redis(
            host=place.host,
            port=place.port,
            username=place.user or None,
            password=password and password.reveal(),
            ssl=place.tls,
            protocol=2,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),  # `Calls` does it, and knows when it is of no use
        )
        self.url = place.url
        self._call = Calls(self.url, (redis.exceptions.RedisError,), lambda error: named(redis, self.url, error))
        self._ask = Requests(redis, self._client, self.url, place.vector)

    def names(self) -> list[str]:
        """Return the names of the indexes."""
        return self._call(self._ask.names)

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty index, over hashes whose keys begin with its name and a colon."""
        self._call(self._ask.create, name, dimension, metric, like)

    def drop(self, name: str) -> None:
        """Delete an index, and the hashes that belong to no other one."""
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
        """Write points, each in place of a hash as a whole."""
        index = self._index(name)
        require_fitting(self.url, name, vectors, index.dimension)
        source, field = None if like is None else self._index(like), index.vector.field
        fields = [hash_of(vector, payload, field) for vector, payload in zip(vectors, payloads, strict=True)]
        for part in _parts(len(ids)):
            self._call(self._ask.put, index, ids[part], fields[part], source)

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        index, found = self._index(name), Hashes()
        for part in _parts(len(ids)):
            found |= self._call(self._ask.hashes, index, ids[part])
        return _page(index, found, vectors)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        index = self._index(name)
        for part in _parts(len(ids)):
            self._call(self._ask.delete, index, ids[part])

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        return self._call(self._ask.search, self._index(name), queries, k)

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points, in the order of the server's own table.

        A page's `next` is the server's cursor, and the ids that it has named already. It may name one twice while
        others are deleted: they are kept, so that no point comes twice.
        """
        index = self._index(name)
        cursor, waiting, is_last = (0, [], False) if after is None else (after[0], list(after[1]), not after[0])
        seen = set(waiting)
        while True:
            while len(waiting) < batch and not is_last:
                cursor, ids = self._call(self._ask.step, index, cursor, batch)
                waiting += [id_ for id_ in dict.fromkeys(ids) if id_ not in seen]
                seen.update(ids)
                is_last = cursor == 0
            ids, waiting = waiting[:batch], waiting[batch:]
            page = _page(index, self._call(self._ask.hashes, index, ids), vectors)
            is_over = is_last and not waiting
            yield replace(page, next=None if is_over else [cursor, waiting])
            if is_over:
                return

    def count(self, name: str) -> int:
        """Count the points that the index knows."""
        return self._index(name).points

    def aliased(self, alias: str) -> str | None:
        """Return the index that an alias leads to, or ``None``."""
        return self._call(self._ask.aliased, alias)

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to an index."""
        self._call(self._ask.point, alias, name)

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        self._call(self._ask.unalias, alias)

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of an index; raise `StoreError` if its points cannot be moved."""
        return self._call(self._ask.described, name)

    def moment(self) -> AbstractContextManager[None]:
        """Do nothing: no read waits for what was written before it."""
        return nullcontext()

    def shape(self, name: str) -> IndexShape:
        """Tell how an index is searched."""
        return self._index(name).shape

    def settle(self, name: str) -> None:
        """Return when the index has found all hashes that were there before it; others it knows at once."""
        while self._index(name).is_filling:
            time.sleep(_PAUSE_SECONDS)

    def stored_bytes(self, name: str) -> int:
        """Return about what hashes and vectors take, by a sample of hashes."""
        return self._call(self._ask.size_bytes, name)

    def close(self) -> None:
        """Release connections."""
        self._call.is_closed = True
        self._client.close()

    def _index(self, name: str) -> SearchIndex:
        return self._call(self._ask.index, name)


def _page(index: SearchIndex, hashes: Hashes, vectors: bool) -> Page:
    matrix = None
    if vectors:
        rows = [vector_of(fields, index.vector.field, index.dimension) for fields in hashes.values()]
        matrix = np.array(rows, np.float32).reshape(len(rows), index.dimension)
    return Page(list(hashes), [payload_of(fields, index.vector_fields) for fields in hashes.values()], matrix)


def _parts(n: int) -> Iterator[slice]:
    return (slice(first, first + _AT_ONCE) for first in range(0, n, _AT_ONCE))
