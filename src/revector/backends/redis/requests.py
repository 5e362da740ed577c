"""What Redis is asked, once: each request may be made again, and the errors are the client's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from revector.backends.beside.store import Matrix
from revector.backends.redis.hashes import others_of, payload_of
from revector.backends.redis.indexes import HNSW, SearchIndex, escaped, index_of, like_another, new_index, text_of
from revector.errors import StoreError

__all__ = ["Hashes", "Requests"]

Hashes = dict[str, dict[bytes, bytes]]
"""The fields of points by their ids."""

_SEARCH_MILLISECONDS = 30_000
"""The server's own limit is half a second, after which it returns what it has found so far without a word."""
_AT_ONCE = 500
_LEAST_BREADTH = 100
_SAMPLE = 100
_SCORE = "_score"
_NO_INDEX = "unknown index name"
_NO_ALIAS = "alias does not exist"

T = TypeVar("T")


class Requests:
    """Requests to a server.

    Parameters
    ----------
    redis : module
        The client's package.
    client : Redis
    url : str
        Without secrets.
    vector : str
        The vector that is searched, where indexes have several; empty for the first one.
    """

    def __init__(self, redis: Any, client: Any, url: str, vector: str) -> None:
        self._refusal: type[Exception] = redis.exceptions.ResponseError
        self._client, self._url, self._vector = client, url, vector

    def names(self) -> list[str]:
        """Return the names of the indexes."""
        return sorted(text_of(name) for name in self._client.execute_command("FT._LIST"))

    def index(self, name: str) -> SearchIndex:
        """Return what is told of an index; raise `StoreError` if there is none, or its points cannot be moved."""
        found = self._found(name)
        if found is None or found.name != name:
            raise StoreError(f"{self._url} has no index {name!r}; FT._LIST names those that are there")
        found.require_movable(self._url)
        return found

    def create(self, name: str, dimension: int, metric: str, like: str | None) -> None:
        """Make an empty index."""
        wanted = new_index(name, dimension, metric)
        if like is not None:
            wanted = like_another(name, dimension, metric, self.index(like))
        found = self._found(name)
        if found is None:
            self._require_room(wanted)
            self._client.execute_command("FT.CREATE", *wanted.arguments())
        elif found.name != name:  # an index of that name would take the alias away from its readers
            raise StoreError(f"{self._url}: {name!r} is an alias, of {found.name!r}; choose another name")
        elif found.points or (found.dimension, found.metric) != (dimension, metric):
            raise StoreError(f"{self._url} has an index {name!r} already, and not an empty one; choose another name")

    def drop(self, name: str) -> None:
        """Delete the hashes of an index that belong to no other one, and then the index.

        In this order a call that is cut off leaves an index, by which the rest of the hashes is found again.
        """
        index = self._found(name)
        if index is None or index.name != name:
            return
        if len(index.prefixes) == 1 and index.prefix and not self._sharing(index):
            keys = self._keys(index)
            while some := list(islice(keys, _AT_ONCE)):
                self._client.unlink(*some)
        self._unless(_NO_INDEX, lambda: self._client.execute_command("FT.DROPINDEX", name))

    def put(
        self, index: SearchIndex, ids: Sequence[str], fields: Sequence[Mapping[str, Any]], like: SearchIndex | None
    ) -> None:
        """Write hashes in place of those that have the ids, and what the payload does not say of another index's."""
        old = {} if like is None else self.hashes(like, ids)
        pipe = self._client.pipeline(transaction=True)
        for id_, own in zip(ids, fields, strict=True):
            carried = others_of(old[id_], like.vector.field, like.vector_fields) if like and id_ in old else {}
            pipe.delete(index.prefix + id_)  # or fields would stay that the point has no longer
            pipe.hset(index.prefix + id_, mapping={**carried, **{name.encode(): own[name] for name in own}})
        pipe.execute()

    def hashes(self, index: SearchIndex, ids: Sequence[str]) -> Hashes:
        """Return the fields of those points that exist."""
        pipe = self._client.pipeline(transaction=False)
        for id_ in ids:
            pipe.hgetall(index.prefix + id_)
        return {id_: fields for id_, fields in zip(ids, pipe.execute(), strict=True) if fields}

    def delete(self, index: SearchIndex, ids: Sequence[str]) -> None:
        """Delete points."""
        self._client.unlink(*[index.prefix + id_ for id_ in ids])

    def search(self, index: SearchIndex, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        breadth = f" EF_RUNTIME {max(_LEAST_BREADTH, 2 * k)}" if index.vector.options["ALGORITHM"] == HNSW else ""
        asked = f"*=>[KNN {k} @{escaped(index.vector.name)} $query{breadth} AS {_SCORE}]"
        shown = ("SORTBY", _SCORE, "LIMIT", 0, k, "RETURN", 1, _SCORE, "TIMEOUT", _SEARCH_MILLISECONDS, "DIALECT", 2)
        pipe = self._client.pipeline(transaction=False)
        for query in np.ascontiguousarray(queries, "<f4"):
            pipe.execute_command("FT.SEARCH", index.name, asked, "PARAMS", 2, "query", query.tobytes(), *shown)
        return [self._hits(index, found) for found in pipe.execute()]

    def step(self, index: SearchIndex, cursor: int, n: int) -> tuple[int, list[str]]:
        """Return about so many ids, and the cursor of the next ones: 0 after the last."""
        following, keys = self._client.scan(cursor, _pattern(index), count=n, _type="HASH")
        return following, [self._id_of(index, key) for key in keys]

    def aliased(self, alias: str) -> str | None:
        """Return the index that an alias leads to, or ``None``."""
        found = self._found(alias)
        return None if found is None or found.name == alias else found.name

    def point(self, alias: str, name: str) -> None:
        """Let an alias lead to an index."""
        self.index(name)
        if alias in self.names():
            raise StoreError(f"{self._url}: {alias!r} is the name of an index; give the alias another one")
        self._client.execute_command("FT.ALIASUPDATE", alias, name)

    def unalias(self, alias: str) -> None:
        """Remove an alias."""
        self._unless(_NO_ALIAS, lambda: self._client.execute_command("FT.ALIASDEL", alias))

    def described(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know."""
        index = self.index(name)
        if sharing := self._sharing(index):
            raise StoreError(
                f"{self._url}: hashes of {name!r} belong to the index {sharing[0]!r} as well, and would be missing "
                "there after the cut-over; drop that one first"
            )
        ids = [self._id_of(index, key) for key in islice(self._keys(index), _SAMPLE)]
        payloads = [payload_of(fields, index.vector_fields) for fields in self.hashes(index, ids).values()]
        return {
            "dimension": index.dimension,
            "metric": index.metric,
            "points": index.points,
            "fields": sorted({name for payload in payloads for name in payload}),
            "indexes": [str(attribute) for attribute in index.attributes],
            "others": [attribute.name for attribute in index.vectors if attribute != index.vector],
        }

    def size_bytes(self, name: str) -> int:
        """Return about what hashes and vectors take, by a sample of hashes."""
        index = self.index(name)
        pipe = self._client.pipeline(transaction=False)
        for key in islice(self._keys(index), _SAMPLE):
            pipe.memory_usage(key)
        sizes = [size for size in pipe.execute() if size]
        return index.vector_bytes + (index.points * sum(sizes) // len(sizes) if sizes else 0)

    def _found(self, name: str) -> SearchIndex | None:
        """Return what is told of an index, or of that which an alias leads to."""
        told = self._unless(_NO_INDEX, lambda: self._client.execute_command("FT.INFO", name))
        return None if told is None else index_of(told, self._vector)

    def _require_room(self, index: SearchIndex) -> None:
        """Raise `StoreError` if an index would hold hashes of others, or others its own."""
        if sharing := self._sharing(index):
            raise StoreError(
                f"{self._url}: hashes under {index.prefix!r} would belong to the index {sharing[0]!r} as well; choose "
                "a name that begins otherwise than its prefix"
            )
        if next(self._keys(index), None) is not None:
            raise StoreError(
                f"{self._url} has keys under {index.prefix!r} already; delete them, or choose another name"
            )

    def _sharing(self, index: SearchIndex) -> list[str]:
        """Return the other indexes that hashes of an index may belong to."""
        found = [self._found(name) for name in self.names() if name != index.name]
        return [other.name for other in found if other is not None and other.overlaps(index.prefix)]

    def _keys(self, index: SearchIndex) -> Iterator[bytes]:
        found: Iterator[bytes] = self._client.scan_iter(_pattern(index), count=_AT_ONCE, _type="HASH")
        return found

    def _hits(self, index: SearchIndex, found: list[Any]) -> tuple[list[str], list[float]]:
        """Return ids and scores of an answer: how many there are, then a key and its fields in turns."""
        keys, fields = found[1::2], found[2::2]
        return [self._id_of(index, key) for key in keys], [1.0 - float(score) for _, score in fields]

    def _id_of(self, index: SearchIndex, key: bytes) -> str:
        try:
            return key.decode()[len(index.prefix) :]
        except UnicodeDecodeError:
            raise StoreError(f"{self._url}: a key of {index.name!r} is not text in UTF-8, which ids are") from None

    def _unless(self, message: str, call: Callable[[], T]) -> T | None:
        """Return what a call returns, or ``None`` if the server refuses with a message."""
        try:
            return call()
        except self._refusal as error:
            if message in str(error).lower():
                return None
            raise


def _pattern(index: SearchIndex) -> str:
    """Return what matches the keys of an index."""
    return escaped(index.prefix) + "*"
