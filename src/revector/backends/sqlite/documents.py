"""Documents of the embedded store, and how often searches return them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection, Row

from revector.backends.arguments import checked_documents, checked_ids
from revector.backends.contracts import Document, DocumentFacts, Keys, NewDocument
from revector.backends.filters import Where
from revector.backends.sampling import Population
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.database import driver_of
from revector.backends.sqlite.filters import translate
from revector.backends.sqlite.sampling import as_json, drawn
from revector.backends.sqlite.schema import access, documents
from revector.errors import UnknownDocumentError
from revector.spaces import Template

_UPSERT = """
INSERT INTO documents (id, content_hash, updated_at, metadata, text)
VALUES (:id, :hash, :now, coalesce(:metadata, '{}'), :text)
ON CONFLICT (id) DO UPDATE SET
    updated_at = CASE WHEN content_hash = :hash THEN updated_at ELSE :now END,
    content_hash = :hash, text = :text, metadata = coalesce(:metadata, metadata)
"""
_BURY = """
INSERT INTO tombstones (generation, seq, document_key)
SELECT generation, :seq, document_key FROM vectors WHERE document_key IN (SELECT value FROM json_each(:keys))
"""
_DELETE = "DELETE FROM documents WHERE key IN (SELECT value FROM json_each(:keys))"
_COUNT = """
INSERT INTO access (document_key, hits, failures)
SELECT documents.key, count(*), count(*) * :failed
FROM json_each(:keys) AS listed JOIN documents ON documents.key = listed.value GROUP BY documents.key
ON CONFLICT (document_key) DO UPDATE SET hits = hits + excluded.hits, failures = failures + excluded.failures
"""
_TEXTS = """
SELECT documents.key, content_hash, text
FROM json_each(:keys) AS listed CROSS JOIN documents ON documents.key = listed.value
"""
_BY_KEY = """
SELECT documents.id, text, metadata, content_hash, updated_at, documents.key
FROM json_each(:keys) AS listed CROSS JOIN documents ON documents.key = listed.value
ORDER BY listed.key
"""
_REHASH = "UPDATE documents SET content_hash = :new WHERE key = :key AND content_hash = :present"
_REHASH_VECTORS = """
UPDATE vectors SET content_hash = :new WHERE document_key = :key AND content_hash = :present
AND EXISTS (SELECT 1 FROM documents WHERE key = :key AND content_hash = :present)
"""
_MATCHING = """
SELECT DISTINCT documents.key FROM json_each(:keys) AS listed CROSS JOIN documents ON documents.key = listed.value
WHERE {condition}
"""
_MATCHING_KEYS = "SELECT documents.key FROM documents WHERE {condition} LIMIT :limit"
_IDS = "SELECT key, id FROM documents WHERE key > :after ORDER BY key LIMIT :batch"
_NEXT_KEY = "SELECT min(key) FROM documents WHERE key > ?"
_HASHES = "SELECT key, content_hash FROM documents WHERE key IN (SELECT value FROM json_each(:keys)) ORDER BY key"
_HIT_COUNTS = "SELECT hits, count(*) AS n FROM access WHERE hits > 0 GROUP BY hits ORDER BY hits DESC"
_POPULATION = Population(
    size="SELECT count(*) FROM documents",
    keys="SELECT key FROM documents",
    among="SELECT key FROM documents WHERE key IN (SELECT value FROM json_each(:keys))",
)
_NEXT_SEQ = "UPDATE sequence SET value = value + 1 RETURNING value"


def next_seq(connection: Connection) -> int:
    """Advance the counter that orders all changes of vectors; the write lock makes its order that of the commits."""
    return int(connection.exec_driver_sql(_NEXT_SEQ).scalar_one())


_listed = sa.func.json_each(sa.bindparam("wanted")).table_valued("value", "key", name="listed")
"""The parameter `wanted`, made by `as_json`, as a table with the columns ``value`` and ``key`` (the position)."""
_BY_ID = sa.select(documents).join(_listed, documents.c.id == _listed.c.value)
_KEYS = sa.select(documents.c.id, documents.c.key).join(_listed, documents.c.id == _listed.c.value)
_FACTS = (
    sa.select(
        documents.c.key,
        documents.c.id,
        sa.func.coalesce(access.c.hits, 0),
        sa.func.coalesce(access.c.failures, 0),
        documents.c.updated_at,
        documents.c.metadata,
        sa.func.length(documents.c.text),
    )
    .outerjoin_from(documents, access)
    .order_by(documents.c.key)
)


class SqliteDocuments:
    """The documents of a collection in a database; see `revector.backends.contracts.Documents`.

    Parameters
    ----------
    database : Database
        The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist."""
        return self.put(checked_documents(ids, texts, metadata))

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Insert or change documents that were checked."""
        if not documents:
            return []
        now = time.time()
        rows = [
            {"id": new.id, "text": new.text, "hash": new.content_hash, "now": now, "metadata": new.metadata_json}
            for new in documents
        ]
        with self._database.transaction() as connection:
            connection.exec_driver_sql(_UPSERT, rows)
            return _in_order(connection, [new.id for new in documents])

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Do nothing: whatever was checked can be stored."""

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their vectors of every generation; return their keys."""
        wanted = checked_ids(ids, ordered=False)
        with self._database.transaction() as connection:
            by_id = _keys(connection, wanted)
            _require_known(wanted, by_id)
            keys = list(dict.fromkeys(by_id[id_] for id_ in wanted))
            if keys:
                parameters = {"keys": as_json(keys), "seq": next_seq(connection)}
                connection.exec_driver_sql(_BURY, parameters)
                connection.exec_driver_sql(_DELETE, {"keys": parameters["keys"]})
            return keys

    def by_id(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents in the order of `ids`."""
        wanted = checked_ids(ids)
        with self._database.snapshot() as connection:
            return _in_order(connection, wanted)

    def by_key(self, keys: Keys) -> list[Document]:
        """Return those of the documents that exist, in the order of `keys`."""
        with self._database.snapshot() as connection:
            found = driver_of(connection).execute(_BY_KEY, {"keys": as_json(keys)}).fetchall()
        return [Document(id_, text, json.loads(metadata), *rest) for id_, text, metadata, *rest in found]

    def texts(self, keys: Keys, template: Template | None = None) -> dict[int, tuple[str, str]]:
        """Return content hash and text by key of those documents that exist."""
        if template is not None:
            return {d.key: (d.content_hash, template.render(d.text, d.metadata)) for d in self.by_key(keys)}
        with self._database.snapshot() as connection:
            found = driver_of(connection).execute(_TEXTS, {"keys": as_json(keys)}).fetchall()
        return {key: (hash_, text) for key, hash_, text in found}

    def scan(self, batch: int = 1024) -> Iterator[list[Document]]:
        """Yield all documents in the order of their keys."""
        key = 0
        while True:
            query = sa.select(documents).where(documents.c.key > key).order_by(documents.c.key).limit(batch)
            with self._database.snapshot() as connection:
                found = [_document(row) for row in connection.execute(query)]
            if not found:
                return
            yield found
            key = found[-1].key

    def ids(self, batch: int = 10_000) -> Iterator[str]:
        """Yield all ids in the order of their keys."""
        key = 0
        while True:
            with self._database.snapshot() as connection:
                found = connection.exec_driver_sql(_IDS, {"after": key, "batch": batch}).all()
            if not found:
                return
            yield from (row.id for row in found)
            key = found[-1].key

    def keys(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of those of the documents that exist, by id."""
        with self._database.snapshot() as connection:
            return _keys(connection, checked_ids(ids, ordered=False))

    def next_key(self, after: int) -> int | None:
        """Return the lowest key above `after`, or ``None``."""
        with self._database.snapshot() as connection:
            key: int | None = connection.exec_driver_sql(_NEXT_KEY, (after,)).scalar()
        return key

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` documents at random, or of all if they are fewer."""
        with self._database.snapshot() as connection:
            return drawn(connection, _POPULATION, n, seed)

    def count(self) -> int:
        """Count the documents."""
        with self._database.snapshot() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(documents)) or 0

    def content_hashes(self, keys: Keys) -> dict[int, str]:
        """Return the hash of the present text by key."""
        with self._database.snapshot() as connection:
            found = connection.exec_driver_sql(_HASHES, {"keys": as_json(keys)})
            return {row.key: row.content_hash for row in found}

    def record_access(self, keys: Keys, *, failed: bool = False) -> None:
        """Count one more search that returned each document; keys that do not exist are left out."""
        with self._database.transaction() as connection:
            connection.exec_driver_sql(_COUNT, {"keys": as_json(keys), "failed": int(failed)})

    def hit_counts(self) -> list[tuple[int, int]]:
        """Return how often documents were returned, and how many documents that often; the most first."""
        with self._database.snapshot() as connection:
            return [(row.hits, row.n) for row in connection.exec_driver_sql(_HIT_COUNTS)]

    def facts(self, after: int = 0, limit: int = 1024) -> list[DocumentFacts]:
        """Return what priorities are computed from, of the next documents above a key."""
        query = _FACTS.where(documents.c.key > after).limit(limit)
        with self._database.snapshot() as connection:
            return [DocumentFacts(*row) for row in connection.execute(query)]

    def metadata(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the metadata by id of those documents that exist."""
        with self._database.snapshot() as connection:
            return {row.id: row.metadata for row in connection.execute(_BY_ID, {"wanted": as_json(ids)})}

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Call what documents hold by other hashes, in the vectors that were computed from it as well."""
        rows = [{"key": key, "present": present, "new": new} for key, present, new in hashes]
        if not rows:
            return
        with self._database.transaction() as connection:
            connection.exec_driver_sql(_REHASH_VECTORS, rows)
            connection.exec_driver_sql(_REHASH, rows)

    def matching(self, where: Where, keys: Keys) -> NDArray[np.int64]:
        """Return those of `keys` whose documents match a filter, each once."""
        return self._matching(_MATCHING, where, keys=as_json(keys))

    def matching_keys(self, where: Where, limit: int) -> NDArray[np.int64]:
        """Return the keys of the documents that match a filter, `limit` of them where there are more.

        Looks at every document, unless the filter asks for a field that has an index of the user's own, such as
        ``CREATE INDEX by_tenant ON documents (json_extract(metadata, '$.tenant'))``.
        """
        return self._matching(_MATCHING_KEYS, where, limit=limit)

    def _matching(self, statement: str, where: Where, **parameters: Any) -> NDArray[np.int64]:
        condition, values = translate(where)
        with self._database.snapshot() as connection:
            found = connection.exec_driver_sql(statement.format(condition=condition), {**parameters, **values})
            return np.sort(np.fromiter(found.scalars(), dtype=np.int64))


def _in_order(connection: Connection, ids: Sequence[str]) -> list[Document]:
    by_id = {row.id: _document(row) for row in connection.execute(_BY_ID, {"wanted": as_json(ids)})}
    _require_known(ids, by_id)
    return [by_id[id_] for id_ in ids]


def _keys(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    return {row.id: row.key for row in connection.execute(_KEYS, {"wanted": as_json(ids)})}


def _require_known(ids: Sequence[str], known: Mapping[str, object]) -> None:
    if unknown := tuple(id_ for id_ in ids if id_ not in known):
        raise UnknownDocumentError(unknown)


def _document(row: Row[Any]) -> Document:
    return Document(row.id, row.text, row.metadata, row.content_hash, row.updated_at, row.key)
