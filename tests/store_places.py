"""Where the collections of a test are in stores of vectors: a server of each for a whole run, or a folder of the test.

They take the place of the usual kinds where `REVECTOR_TEST_KINDS` says so (``make test-stores``).
"""

from __future__ import annotations

import atexit
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from chroma_server import ChromaServer, chroma_command
from milvus_server import MilvusServer
from postgres_server import short
from redis_server import RedisServer
from revector.backends.opening import kind_of


class InStore:
    """Places of one test: each name is a collection in a store, with its ledger in a file of the test's folder."""

    def __init__(self, url, folder):
        self._url, self._folder = url, folder
        self._mine = f"t{short(folder)}"

    def __truediv__(self, name):
        return f"{self._url}?ledger={self._folder}/{name}#{self._mine}_{name.replace('.', '_')}"

    def clear(self):
        """Let go of what the tests have made in a server; a folder of the test goes with it."""
        if str(self._folder) in self._url:
            return
        with closing(kind_of(self._url).connect(self._url)) as store:
            for name in store.names():
                if name.startswith(self._mine):
                    store.drop(name)


@cache
def _running(server):
    """Start a server that runs as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="revector-tests-")
    started = server(Path(folder.name))
    atexit.register(lambda: (started.kill(), folder.cleanup()))
    return started


def _chroma(folder):
    if chroma_command() is None:
        pytest.skip("there is no program 'chroma' (make test-stores installs it)")
    return InStore(_running(ChromaServer).url, folder)


STORE_PLACES = {
    "chroma": _chroma,
    "milvus": lambda folder: InStore(_running(MilvusServer).url(), folder),
    "redis": lambda folder: InStore(_running(RedisServer).url(), folder),
    "lancedb": lambda folder: InStore(f"lancedb://{folder}/tables", folder),
    "milvus-lite": lambda folder: InStore(f"milvus://{folder}/points.db", folder),
    "qdrant": lambda folder: InStore(f"qdrant://{folder}/points", folder),
}
"""As `worlds.PLACES`: a folder of places for each kind of store."""
