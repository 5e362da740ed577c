"""Documents of a collection in PostgreSQL, and how often searches return them.

Transactions run beside each other, and must not wait for one another both. So whatever locks documents does so in the
order of their ids, which is known of new ones too, and locks all of them before it writes what belongs to them, in the
order of their keys. ``FOR KEY SHARE`` keeps out deletion, ``FOR SHARE`` changes as well, ``FOR UPDATE`` everybody but
readers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from revector.backends.arguments import checked_documents, checked_ids
from revector.backends.contracts import Document, DocumentFacts, Keys, NewDocument
from revector.backends.filters import Where
from revector.backends.postgres.binary import KeyArray
from revector.backends.postgres.database import PostgresDatabase, driver_of, on_one_core
from revector.backends.postgres.filters import translate
from revector.backends.postgres.sampling import drawn
from revector.backends.postgres.schema import DOCUMENTS, vectors_table
from revector.backends.postgres.values import exact_json, known_ids, require_storable
from revector.backends.sampling import Population
from revector.errors import UnknownDocumentError
from revector.spaces import Template

_NEW_KEY = "nextval(pg_get_serial_sequence('documents', 'key'))"
# One row after the other, a document is looked up and locked, then inserted or changed. Known ones take no new key, and
# are not written where they say the same already: that would be a new version of the row. New keys follow the order of
# the call. What others insert or delete between the two steps is seen in the second one.
_WRITE = f"""
INSERT INTO documents (key, id, content_hash, updated_at, metadata, text) OVERRIDING SYSTEM VALUE
SELECT coalesce(known.key, new.key, {_NEW_KEY}),
    new.id, hash, %(now)s::float8, coalesce(new.metadata, known.metadata, '{{}}'), text
FROM (
    SELECT * FROM (
        SELECT CASE WHEN (SELECT key FROM documents WHERE documents.id = given.id) IS NULL THEN {_NEW_KEY} END AS key,
            id, hash, metadata::jsonb, text
        FROM unnest(%(ids)b::text[], %(hashes)b::text[], %(metadata)b::text[], %(texts)b::text[])
            WITH ORDINALITY AS given (id, hash, metadata, text, place)
        ORDER BY place
    ) AS keyed ORDER BY id COLLATE "C"
) AS new
LEFT JOIN LATERAL (
    SELECT key, content_hash, metadata FROM documents WHERE documents.id = new.id FOR NO KEY UPDATE
) AS known ON true
WHERE (content_hash = hash AND known.metadata = coalesce(new.metadata, known.metadata)) IS NOT TRUE
ON CONFLICT (id) DO UPDATE SET
    updated_at = CASE WHEN documents.content_hash = excluded.content_hash
        THEN documents.updated_at ELSE excluded.updated_at END,
    content_hash = excluded.content_hash, text = excluded.text,
    metadata = CASE WHEN documents.key <> excluded.key AND excluded.id = ANY(%(keeping)b::text[])
        THEN documents.metadata ELSE excluded.metadata END
RETURNING id, key, updated_at, metadata
"""
_WRITTEN = "SELECT id, key, updated_at, metadata FROM documents WHERE id = ANY(%(ids)b::text[])"
_LOCK = 'SELECT id, key FROM documents WHERE id = ANY(%(ids)b::text[]) ORDER BY id COLLATE "C" FOR UPDATE'
_GENERATIONS = "SELECT id FROM generations WHERE NOT dropped ORDER BY id FOR SHARE"  # nor are they dropped meanwhile
_DELETE_VECTORS = "DELETE FROM {vectors} WHERE document_key = ANY(%(keys)s)"
_DELETE = "DELETE FROM documents WHERE key = ANY(%(keys)s)"
_COUNT = """
INSERT INTO access (document_key, hits, failures)
SELECT key, n, n * %(failed)s
FROM (SELECT key, count(*) AS n FROM unnest(%(keys)s) AS given (key) GROUP BY key) AS listed JOIN {table} USING (key)
ORDER BY {order} FOR KEY SHARE OF {table} {others}
ON CONFLICT (document_key) DO UPDATE SET
    hits = access.hits + excluded.hits, failures = access.failures + excluded.failures
"""
_REHASH = """
WITH held AS MATERIALIZED (
    SELECT key, new FROM unnest(%(keys)s, %(present)b::text[], %(new)b::text[]) AS given (key, present, new)
    JOIN documents USING (key) WHERE content_hash = present ORDER BY id COLLATE "C" FOR UPDATE OF documents
)
UPDATE documents SET content_hash = held.new FROM held WHERE documents.key = held.key RETURNING documents.key
"""
_REHASH_VECTORS = """
UPDATE {vectors} AS stored SET content_hash = given.new
FROM unnest(%(keys)s, %(present)b::text[], %(new)b::text[]) AS given (key, present, new)
WHERE document_key = given.key AND stored.content_hash = given.present AND given.key = ANY(%(changed)s)
"""
_DOCUMENT = "SELECT id, text, metadata, content_hash, updated_at, documents.key FROM documents"
_BY_ID = f"{_DOCUMENT} WHERE id = ANY(%(ids)b::text[])"
_BY_KEY = f"{_DOCUMENT} JOIN unnest(%(keys)s) WITH ORDINALITY AS listed (key, place) USING (key) ORDER BY place"
_SCAN = f"{_DOCUMENT} WHERE key > %(after)s ORDER BY key LIMIT %(batch)s"
_TEXTS = "SELECT key, content_hash, text FROM documents WHERE key = ANY(%(keys)s)"
_IDS = "SELECT key, id FROM documents WHERE key > %(after)s ORDER BY key LIMIT %(batch)s"
_KEYS = "SELECT id, key FROM documents WHERE id = ANY(%(ids)b::text[])"
# Not min(key), which no index answers where documents are a view.
_NEXT_KEY = "SELECT (SELECT key FROM documents WHERE key > %(after)s ORDER BY key LIMIT 1)"
_HASHES = "SELECT key, content_hash FROM documents WHERE key = ANY(%(keys)s) ORDER BY key"
_METADATA = "SELECT id, metadata FROM documents WHERE id = ANY(%(ids)b::text[])"
_HIT_COUNTS = "SELECT hits, count(*) FROM access WHERE hits > 0 GROUP BY hits ORDER BY hits DESC"
_FACTS = """
SELECT key, id, coalesce(hits, 0), coalesce(failures, 0), updated_at, metadata, length(text)
FROM documents LEFT JOIN access ON document_key = key WHERE key > %(after)s ORDER BY key LIMIT %(limit)s
"""
_MATCHING = "SELECT key FROM documents WHERE key = ANY(%(keys)s) AND {condition}"
_MATCHING_KEYS = "SELECT key FROM documents WHERE {condition} LIMIT %(limit)s"
_POPULATION = Population(
    size="SELECT count(*) FROM documents",
    keys="SELECT key FROM documents",
    among="SELECT key FROM documents WHERE key = ANY(%(keys)s)",
)


class PostgresDocuments:
    """The documents of a collection in a database; see `revector.backends.contracts.Documents`.

    Parameters
    ----------
    database : PostgresDatabase
        The collection.
    """

    held = DOCUMENTS
    """What is locked where accesses are counted."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist."""
        return self.put(checked_documents(ids, texts, metadata))

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Insert or change documents that were checked."""
        self.require_storable(documents)
        with self._database.transaction() as connection:
            written = _written(driver_of(connection), documents)
        found = []
        for new in documents:
            key, updated_at, metadata = written[new.id]
            found.append(Document(new.id, new.text, metadata, new.content_hash, updated_at, key))
        return found

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Raise `InvalidArgumentError` where a document holds NUL, or its id is longer than an index takes."""
        for new in documents:
            require_storable(new)

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their vectors of every generation; return their keys."""
        wanted = checked_ids(ids, ordered=False)
        with self._database.transaction() as connection:
            driver = driver_of(connection)
            by_id = dict(driver.execute(_LOCK, {"ids": known_ids(wanted)}))
            _require_known(wanted, by_id)
            keys = list(dict.fromkeys(by_id[id_] for id_ in wanted))
            if keys:
                parameters = {"keys": KeyArray(keys)}
                _in_every_generation(driver, _DELETE_VECTORS, parameters)
                driver.execute(_DELETE, parameters)
            return keys

    def by_id(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents in the order of `ids`."""
        wanted = checked_ids(ids)
        by_id = {document.id: document for document in self._documents(_BY_ID, ids=known_ids(wanted))}
        _require_known(wanted, by_id)
        return [by_id[id_] for id_ in wanted]

    def by_key(self, keys: Keys) -> list[Document]:
        """Return those of the documents that exist, in the order of `keys`."""
        return self._documents(_BY_KEY, keys=KeyArray(keys))

    def texts(self, keys: Keys, template: Template | None = None) -> dict[int, tuple[str, str]]:
        """Return content hash and text by key of those documents that exist."""
        if template is not None:
            return {d.key: (d.content_hash, template.render(d.text, d.metadata)) for d in self.by_key(keys)}
        return {key: (hash_, text) for key, hash_, text in self._rows(_TEXTS, keys=KeyArray(keys))}

    def scan(self, batch: int = 1024) -> Iterator[list[Document]]:
        """Yield all documents in the order of their keys."""
        key = 0
        while found := self._documents(_SCAN, after=key, batch=batch):
            yield found
            key = found[-1].key

    def ids(self, batch: int = 10_000) -> Iterator[str]:
        """Yield all ids in the order of their keys."""
        key = 0
        while found := self._rows(_IDS, after=key, batch=batch):
            yield from (id_ for _, id_ in found)
            key = found[-1][0]

    def keys(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of those of the documents that exist, by id."""
        return dict(self._rows(_KEYS, ids=known_ids(checked_ids(ids, ordered=False))))

    def next_key(self, after: int) -> int | None:
        """Return the lowest key above `after`, or ``None``."""
        ((key,),) = self._rows(_NEXT_KEY, after=after)
        return None if key is None else int(key)

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` documents at random, or of all if they are fewer."""
        with self._database.snapshot() as connection:
            return drawn(connection, _POPULATION, n, seed)

    def count(self) -> int:
        """Count the documents."""
        with self._database.snapshot() as connection:
            (count,) = on_one_core(connection).execute(_POPULATION.size).fetchone()
        return int(count)

    def content_hashes(self, keys: Keys) -> dict[int, str]:
        """Return the hash of the present text by key."""
        return dict(self._rows(_HASHES, keys=KeyArray(keys)))

    def record_access(self, keys: Keys, *, failed: bool = False) -> None:
        """Count one more search that returned each document; keys that do not exist are left out."""
        with self._database.transaction() as connection:
            driver_of(connection).execute(self.held.said(_COUNT), {"keys": KeyArray(keys), "failed": int(failed)})

    def hit_counts(self) -> list[tuple[int, int]]:
        """Return how often documents were returned, and how many documents that often; the most first."""
        return self._rows(_HIT_COUNTS)

    def facts(self, after: int = 0, limit: int = 1024) -> list[DocumentFacts]:
        """Return what priorities are computed from, of the next documents above a key."""
        return [DocumentFacts(*row) for row in self._rows(_FACTS, after=after, limit=limit)]

    def metadata(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the metadata by id of those documents that exist."""
        return dict(self._rows(_METADATA, ids=known_ids(ids)))

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Call what documents hold by other hashes, in the vectors that were computed from it as well."""
        if not hashes:
            return
        keys, present, new = map(list, zip(*hashes, strict=True))
        parameters = {"keys": KeyArray(keys), "present": present, "new": new}
        with self._database.transaction() as connection:
            driver = driver_of(connection)
            changed = KeyArray([key for (key,) in driver.execute(_REHASH, parameters)])
            _in_every_generation(driver, _REHASH_VECTORS, {**parameters, "changed": changed})

    def matching(self, where: Where, keys: Keys) -> NDArray[np.int64]:
        """Return those of `keys` whose documents match a filter, each once."""
        return self._matching(_MATCHING, where, keys=KeyArray(keys))

    def matching_keys(self, where: Where, limit: int) -> NDArray[np.int64]:
        """Return the keys of the documents that match a filter, `limit` of them where there are more.

        Looks at every document, unless the filter asks for a field that has an index of the user's own, such as
        ``CREATE INDEX by_tenant ON documents ((metadata -> 'tenant'))``.
        """
        return self._matching(_MATCHING_KEYS, where, limit=limit)

    def _matching(self, statement: str, where: Where, **parameters: Any) -> NDArray[np.int64]:
        condition, values = translate(where)
        found = self._rows(statement.format(condition=condition), **parameters, **values)
        return np.sort(np.array([key for (key,) in found], dtype=np.int64))

    def _documents(self, statement: str, **parameters: Any) -> list[Document]:
        return [Document(*row) for row in self._rows(statement, **parameters)]

    def _rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self._database.snapshot() as connection:
            found: list[Any] = driver_of(connection).execute(statement, parameters).fetchall()
        return found


def _written(driver: psycopg.Connection[Any], documents: Sequence[NewDocument]) -> dict[str, tuple[Any, ...]]:
    """Insert or change documents; return key, time and metadata by id."""
    given = {
        "ids": [new.id for new in documents],
        "hashes": [new.content_hash for new in documents],
        "metadata": [new.metadata_json and exact_json(new.metadata_json) for new in documents],
        "texts": [new.text for new in documents],
        "keeping": [new.id for new in documents if new.metadata_json is None],
        "now": time.time(),
    }
    written = {id_: stored for id_, *stored in driver.execute(_WRITE, given)}
    if same := [new.id for new in documents if new.id not in written]:
        written |= {id_: stored for id_, *stored in driver.execute(_WRITTEN, {"ids": same})}
    return written


def _in_every_generation(driver: psycopg.Connection[Any], statement: str, parameters: Mapping[str, Any]) -> None:
    for (generation,) in driver.execute(_GENERATIONS).fetchall():
        driver.execute(sql.SQL(statement).format(vectors=vectors_table(generation)), parameters)


def _require_known(ids: Sequence[str], known: Mapping[str, object]) -> None:
    if unknown := tuple(id_ for id_ in ids if id_ not in known):
        raise UnknownDocumentError(unknown)
