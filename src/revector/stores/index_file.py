"""The file of a generation's graph, and the sidecar that says which vectors it holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from revector._files import sha256_of, write_whole
from revector.errors import CorruptIndexError
from revector.index import HnswIndex, MetricName
from revector.stores.base import Generation

METRICS: dict[str, MetricName] = {"cosine": "cosine", "dot": "ip"}
"""What an index calls the metrics of spaces."""


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
    """

    seq: int
    fingerprint: str
    created_at: float
    count: int
    grown: int
    sha256: str


class IndexFile:
    """The two files of one generation.

    Parameters
    ----------
    folder : Path
        Holds ``<generation>.hnsw`` and ``<generation>.json``.
    generation : Generation
        Whose graph.
    """

    def __init__(self, folder: Path, generation: Generation) -> None:
        self.path = folder / f"{generation.id}.hnsw"
        self._sidecar = folder / f"{generation.id}.json"
        self._generation = generation

    def sidecar(self, last_seq: int) -> Sidecar | None:
        """Return what the file holds; ``None`` if it was never saved.

        Raises
        ------
        CorruptIndexError
            The files do not fit each other, the generation, or the store, which is at point `last_seq`.
        """
        if not self._sidecar.exists():
            return None
        sidecar = self._read_sidecar()
        space, created_at = self._generation.space, self._generation.created_at
        if not self.path.exists():
            raise CorruptIndexError(f"{self.path} is missing")
        if (sidecar.fingerprint, sidecar.created_at) != (space.fingerprint, created_at):
            raise CorruptIndexError(f"{self.path} belongs to another generation")
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

    def save(self, graph: HnswIndex, seq: int, grown: int) -> None:
        """Write graph and sidecar, each whole or not at all; a crash between them is found by the digest."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        graph.save(self.path)
        space, created_at = self._generation.space, self._generation.created_at
        sidecar = Sidecar(seq, space.fingerprint, created_at, len(graph), grown, sha256_of(self.path))
        write_whole(self._sidecar, json.dumps(asdict(sidecar)).encode())

    def _read_sidecar(self) -> Sidecar:
        try:
            return Sidecar(**json.loads(self._sidecar.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise CorruptIndexError(f"{self._sidecar} can not be read ({error})") from error
