"""Generations of vectors, the aliases that point at them, and the maps between their spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts.documents import Keys
from revector.spaces import EmbeddingSpace

Point: TypeAlias = int | str
"""A moment of all generations, which JSON can hold; only the generations that gave it know what it means."""


MAPPED = "mapped"
"""Stands in place of the content hash of a vector that was not made of a text, but carried over from another space."""


@dataclass(frozen=True)
class Generation:
    """One physical set of vectors of one space."""

    id: int
    space: EmbeddingSpace
    encoder_source: str | None
    created_at: float


@dataclass(frozen=True)
class Alias:
    """A name that readers use, and the generation it points at; `version` grows with every swap."""

    name: str
    generation: int
    version: int


@dataclass(frozen=True)
class VectorInfo:
    """What is known of one stored vector. `content_hash` is that of the text it was computed from, or `MAPPED`."""

    id: str
    model: str
    revision: str
    dimension: int
    embedded_at: float
    content_hash: str
    generation: int


ROWS_AT_ONCE = 2_048
"""What `Generations.rows_at_once` is where it takes a few microseconds to put a vector."""


@dataclass(frozen=True)
class Tally:
    """How many documents have a vector, of all or of those with one value in a field of their metadata.

    Parameters
    ----------
    field : str or None
        ``None`` for all documents.
    value : str, int, float, bool or None
        ``None`` for documents without the field, too; for lists and objects whatever JSON has.
    documents, source, target : int
        How many there are, and how many have a vector in either generation, be it of their present text or not.
    lost : int
        How many have one in the source and none in the target, those left out that were not to be counted.
    """

    field: str | None
    value: Any
    documents: int
    source: int
    target: int
    lost: int


@runtime_checkable
class Generations(Protocol):
    """Generations, their vectors, and aliases. Safe to use from several threads; every method is atomic."""

    def create(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation."""
        ...

    def get(self, generation: int) -> Generation:
        """Return a generation; raise `StoreError` if it does not exist."""
        ...

    def all(self) -> list[Generation]:
        """Return all generations, the oldest first."""
        ...

    def set_encoder_source(self, generation: int, encoder_source: str) -> None:
        """Note where the encoder of a generation can be loaded from now; raise `StoreError` if there is none."""
        ...

    def set_space(self, generation: int, space: EmbeddingSpace, encoder_source: str | None) -> None:
        """Note that the vectors of a generation are those of another contract, which was proved to be the same space.

        Raises
        ------
        StoreError
            There is no such generation.
        ShapeError
            The other space has another dimension.
        """
        ...

    def drop(self, generation: int) -> None:
        """Delete a generation and its vectors; raise `StoreError` if it does not exist or an alias points at it.

        It is gone at once, however much it holds; `Backend.reclaim` gives back what it took.
        """
        ...

    # Vectors

    def rows_at_once(self, generation: int) -> int:
        """Return how many vectors are put in one transaction at most, beside which nobody writes their documents."""
        ...

    def put(
        self,
        generation: int,
        keys: Keys,
        hashes: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        mapped: bool = False,
    ) -> int:
        """Store vectors by compare-and-set: one lands only where the document still has that content hash.

        Parameters
        ----------
        generation : int
            Where to.
        keys : sequence of int or ndarray of int64, shape (n,)
            Of the documents.
        hashes : sequence of str, length n
            Content hashes of the texts that were embedded.
        vectors : ndarray of float32, shape (n, dimension)
        mapped : bool
            They were carried over from another space: they are found, and stay stale, under the mark `MAPPED`.

        Returns
        -------
        int
            How many landed. The others' documents have been changed or deleted in the meantime, or are being changed
            just now, where a store does not wait for that: they can be stored later.

        Raises
        ------
        ShapeError, NumericalError
            Lengths differ, the vectors have another dimension than the space, or one holds NaN or infinity; then
            nothing is written.
        """
        ...

    def vectors(
        self, generation: int, keys: Keys, *, current: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors, shape (found, dimension).

        With `current`, only vectors of the documents' present texts. Where the metric is the cosine, a store may have
        kept them with another length.
        """
        ...

    def scan(self, generation: int, batch: int = 4096) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield keys and vectors in the order of the keys; each batch is one moment, the whole is not."""
        ...

    def count(self, generation: int, *, since: Point = 0) -> int:
        """Count the vectors written since a point that `last_seq` returned, stale ones included; 0 counts all.

        What was written by transactions that had not committed at that point is counted. While such a transaction was
        open, vectors that others had committed shortly before the point may be counted as well.
        """
        ...

    def sample(self, generation: int, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` vectors (stale ones included) at random, or of all if they are fewer, ascending.

        Whatever the size of the collection, no more than a few times `n` keys are held in memory.
        """
        ...

    def stale_keys(self, generation: int, keys: Keys) -> NDArray[np.int64]:
        """Return those of the keys whose documents have no vector of their present text, in ascending order."""
        ...

    def stale_between(self, generation: int, after: int, until: int) -> NDArray[np.int64]:
        """Return the keys above `after`, up to `until`, whose documents have no vector of their present text."""
        ...

    def count_stale(self, generation: int) -> int:
        """Count the documents that have no vector of their present text."""
        ...

    def tally(
        self, source: int, target: int, fields: Sequence[str], *, without: Keys = (), limit: int = 1_000
    ) -> list[Tally]:
        """Count the documents that have a vector in two generations, all of them and by the values of fields.

        It looks at every document once.

        Parameters
        ----------
        source, target : int
            The generations.
        fields : sequence of str
            Names in the metadata, at its top.
        without : sequence of int
            Keys of documents that are not `lost`, whatever they lack.
        limit : int
            Values, of all fields together: those of which most documents are lost, then the most frequent ones.

        Returns
        -------
        list of Tally
            That of all documents first.
        """
        ...

    def with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash, so that nothing is embedded twice."""
        ...

    def info(self, generation: int, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' vectors; documents without one are left out.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist.
        """
        ...

    def last_seq(self) -> Point:
        """Return the present point, for `count` to count from."""
        ...

    # Aliases

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or ``None``."""
        ...

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias; raise `StoreError` if the name is taken or the generation does not exist."""
        ...

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version; raise `StaleAliasError` otherwise.

        Readers see it move from one moment to the next. A store that has no aliases keeps a record of its own.
        """
        ...

    # Maps between spaces

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces, given by their fingerprints."""
        ...

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        ...

    def map_kept_at(self, source: str, target: str) -> float | None:
        """Return when the map was kept, in seconds since the epoch, or ``None``; it tells whether there is another."""
        ...
