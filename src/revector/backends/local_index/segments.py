"""Graphs as files beside a database, which names the ones that are its own.

A segment is a graph of the vectors that were written between two points of the store. It never changes: what is written
again or deleted later is left out when it is searched. The points are counters, which a restored backup rewinds and
another history reaches again, so each segment has a random token, and a digest: what the database does not name, or
what is not what it named, is not trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Generation
from revector.backends.local_index import breadth
from revector.backends.local_index.rest import Keys, Results
from revector.errors import CorruptIndexError
from revector.index import HnswSnapshot, MetricName

METRICS: dict[str, MetricName] = {"cosine": "cosine", "dot": "ip"}
"""What an index calls the metrics of spaces."""

_END_BYTES = 4096
"""The first bytes of a graph tell its shape, the last ones the checksums of all that is between."""


@dataclass(frozen=True)
class SegmentName:
    """How a database names one of its segments.

    Parameters
    ----------
    token : str
        Random, part of the names of its files.
    upto : int
        The point of the store whose vectors it holds, from the end of the segment before it.
    digest : str
        Of its files.
    because : str
        Why it was built although there was another one, and when; empty in the usual course.
    """

    token: str
    upto: int
    digest: str
    because: str = ""


def named(note: str | None) -> tuple[SegmentName, ...]:
    """Read what a database names; nothing of what earlier releases named."""
    try:
        return tuple(SegmentName(**fields) for fields in json.loads(note or "[]"))
    except (ValueError, TypeError):
        return ()


def as_note(names: Iterable[SegmentName]) -> str:
    """Write what `named` reads."""
    return json.dumps([asdict(name) for name in names])


def needless_until(note: str | None, now: int) -> int:
    """Return the point up to which an index needs no deletions when it is opened, given what the database names."""
    if names := named(note):
        return names[-1].upto
    return 0 if note else now  # the files of an earlier release end nobody knows where


@dataclass(frozen=True)
class Segment:
    """A segment in use.

    Parameters
    ----------
    name : SegmentName
    whole : HnswSnapshot
        All that is in its file.
    graph : HnswSnapshot
        The same without the vectors that were written again or deleted later.
    breadth : int or None
        Candidates that a search keeps in it; ``None`` if that was not measured.
    voids : ndarray of int64
        Keys whose vectors in earlier segments are not valid beside this one: it has newer ones, or they were deleted.
    """

    name: SegmentName
    whole: HnswSnapshot
    graph: HnswSnapshot
    breadth: int | None
    voids: Keys

    def __len__(self) -> int:
        return len(self.graph)

    def without(self, keys: Keys) -> Segment:
        """Return the segment without some vectors; those that it does not hold are passed over."""
        return replace(self, graph=self.graph.without(keys)) if len(keys) else self

    def search(self, queries: NDArray[np.float32], k: int, ef: int) -> Results:
        """Return scores and keys of the nearest vectors of each query, best first, shape (q, min(k, live))."""
        scores, keys = self.graph.search(queries, k, ef=ef)
        if (keys < 0).any():  # so much is left out that a walk came by too little
            return self.graph.search_exact(queries, k)
        return scores, keys

    def holds(self, keys: Keys) -> Keys:
        """Return those of some keys that its file holds, valid or not."""
        return keys[self.whole.find(keys)[0]]

    def damage(self) -> str:
        """Read the whole file; return what is wrong with it, or nothing."""
        try:
            self.graph.verify()
        except (CorruptIndexError, OSError) as error:
            return str(error)
        return ""


class SegmentFolder:
    """The files of one generation.

    Parameters
    ----------
    folder : Path
        Holds ``<generation>.<token>.graph``, ``….voids`` and ``….breadth``.
    generation : Generation
        Whose graphs.
    """

    def __init__(self, folder: Path, generation: Generation) -> None:
        self._folder = folder
        self._generation = generation
        self.distrusted: dict[str, str] = {}
        """Tokens of segments that turned out to be damaged, and how."""

    def graph(self, token: str) -> Path:
        """Return where the graph of a segment is."""
        return self._folder / f"{self._generation.id}.{token}.graph"

    def open(self, names: Sequence[SegmentName]) -> tuple[list[Segment], str]:
        """Map the segments that a database names, up to the first that cannot be trusted, and tell why it cannot."""
        segments: list[Segment] = []
        reason = ""
        for name in names:
            try:
                segments.append(self._open(name))
            except (CorruptIndexError, OSError) as error:
                reason = str(error)
                break
        voids = np.empty(0, np.int64)
        for place in reversed(range(len(segments))):
            segment = segments[place]
            segments[place], voids = segment.without(voids), np.concatenate([voids, segment.voids])
        return segments, reason

    def finish(self, token: str, upto: int, voids: Keys, because: str) -> SegmentName:
        """Complete the files of a segment whose graph was written; return its name."""
        voids.astype("<i8").tofile(self._voids(token))
        breadth.keep(self._breadth(token), breadth.measured(HnswSnapshot(self.graph(token))))
        return SegmentName(token, upto, self._digest(token), because)

    def remove(self, tokens: Iterable[str]) -> None:
        """Remove the files of some segments; who has one mapped keeps what is in it."""
        for token in tokens:
            remove(self.graph(token))
            remove(self._voids(token))
            remove(self._breadth(token))

    def remove_all_but(self, kept: Iterable[str]) -> None:
        """Remove the files of the generation but for those of some tokens."""
        known = {f"{self._generation.id}.{token}" for token in kept}
        for file in self._folder.glob(f"{self._generation.id}.*"):
            if ".".join(file.name.split(".")[:2]) not in known:
                remove(file)

    def _open(self, name: SegmentName) -> Segment:
        path, space = self.graph(name.token), self._generation.space
        if name.token in self.distrusted:
            raise CorruptIndexError(self.distrusted[name.token])
        if not path.exists():
            raise CorruptIndexError(f"{path} is missing")
        if self._digest(name.token) != name.digest:
            raise CorruptIndexError(f"{path} is not the file that the database names")
        graph = HnswSnapshot(path)
        if (graph.dim, graph.metric) != (space.dimension, METRICS[space.metric]):
            raise CorruptIndexError(f"{path} belongs to another generation")
        voids = np.fromfile(self._voids(name.token), "<i8").astype(np.int64)
        return Segment(name, graph, graph, breadth.read(self._breadth(name.token)), voids)

    def _voids(self, token: str) -> Path:
        return self._folder / f"{self._generation.id}.{token}.voids"

    def _breadth(self, token: str) -> Path:
        return self._folder / f"{self._generation.id}.{token}.breadth"

    def _digest(self, token: str) -> str:
        digest = hashlib.sha256(self._voids(token).read_bytes())
        with self.graph(token).open("rb") as file:
            digest.update(file.read(_END_BYTES))
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END_BYTES))
            digest.update(file.read() + str(size).encode())
        return digest.hexdigest()


def remove(file: Path) -> None:
    """Remove a file of the cache; one that cannot be (Windows keeps what is mapped) is removed another time."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
