"""Documents of a store in memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.arguments import checked_documents, checked_ids
from revector.backends.contracts import Document, DocumentFacts, Keys, NewDocument
from revector.backends.filters import Where
from revector.errors import UnknownDocumentError
from revector.spaces import Template
from revector.testing.memory.database import MemoryDatabase
from revector.testing.memory.state import State, StoredDocument, drawn


class MemoryDocuments:
    """The documents of a collection; see `revector.backends.contracts.Documents`.

    Parameters
    ----------
    database : MemoryDatabase
        Where they are.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist."""
        return self.put(checked_documents(ids, texts, metadata))

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Insert or change documents that were checked."""
        now = time.time()
        with self._database.change() as view:
            rows, keys, last = dict(view.state.documents), dict(view.state.keys), view.state.last_key
            for new in documents:
                if new.id not in keys:
                    last += 1
                key = keys.setdefault(new.id, last)
                rows[key] = _written(rows.get(key), key, new, now)
            view.state = replace(view.state, documents=rows, keys=keys, last_key=last)
            return [_document(rows[keys[new.id]]) for new in documents]

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Do nothing: whatever was checked can be stored."""

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their vectors of every generation; return their keys."""
        wanted = checked_ids(ids, ordered=False)
        with self._database.change() as view:
            gone = dict.fromkeys(_known(view.state, wanted))
            if gone:
                view.state = _without(view.state, gone)
            return list(gone)

    def by_id(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents in the order of `ids`."""
        wanted, state = checked_ids(ids), self._database.read()
        return [_document(state.documents[key]) for key in _known(state, wanted)]

    def by_key(self, keys: Keys) -> list[Document]:
        """Return those of the documents that exist, in the order of `keys`."""
        return [_document(row) for row in _listed(self._database.read(), keys)]

    def texts(self, keys: Keys, template: Template | None = None) -> dict[int, tuple[str, str]]:
        """Return content hash and text by key of those documents that exist."""
        if template is not None:
            return {d.key: (d.content_hash, template.render(d.text, d.metadata)) for d in self.by_key(keys)}
        return {row.key: (row.content_hash, row.text) for row in _listed(self._database.read(), keys)}

    def scan(self, batch: int = 1024) -> Iterator[list[Document]]:
        """Yield all documents in the order of their keys."""
        after = 0
        while True:
            later = (row for key, row in self._database.read().documents.items() if key > after)
            found = [_document(row) for row in islice(later, batch)]
            if not found:
                return
            yield found
            after = found[-1].key

    def ids(self, batch: int = 10_000) -> Iterator[str]:
        """Yield all ids in the order of their keys."""
        for found in self.scan(batch):
            yield from (document.id for document in found)

    def keys(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of those of the documents that exist, by id."""
        wanted, known = checked_ids(ids, ordered=False), self._database.read().keys
        return {id_: known[id_] for id_ in wanted if id_ in known}

    def next_key(self, after: int) -> int | None:
        """Return the lowest key above `after`, or ``None``."""
        return next((key for key in self._database.read().documents if key > after), None)

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` documents at random, or of all if they are fewer."""
        return drawn(self._database.read().documents, n, seed)

    def count(self) -> int:
        """Count the documents."""
        return len(self._database.read().documents)

    def content_hashes(self, keys: Keys) -> dict[int, str]:
        """Return the hash of the present text by key."""
        return {row.key: row.content_hash for row in _listed(self._database.read(), keys)}

    def record_access(self, keys: Keys, *, failed: bool = False) -> None:
        """Count one more search that returned each document; keys that do not exist are left out."""
        with self._database.change() as view:
            rows = dict(view.state.documents)
            for key, times in Counter(np.asarray(keys, dtype=np.int64).tolist()).items():
                if (row := rows.get(key)) is not None:
                    rows[key] = row._replace(hits=row.hits + times, failures=row.failures + times * failed)
            view.state = replace(view.state, documents=rows)

    def hit_counts(self) -> list[tuple[int, int]]:
        """Return how often documents were returned, and how many documents that often; the most first."""
        counts = Counter(row.hits for row in self._database.read().documents.values() if row.hits)
        return sorted(counts.items(), reverse=True)

    def facts(self, after: int = 0, limit: int = 1024) -> list[DocumentFacts]:
        """Return what priorities are computed from, of the next documents above a key."""
        later = (row for key, row in self._database.read().documents.items() if key > after)
        return [_facts(row) for row in islice(later, limit)]

    def metadata(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the metadata by id of those documents that exist."""
        state = self._database.read()
        return {id_: json.loads(state.documents[state.keys[id_]].metadata_json) for id_ in ids if id_ in state.keys}

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Call what documents hold by other hashes, in the vectors that were computed from it as well."""
        with self._database.change() as view:
            documents = dict(view.state.documents)
            vectors = {generation: dict(rows) for generation, rows in view.state.vectors.items()}
            for key, present, new in hashes:
                if key not in documents or documents[key].content_hash != present:
                    continue
                documents[key] = documents[key]._replace(content_hash=new)
                for rows in vectors.values():
                    if key in rows and rows[key].content_hash == present:
                        rows[key] = rows[key]._replace(content_hash=new)
            view.state = replace(view.state, documents=documents, vectors=vectors)

    def matching(self, where: Where, keys: Keys) -> NDArray[np.int64]:
        """Return those of `keys` whose documents match a filter, each once."""
        rows = _listed(self._database.read(), np.unique(np.asarray(keys, dtype=np.int64)))
        return _matching(where, rows)

    def matching_keys(self, where: Where, limit: int) -> NDArray[np.int64]:
        """Return the keys of the documents that match a filter, `limit` of them where there are more."""
        return _matching(where, self._database.read().documents.values())[:limit]


def _facts(row: StoredDocument) -> DocumentFacts:
    metadata = json.loads(row.metadata_json)
    return DocumentFacts(row.key, row.id, row.hits, row.failures, row.updated_at, metadata, len(row.text))


def _matching(where: Where, rows: Iterable[StoredDocument]) -> NDArray[np.int64]:
    return np.array([row.key for row in rows if where.matches(json.loads(row.metadata_json))], dtype=np.int64)


def _written(old: StoredDocument | None, key: int, new: NewDocument, now: float) -> StoredDocument:
    if old is None:
        return StoredDocument(key, new.id, new.text, new.content_hash, new.metadata_json or "{}", now)
    return old._replace(
        text=new.text,
        content_hash=new.content_hash,
        metadata_json=new.metadata_json or old.metadata_json,
        updated_at=old.updated_at if old.content_hash == new.content_hash else now,
    )


def _without(state: State, gone: Mapping[int, object]) -> State:
    """Return a state without some documents and their vectors."""
    return replace(
        state,
        documents={key: row for key, row in state.documents.items() if key not in gone},
        keys={id_: key for id_, key in state.keys.items() if key not in gone},
        vectors={
            generation: {key: row for key, row in rows.items() if key not in gone}
            for generation, rows in state.vectors.items()
        },
    )


def _known(state: State, ids: Sequence[str]) -> list[int]:
    if unknown := tuple(id_ for id_ in ids if id_ not in state.keys):
        raise UnknownDocumentError(unknown)
    return [state.keys[id_] for id_ in ids]


def _listed(state: State, keys: Keys) -> list[StoredDocument]:
    """Return those of some documents that exist, in the order of `keys`."""
    return [state.documents[key] for key in np.asarray(keys, dtype=np.int64).tolist() if key in state.documents]


def _document(row: StoredDocument) -> Document:
    return Document(row.id, row.text, json.loads(row.metadata_json), row.content_hash, row.updated_at, row.key)
