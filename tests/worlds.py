"""Small collections for the tests of stores, migrations and faults, and where they are."""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from postgres_server import places_on_server
from revector.backends.arguments import checked_documents
from revector.backends.contracts import Backend
from revector.backends.opening import open_backend
from revector.encoders.at_hand import EncoderSet
from revector.ledger.jobs import JobRequest
from revector.migration.filling.bridge import MAX_PAIRS
from revector.migration.migration import Migration
from revector.migration.serving import ServingReader
from revector.migration.writes import delete_documents, write_documents
from revector.testing import HashEncoder
from revector.testing.memory import MemoryVectorStore, forget
from store_places import STORE_PLACES

ALIAS = "live"


class InMemory(str):
    """A folder of places in memory: `/` leads to one, as with a path."""

    __slots__ = ()

    def __truediv__(self, name):
        return InMemory(f"{self}/{name}")

    def clear(self):
        """Let go of what the tests have made there."""
        forget(self)


class Beside:
    """A folder of places whose points are in memory, and whose ledgers are files in it."""

    def __init__(self, folder):
        self._folder = folder

    def __truediv__(self, name):
        return f"memory-beside://{self._folder}/{name}?ledger={self._folder}/{name}#docs"

    def clear(self):
        """Let go of the points that the tests have made there."""
        MemoryVectorStore.forget(f"memory-beside://{self._folder}/")


PLACES = {
    "sqlite": lambda folder: folder,
    "memory": lambda folder: InMemory(f"memory://{folder}"),
    "memory-beside": Beside,
    "memory-apart": lambda folder: InMemory(f"memory-apart://{folder}"),
    "postgres": places_on_server,
    **STORE_PLACES,
}
"""A folder for each kind of backend: ``PLACES[kind](tmp_path) / "docs.db"`` is a place that `open_backend` opens."""
_ASKED = tuple(os.environ.get("REVECTOR_TEST_KINDS", "").split())
KINDS = _ASKED or ("sqlite", "memory", "postgres")
"""The kinds that behaviour is tested on."""
ALL_KINDS = _ASKED or (*KINDS, "memory-beside")
"""With the one whose ledger does not commit together with its points, for what that might change."""
SHARED_KINDS = tuple(kind for kind in KINDS if kind != "memory")
"""Those that several processes have in common."""


@contextmanager
def places_of(kind, folder):
    """Yield where the collections of a test are, and leave nothing of them; the folder is the test's own."""
    places = PLACES[kind](folder)
    yield places
    if not isinstance(places, Path):
        places.clear()


class AskedInsideError(BaseException):
    """Not an `Exception`: nobody may take it for the failure of a text."""


class OutsideEncoder(HashEncoder):
    """Refuses to be asked anything by a thread that is inside a transaction or snapshot of a database of the tests.

    A service may be slow to answer, and nobody else could write, or shorten the log, meanwhile.
    """

    databases: ClassVar = weakref.WeakSet()

    @property
    def space(self):
        self._require_no_transaction()
        return self._space

    @space.setter
    def space(self, space):
        self._space = space

    def encode(self, texts, *, kind="document"):
        self._require_no_transaction()
        return super().encode(texts, kind=kind)

    def _require_no_transaction(self):
        if any(database.in_transaction for database in self.databases):
            raise AskedInsideError(self._space.model)


OLD, NEW = OutsideEncoder(8, seed=1, name="old"), OutsideEncoder(12, seed=2, name="new")


def count_verifier(backend, source_generation, target_generation, encoder, *, sample, seed, known_failures):
    """Trust every vector of the right text; the real verifier has tests of its own."""
    stale = backend.generations.count_stale(target_generation) - known_failures
    return SimpleNamespace(passed=not stale, reasons=("stale",) * bool(stale), details={"stale": stale})


def no_map(backend, source_generation, target_generation):
    """Fit nothing; the real map has tests of its own."""
    return MAX_PAIRS


def rounding(backend):
    """By how much a number that is stored may be off: some stores of vectors bring them to length 1 anew."""
    return 1e-6 if hasattr(backend, "store") else 0.0


@dataclass
class World:
    """A collection that is served in the old space."""

    backend: Backend
    encoders: EncoderSet = field(default_factory=lambda: EncoderSet([OLD, NEW]))

    @classmethod
    def create(cls, place, documents=0):
        world = cls.open(place)
        generation = world.backend.generations.create(OLD.space, None)
        world.backend.generations.create_alias(ALIAS, generation.id)
        world.write({f"d{place}": f"text number {place}" for place in range(documents)})
        return world

    @classmethod
    def open(cls, place):
        backend = open_backend(place)
        OutsideEncoder.databases.add(backend.database)
        return cls(backend)

    def write(self, texts, encoders=(OLD, NEW)):
        """Write texts by id, embedded for the live generations whose encoders are given."""
        documents = checked_documents(texts.keys(), texts.values())
        by_space = {encoder.space.fingerprint: encoder for encoder in encoders}
        vectors = {}
        for generation in ServingReader(self.backend).read().live:
            encoder = by_space.get(generation.space.fingerprint)
            if encoder is not None:
                rows = encoder.encode(list(texts.values()))
                vectors[generation.id] = dict(zip((new.content_hash for new in documents), rows, strict=True))
        return write_documents(self.backend, documents, vectors)

    def delete(self, *ids):
        return delete_documents(self.backend, ids)

    def plan(self, encoder=NEW, **options):
        options = {"verifier": count_verifier, "fit": no_map, **options}
        return Migration.plan(self.backend, encoder, encoders=self.encoders, **options)

    def active(self, encoders=None, **options):
        options = {"verifier": count_verifier, "fit": no_map, **options}
        return Migration.active(self.backend, encoders or self.encoders, **options)

    def migration(self, id_):
        return Migration(self.backend, id_, self.encoders, verifier=count_verifier, fit=no_map)

    def started(self, **options):
        migration = self.plan(**options)
        migration.start()
        return migration

    def proving(self, **options):
        migration = self.started(**options)
        migration.run()
        return migration

    def serving(self, **options):
        migration = self.proving(**options)
        migration.verify()
        migration.cutover()
        return migration

    def queue(self, *texts, priority=4):
        """Write texts without vectors, in a new generation of the new space with a job for each; return its id."""
        documents = self.backend.documents.upsert([f"q{place}" for place in range(len(texts))], texts)
        generation = self.backend.generations.create(NEW.space, None).id
        self.backend.ledger.jobs.enqueue(generation, [JobRequest(d.key, d.content_hash, priority) for d in documents])
        return generation

    @property
    def served(self):
        return self.backend.generations.alias(ALIAS).generation

    def vectors(self, generation):
        """All vectors of a generation by document id."""
        with self.backend.snapshot():
            names = {d.key: d.id for batch in self.backend.documents.scan() for d in batch}
            return {
                names[key]: vector
                for keys, matrix in self.backend.generations.scan(generation)
                for key, vector in zip(keys.tolist(), matrix, strict=True)
            }

    def assert_exact(self, generation, encoder):
        """Every live document has exactly one vector, that of its present text; nobody else has one."""
        with self.backend.snapshot():
            texts = {d.id: d.text for batch in self.backend.documents.scan() for d in batch}
            found = self.vectors(generation)
            assert self.backend.generations.count_stale(generation) == 0
            assert self.backend.generations.count(generation) == len(texts)
        assert found.keys() == texts.keys()
        if texts:
            expected = encoder.encode(list(texts.values()))
            np.testing.assert_allclose(
                np.array([found[id_] for id_ in texts]), expected, rtol=0, atol=rounding(self.backend)
            )

    def close(self):
        self.backend.close()


def left_of(docs):
    """Return what a trial beside what serves could have left: generations, its note, events."""
    backend = docs._backend
    generations = [(each.id, backend.generations.count(each.id)) for each in backend.generations.all()]
    return generations, backend.ledger.notes.get("rehearsal"), docs.events()
