"""The file of a generation's graph, and the sidecar that says which vectors it holds.

The points of a store are counters, which a restored backup rewinds and another history reaches again. So each file that
is saved has a random token, and the database names the one that belongs to it. A file with another token comes from
another history, or was about to be named when its process died: it is not trusted.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from revector._files import sha256_of, write_whole
from revector.backends.contracts import Backend, Generation
from revector.errors import CorruptIndexError
from revector.index import HnswIndex, MetricName

METRICS: dict[str, MetricName] = {"cosine": "cosine", "dot": "ip"}
"""What an index calls the metrics of spaces."""


class IndexedBackend(Backend, Protocol):
    """A backend whose indexes are files."""

    def index_token(self, generation: int) -> str | None:
        """Return the token of the index file that belongs to a generation, or ``None``."""
        ...

    def keep_index_token(self, generation: int, token: str) -> None:
        """Name the index file that belongs to a generation by its token."""
        ...


@dataclass(frozen=True)
class Sidecar:
    """Which vectors a file holds.

    Parameters
    ----------
    seq : int
        The point of the store it stands at.
    fingerprint : str
        Of the space.
    created_at : float
        Tells the generation from one of another database.
    count : int
        Vectors in the graph.
    grown : int
        How many were added, one after the other, since the graph was built.
    sha256 : str
        Of the file.
    token : str
        Renewed with each file; the database names that of its own. Earlier releases wrote none.
    built_because : str
        Why the graph was built although there was a file; empty if there was none.
    """

    seq: int
    fingerprint: str
    created_at: float
    count: int
    grown: int
    sha256: str
    token: str = ""
    built_because: str = ""


class IndexFile:
    """The two files of one generation.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    folder : Path
        Holds ``<generation>.hnsw`` and ``<generation>.json``.
    generation : Generation
        Whose graph.
    """

    def __init__(self, backend: IndexedBackend, folder: Path, generation: Generation) -> None:
        self._backend = backend
        self.path = folder / f"{generation.id}.hnsw"
        self._sidecar = folder / f"{generation.id}.json"
        self._generation = generation

    def sidecar(self) -> Sidecar | None:
        """Return what the file holds; ``None`` if it was never saved.

        Raises
        ------
        CorruptIndexError
            The files do not fit each other, the generation, or the backend.
        """
        if not self._sidecar.exists():
            return None
        with self._backend.snapshot():
            token, last_seq = self._backend.index_token(self._generation.id), self._backend.generations.last_seq()
        sidecar = self._read_sidecar()
        space, created_at = self._generation.space, self._generation.created_at
        if not self.path.exists():
            raise CorruptIndexError(f"{self.path} is missing")
        if (sidecar.fingerprint, sidecar.created_at) != (space.fingerprint, created_at):
            raise CorruptIndexError(f"{self.path} belongs to another generation")
        if not sidecar.token:
            raise CorruptIndexError(f"{self.path} was saved by an earlier release, which put no token into it")
        if sidecar.token != token:
            raise CorruptIndexError(
                f"{self.path} belongs to another history of the database: one of the two was restored from a backup, "
                "copied, or not completely written"
            )
        if sidecar.seq > last_seq:
            raise CorruptIndexError(f"{self.path} is at point {sidecar.seq}, the store only at {last_seq}")
        return sidecar

    def graph(self, sidecar: Sidecar) -> HnswIndex:
        """Read the graph; raise `CorruptIndexError` if it is not the one that the sidecar describes."""
        if sha256_of(self.path) != sidecar.sha256:
            raise CorruptIndexError(f"{self.path} is not the file that was saved (SHA-256 differs)")
        space = self._generation.space
        graph = HnswIndex.load(self.path, space.dimension, metric=METRICS[space.metric])
        if len(graph) != sidecar.count:
            raise CorruptIndexError(f"{self.path} holds {len(graph)} vectors, expected {sidecar.count}")
        return graph

    def save(self, graph: HnswIndex, seq: int, history: int, grown: int, built_because: str) -> bool:
        """Write graph and sidecar, and let the database name them; tell whether they are of its history.

        The write lock is held while the files are put into their places, not while they are written. A process that
        dies in between leaves files that the database does not name.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        space, created_at, token = self._generation.space, self._generation.created_at, secrets.token_hex(16)
        fresh = self.path.with_name(f"{self.path.name}.{token}.part")
        try:
            graph.save(fresh)
            sidecar = Sidecar(
                seq, space.fingerprint, created_at, len(graph), grown, sha256_of(fresh), token, built_because
            )
            with self._backend.transaction():
                if self._backend.history() != history or self._backend.generations.last_seq() < seq:
                    return False
                self._backend.keep_index_token(self._generation.id, token)
                fresh.replace(self.path)
                write_whole(self._sidecar, json.dumps(asdict(sidecar)).encode())
        finally:
            fresh.unlink(missing_ok=True)
        return True

    def _read_sidecar(self) -> Sidecar:
        try:
            return Sidecar(**json.loads(self._sidecar.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise CorruptIndexError(f"{self._sidecar} cannot be read ({error})") from error
