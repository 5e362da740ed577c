"""Chroma as a store of vectors: see `revector.backends.beside.store.VectorStore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Page, StoreCapabilities
from revector.backends.beside.unaliased import WithoutAliases
from revector.backends.chroma.client import Client, open_client
from revector.backends.chroma.payloads import DIMENSION, Stored, field_of, metadata_like, payload_of, stored_of
from revector.backends.contracts import IndexShape
from revector.errors import ClosedError, StoreError

__all__ = ["ChromaStore"]

Matrix = NDArray[np.float32]

_SPACES = {"cosine": "cosine", "dot": "ip"}
_METRICS = {space: metric for metric, space in _SPACES.items()}
_GRAPH = ("max_neighbors", "ef_construction", "ef_search")
_NUMBERS_AT_ONCE = 1 << 20  # a request is JSON, about 20 bytes a number, and a server takes some 40 MB
_SAMPLE = 100


class ChromaStore(WithoutAliases):
    """Collections of a Chroma server, or in a folder.

    Parameters
    ----------
    client : Client
        Closed with the store.
    """

    capabilities = StoreCapabilities(
        aliases=False,
        carries=False,
        ids="text that is not empty",
        notices=(
            "a collection has no alias: readers ask revector which one serves, or the collection gets the name that "
            "they know when it is released",
            "under the cosine, Chroma keeps vectors at unit length",
            "values that are neither scalars nor lists of one kind are kept, but cannot be filtered by",
            "a folder (chroma:///FOLDER) is for one process at a time; several need the server",
        ),
    )

    def __init__(self, client: Client) -> None:
        self._client = client
        self._most = client.call(client.api.get_max_batch_size)

    @classmethod
    def open(cls, url: str) -> ChromaStore:
        """Connect to a URL; see `revector.backends.chroma.client.open_client`."""
        client = open_client(url)
        try:
            return cls(client)
        except BaseException:
            client.close()
            raise

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._client.url

    def names(self) -> list[str]:
        """Return the names of the collections."""
        found: list[str] = []
        while page := self._call(self._api.list_collections, limit=_SAMPLE, offset=len(found)):
            found += [each.name for each in page]
        return found

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty collection, with the graph's parameters of another one."""
        source = None if like is None else self._named(like)
        known = {} if source is None else _graph_of(source)
        graph = {"space": _SPACES[metric], **{key: known[key] for key in _GRAPH if key in known}}
        metadata = metadata_like(source and source.metadata, dimension, is_adopted=source is not None)
        if name in self.names():
            if self.count(name):
                raise StoreError(f"{self.url} has a collection {name!r} with points already; choose another name")
            self.drop(name)
        self._call(
            self._api.get_or_create_collection,
            name,
            embedding_function=None,
            configuration={"hnsw": graph},
            metadata=metadata,
        )

    def drop(self, name: str) -> None:
        """Delete a collection."""

        def delete() -> None:
            with suppress(self._client.not_found):
                self._api.delete_collection(name)

        self._call(delete)

    def rename(self, name: str, to: str) -> None:
        """Give a collection another name; raise `StoreError` if that is taken."""
        if to in self.names():
            raise StoreError(f"{self.url} has a collection {to!r} already; drop or rename it first")
        self._call(self._named(name).modify, name=to)

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points, in place of those that have the ids."""
        collection = self._named(name)
        if len(vectors):  # the dimension of an empty collection is not known
            require_fitting(self.url, name, vectors, self._dimension(collection))
        field = field_of(collection.metadata)
        stored = [stored_of(payload, field) for payload in payloads]
        step = max(1, min(self._most, _NUMBERS_AT_ONCE // max(1, vectors.shape[1])))
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            self._write(collection, list(ids[part]), vectors[part], stored[part])

    def _write(self, collection: Any, ids: list[str], vectors: Matrix, stored: Sequence[Stored]) -> None:
        """Write points as a whole: Chroma itself keeps documents, and fields, that a newer point does not have."""
        found = self._call(collection.get, ids=ids, include=["documents"])
        had = {id_ for id_, document in zip(found["ids"], found["documents"], strict=True) if document is not None}
        if emptied := [id_ for id_, (document, _) in zip(ids, stored, strict=True) if document is None and id_ in had]:
            self._call(collection.delete, ids=emptied)  # there is no other way to take a document away
        self._call(
            collection.upsert,
            ids=ids,
            embeddings=np.ascontiguousarray(vectors, np.float32),
            documents=[document for document, _ in stored],
            metadatas=[metadata for _, metadata in stored],
        )
        self._take_away(collection, {id_: metadata or {} for id_, (_, metadata) in zip(ids, stored, strict=True)})

    def _take_away(self, collection: Any, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Take away the fields that points have besides.

        They are those of older points, and not of the same ids alone: the lists of a collection that was dropped come
        back in the points that get its places (seen with Chroma 1.5.9).
        """
        found = self._call(collection.get, ids=list(wanted), include=["metadatas"])
        pairs = zip(found["ids"], found["metadatas"], strict=True)
        extra = {id_: set(metadata or {}) - set(wanted[id_]) for id_, metadata in pairs}
        if extra := {id_: names for id_, names in extra.items() if names}:
            self._call(collection.update, ids=list(extra), metadatas=[dict.fromkeys(names) for names in extra.values()])

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        collection = self._named(name)
        wanted = list(dict.fromkeys(ids))
        step = max(1, self._most)
        parts = [wanted[start : start + step] for start in range(0, len(wanted), step)]
        pages = [self._page(collection, vectors, ids=part) for part in parts]
        matrix = np.concatenate([self._no_vectors(collection), *(page.vectors for page in pages)]) if vectors else None
        return Page([id_ for p in pages for id_ in p.ids], [each for p in pages for each in p.payloads], matrix)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        collection, gone = self._named(name), list(dict.fromkeys(ids))
        for start in range(0, len(gone), self._most):
            self._call(collection.delete, ids=gone[start : start + self._most])

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        collection = self._named(name)
        most = min(k, self._call(collection.count))
        if not most or not len(queries):
            return [([], []) for _ in queries]
        rows = np.ascontiguousarray(queries, np.float32)
        found = self._call(collection.query, query_embeddings=rows, n_results=most, include=["distances"])
        # a distance is one minus the cosine, or minus the inner product
        return [
            (ids, [1.0 - distance for distance in distances])
            for ids, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points in the order in which they were first written.

        Chroma counts places, and they move when points before them are deleted. So each page begins with the last
        point of the one before: where that is no longer in its place, the scan goes back until it finds it.
        """
        collection = self._named(name)
        place, last = after if after is not None else (0, None)
        while True:
            place = self._place_after(collection, place, last, batch)
            page = self._page(collection, vectors, limit=batch, offset=place)
            place, last = place + len(page.ids), page.ids[-1] if page.ids else None
            if len(page.ids) < batch or not self._ids(collection, place, 1):
                yield page
                return
            yield replace(page, next=[place, last])

    def _place_after(self, collection: Any, place: int, last: str | None, batch: int) -> int:
        """Return the place after the point that was read last; the beginning, if it is gone."""
        while last is not None and place > 0:
            start = max(0, place - batch)
            ids = self._ids(collection, start, place - start)
            if last in ids:
                return start + ids.index(last) + 1
            place = start
        return 0

    def count(self, name: str) -> int:
        """Count the points."""
        return int(self._call(self._named(name).count))

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a collection."""
        collection = self._named(name)
        page = self._page(collection, False, limit=_SAMPLE, offset=0)
        return {
            "metric": self._metric(collection),
            "dimension": self._dimension(collection),
            "points": self.count(name),
            "fields": sorted({field for payload in page.payloads for field in payload}),
            "indexes": [str(self.shape(name))],
            "others": [],
        }

    def moment(self) -> AbstractContextManager[None]:
        """Do nothing: no read waits for what was written before it."""
        return nullcontext()

    def shape(self, name: str) -> IndexShape:
        """Tell the parameters of the collection's graph."""
        graph = _graph_of(self._named(name))
        return IndexShape("hnsw", {key: str(graph[key]) for key in _GRAPH if key in graph})

    def settle(self, name: str) -> None:
        """Do nothing: what was written is in the graph, or measured, by the time a write returns."""
        self._named(name)

    def stored_bytes(self, name: str) -> int:
        """Return what the vectors take, and about what the payloads do: Chroma itself does not say."""
        collection, points = self._named(name), self.count(name)
        sample = self._page(collection, False, limit=_SAMPLE, offset=0)
        payloads = sum(len(str(payload)) for payload in sample.payloads) / max(1, len(sample.payloads))
        return int(points * (4 * self._dimension(collection) + payloads)) if points else 0

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    @property
    def _api(self) -> Any:
        self._require_open()
        return self._client.api

    def _require_open(self) -> None:
        if self._client.call.is_closed:
            raise ClosedError(self.url)

    def _call(self, function: Any, *arguments: Any, **named: Any) -> Any:
        return self._client.call(function, *arguments, **named)

    def _named(self, name: str) -> Any:
        return self._call(self._api.get_collection, name, embedding_function=None)

    def _ids(self, collection: Any, offset: int, limit: int) -> list[str]:
        return list(self._call(collection.get, offset=offset, limit=limit, include=[])["ids"])

    def _page(self, collection: Any, vectors: bool, **which: Any) -> Page:
        include = ["documents", "metadatas", *["embeddings"] * vectors]
        found = self._call(collection.get, include=include, **which)
        field = field_of(collection.metadata)
        pairs = zip(found["documents"], found["metadatas"], strict=True)
        payloads = [payload_of(document, metadata, field) for document, metadata in pairs]
        matrix = None
        if vectors:
            matrix = np.asarray(found["embeddings"], np.float32) if payloads else self._no_vectors(collection)
        return Page(list(found["ids"]), payloads, matrix)

    def _no_vectors(self, collection: Any) -> Matrix:
        return np.empty((0, self._dimension(collection)), np.float32)

    def _dimension(self, collection: Any) -> int:
        if known := (collection.metadata or {}).get(DIMENSION):
            return int(known)
        found = self._call(collection.get, limit=1, include=["embeddings"])["embeddings"]
        if not len(found):
            raise StoreError(f"{self.url}: {collection.name!r} is empty, so that its dimension is not known; fill it")
        return len(found[0])

    def _metric(self, collection: Any) -> str:
        space = _graph_of(collection).get("space", "l2")
        if space not in _METRICS:
            raise StoreError(
                f"{self.url}: {collection.name!r} is searched by the distance {space!r}, expected cosine or ip; "
                "copy it into a collection with one of those first"
            )
        return _METRICS[space]


def _graph_of(collection: Any) -> dict[str, Any]:
    """Return the parameters of a graph; Chroma's own property for them warns of functions that embed."""
    return dict(collection.configuration_json.get("hnsw") or {})
