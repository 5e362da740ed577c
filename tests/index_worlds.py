"""A generation of vectors and its index, small enough that a few hundred vectors make several graphs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from revector.backends.local_index import builder, following
from revector.backends.local_index.local import LocalIndex
from revector.backends.sqlite import SqliteBackend
from revector.index import HnswSnapshot
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder

DIMENSION = 16
SECONDS = 20.0


def small_graphs(monkeypatch, rest_limit=64):
    """Let graphs be built of few vectors."""
    monkeypatch.setattr(builder, "REST_LIMIT", rest_limit)
    monkeypatch.setattr(builder, "SCAN_LIMIT", 8)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.05)


def forbid_building(monkeypatch):
    """Let every attempt to build a graph fail the test that made it."""

    def never(*_, **__):
        raise AssertionError("a graph was built")

    monkeypatch.setattr(HnswSnapshot, "build", never)


class BuildsHeldUp:
    """Builds that begin and do not end before they are let go."""

    def __init__(self, monkeypatch):
        self.begun, self._go, build = threading.Event(), threading.Event(), HnswSnapshot.build

        def slowly(*args, progress, **options):
            self.begun.set()
            while not self._go.wait(0.02):
                progress(0.5)
            return build(*args, progress=progress, **options)

        monkeypatch.setattr(HnswSnapshot, "build", slowly)

    def let_go(self):
        self._go.set()


def graph_files(folder: Path):
    """The names of the files of graphs."""
    return sorted(file.name for file in folder.glob("*.graph"))


class IndexWorld:
    """A backend with one generation of random vectors, and its index."""

    def __init__(self, path: Path, *, metric="cosine", seed=0):
        self.path = path
        self.backend = SqliteBackend.open(path / "docs.db")
        self.folder = path / "docs.db.index"
        space = HashEncoder(DIMENSION).space
        self.space = EmbeddingSpace.from_json({**space.to_json(), "metric": metric})
        self.generation = self.backend.generations.create(self.space, None)
        self.random = np.random.default_rng(seed)
        self.live: dict[int, np.ndarray] = {}
        self.index: LocalIndex = self.backend.index

    def put(self, ids, generation=None):
        """Give documents a new text and a new vector; return their keys."""
        texts = [f"{id_} {self.random.integers(1 << 60)}" for id_ in ids]
        documents = self.backend.documents.upsert(list(ids), texts)
        vectors = self.random.standard_normal((len(texts), DIMENSION))
        lengths = self.random.uniform(0.5, 2.0, (len(texts), 1)) if self.space.metric == "cosine" else 1.0
        vectors = (lengths * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        keys, hashes = [document.key for document in documents], [document.content_hash for document in documents]
        self.backend.generations.put((generation or self.generation).id, keys, hashes, vectors)
        if generation is None:
            self.live.update(zip(keys, vectors, strict=True))
        return keys

    def put_many(self, name, n):
        return self.put([f"{name}{i}" for i in range(n)])

    def delete(self, ids):
        for key in self.backend.documents.delete(ids):
            del self.live[key]

    def find(self, key, k=1, index=None):
        """Search for the vector of a key."""
        return (index or self.index).search(self.generation, self.live[key][None], k)[1][0].tolist()

    def settle(self, index=None):
        """Let the index follow until it has nothing to build any more."""
        index = index or self.index
        for _ in range(100):
            of = index.of(self.generation)
            of._not_before = 0.0
            index.search(self.generation, np.ones((1, DIMENSION), np.float32), 1)
            thread = of._thread
            if thread is None:
                return self.view(index)
            thread.join(SECONDS)
        raise AssertionError("the index does not settle")

    def wait(self, index=None):
        """Wait for what the index does in the background, if it does."""
        thread = (index or self.index).of(self.generation)._thread
        if thread is not None:
            thread.join(SECONDS)

    def view(self, index=None):
        """What the index holds in this process."""
        return (index or self.index).of(self.generation)._current.held

    def exact(self, queries, k):
        """The keys that exact search finds."""
        keys = np.array(list(self.live), np.int64)
        vectors = np.stack(list(self.live.values()))
        if self.space.metric == "cosine":
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return keys[np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]]

    def recall(self, k=10, queries=50, index=None):
        asked = self.random.standard_normal((queries, DIMENSION)).astype(np.float32)
        _, found = (index or self.index).search(self.generation, asked, k)
        return np.mean(
            [len(set(f) & set(e)) / k for f, e in zip(found.tolist(), self.exact(asked, k).tolist(), strict=True)]
        )
