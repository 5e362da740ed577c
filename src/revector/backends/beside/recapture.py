"""Taking in what others write to a store unseen: a pass over the points, a slice at a time.

A store of vectors has no triggers. So a pass reads the payloads of the collections that readers, and hence writers, are
or were sent to, and holds them against the ledger: points that are new, have another text or other fields, or are gone.
Whatever differs is read again while the ledger is locked: no write of revector's own is taken for one of others.

Of a collection that serves no more, only what was written there last counts: where its point was that of the present
text, and is not any more.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.engine import Connection

from revector._forks import renew_in_child
from revector.backends.beside.generations import SERVED
from revector.backends.beside.points import UNSURE, Points
from revector.backends.beside.source import Source
from revector.backends.contracts import ALIAS, NewDocument
from revector.backends.contracts.order import PRIORITY_UPDATED
from revector.backends.sqlite.sampling import as_json
from revector.ledger.jobs import JobRequest

if TYPE_CHECKING:
    from revector.backends.beside.backend import BesideBackend

POINTS_A_SLICE = 500
REST_SHARE = 9.0
"""After a pass, nothing is looked through for so many times what it took: a tenth of the time goes into it."""

_WITH_ROWS = """
SELECT documents.id, documents.key, text, metadata, vectors.content_hash = documents.content_hash
FROM json_each(:ids) AS wanted CROSS JOIN documents ON documents.id = wanted.value
LEFT JOIN vectors ON vectors.document_key = documents.key AND vectors.generation = :generation
"""
_HELD = """
SELECT documents.id, documents.key, vectors.content_hash = documents.content_hash
FROM vectors JOIN documents ON documents.key = vectors.document_key
WHERE vectors.document_key > :after AND +vectors.generation = :generation ORDER BY document_key LIMIT :batch
"""
_DOUBT = """
UPDATE vectors SET content_hash = :unsure
WHERE generation = :generation AND document_key IN (SELECT value FROM json_each(:keys))
"""


class _Known(NamedTuple):
    """What the ledger says of a point: `current` is none where it knows no vector."""

    key: int
    text: str
    metadata: dict[str, Any]
    current: bool | None


class Recapture:
    """The passes of one process. Safe to share between threads.

    Parameters
    ----------
    backend : BesideBackend
    points : Points
    """

    def __init__(self, backend: BesideBackend, points: Points) -> None:
        self._backend, self._points = backend, points
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pass: Iterator[None] | None = None
        self._began = self._next = 0.0

    def step(self, *, anew: bool) -> bool:
        """Look through a slice; tell whether there is more. What is not adopted is looked through only `anew`."""
        with self._lock:
            if anew:
                self._pass, self._began = self._slices(), time.monotonic()
            elif self._pass is None:
                if self._points.source is None or time.monotonic() < self._next:
                    return False
                self._pass, self._began = self._slices(), time.monotonic()
            try:
                next(self._pass)
            except StopIteration:
                self._pass, now = None, time.monotonic()
                self._next = now + REST_SHARE * (now - self._began)
                return False
            except BaseException:
                self._pass = None  # a pass that failed begins anew
                raise
            return True

    def _slices(self) -> Iterator[None]:
        """Go through everything; yield after each slice."""
        source, generations = self._points.source, self._backend.generations
        for generation in [known.id for known in generations.all()]:
            is_written = source is not None and self._backend.database.note(f"{SERVED}{generation}") is not None
            if source is not None and is_written:
                for page in self._points.store.scan(self._points.collection(generation), batch=POINTS_A_SLICE):
                    self._take_in(source, generation, page.ids, page.payloads)
                    yield
            yield from self._missing(generation, is_written=is_written)

    def _take_in(self, source: Source, generation: int, ids: Sequence[str], payloads: Sequence[dict[str, Any]]) -> None:
        """Take in those points of a page that the ledger knows otherwise."""
        if not self._differing(source, generation, ids, payloads):
            return
        with self._backend.database.transaction() as connection:
            page = self._points.store.read(self._points.collection(generation), ids)
            new = self._differing(source, generation, page.ids, page.payloads)
            if not new:
                return
            documents = self._backend.documents.take_in(new, seen_in=generation)
            keys = [document.key for document in documents]
            self._backend.generations.note(connection, generation, keys)
            self._ask({document.key: document.content_hash for document in documents})

    def _differing(
        self, source: Source, generation: int, ids: Sequence[str], payloads: Sequence[dict[str, Any]]
    ) -> list[NewDocument]:
        """Return those of some points that are new, or were changed here since the ledger heard of them."""
        known, serves = self._known(generation, ids), self._serves(generation)
        found = []
        for id_, payload in zip(ids, payloads, strict=True):
            new, before = source.document_of(id_, payload), known.get(id_)
            if before is not None and not (serves or before.current):
                continue
            is_same = before is not None and (new.text, json.loads(new.metadata_json or "{}")) == before[1:3]
            if not is_same or (serves and before is not None and before.current is None):
                found.append(new)
        return found

    def _missing(self, generation: int, *, is_written: bool) -> Iterator[None]:
        """Look for points that the ledger knows and the store has no longer; yield after each slice."""
        collection = self._points.collection(generation)
        if self._points.store.count(collection) == self._backend.generations.count(generation):
            return
        after = 0
        while True:
            with self._backend.database.snapshot() as connection:
                given = {"after": after, "generation": generation, "batch": POINTS_A_SLICE}
                held = connection.exec_driver_sql(_HELD, given).all()
            if not held:
                return
            after = held[-1][1]
            ids = {self._points.id_of(key, id_): (id_, key) for id_, key, _ in held}
            if gone := ids.keys() - set(self._points.store.read(collection, list(ids)).ids):
                self._settle({id_: ids[id_] for id_ in gone}, generation, is_written=is_written)
            yield

    def _settle(self, gone: dict[str, tuple[str, int]], generation: int, *, is_written: bool) -> None:
        """Delete documents that an application deleted; ask again for points that were lost elsewhere."""
        with self._backend.database.transaction() as connection:
            there = set(self._points.store.read(self._points.collection(generation), list(gone)).ids)
            left = {id_: key for point, (id_, key) in gone.items() if point not in there}
            known = self._known(generation, list(left))
            left = {id_: key for id_, key in left.items() if id_ in known}  # unless it was deleted meanwhile
            if is_written:
                doomed = [id_ for id_ in left if self._serves(generation) or known[id_].current]
                keys = self._backend.documents.let_go(doomed, missed_in=generation)
                self._backend.ledger.jobs.forget([each.id for each in self._backend.generations.all()], keys)
                left = {id_: key for id_, key in left.items() if id_ not in doomed}
            self._doubt(connection, generation, list(left.values()))

    def _doubt(self, connection: Connection, generation: int, keys: Sequence[int]) -> None:
        if keys:
            given = {"unsure": UNSURE, "generation": generation, "keys": as_json(keys)}
            connection.exec_driver_sql(_DOUBT, given)
            self._ask(self._backend.documents.content_hashes(keys), {generation})

    def _ask(self, hashes: dict[int, str], among: set[int] | None = None) -> None:
        """Ask for the vectors that documents lack in the generations that writes have to reach."""
        for generation in self._live() if among is None else self._live() & among:
            stale = self._backend.generations.stale_keys(generation, list(hashes)).tolist()
            requests = [JobRequest(key, hashes[key], PRIORITY_UPDATED) for key in stale]
            self._backend.ledger.jobs.enqueue(generation, requests)
            self._backend.ledger.jobs.settle(generation, hashes.keys() - set(stale))

    def _live(self) -> set[int]:
        """Return the generations that writes have to reach."""
        alias, record = self._backend.generations.alias(ALIAS), self._backend.ledger.active(ALIAS)
        named = {None if alias is None else alias.generation}
        named |= set() if record is None else {record.source_generation, record.target_generation}
        return {known.id for known in self._backend.generations.all()} & named

    def _serves(self, generation: int) -> bool:
        alias = self._backend.generations.alias(ALIAS)
        return alias is not None and alias.generation == generation

    def _known(self, generation: int, ids: Sequence[str]) -> dict[str, _Known]:
        with self._backend.database.snapshot() as connection:
            found = connection.exec_driver_sql(_WITH_ROWS, {"ids": as_json(ids), "generation": generation}).all()
        return {
            id_: _Known(key, text, json.loads(metadata), None if current is None else bool(current))
            for id_, key, text, metadata, current in found
        }
