"""The protocol every store follows, and the rows that cross it.

Words: a *generation* is one physical set of vectors of one space; an *alias* is the name readers use, and points at a
generation; a *key* is the integer label of a document, never used twice, so that indexes can hold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError
from revector.spaces import EmbeddingSpace

Keys: TypeAlias = "Sequence[int] | NDArray[np.int64]"


def content_hash(text: str) -> str:
    """Hex SHA-256 of the UTF-8 text: the identity of what a vector was computed from.

    Raises
    ------
    InvalidArgumentError
        The text is not valid Unicode (a lone surrogate).
    """
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"a text is not valid Unicode ({error}); clean it before it is stored") from error


class NewDocument(NamedTuple):
    """A document to write, as `revector.stores.arguments.checked_documents` returns it.

    `metadata_json` is a JSON object, or ``None`` where the document keeps the metadata that it has.
    """

    id: str
    text: str
    content_hash: str
    metadata_json: str | None


@dataclass(frozen=True)
class Document:
    """A text, its id, and what the store knows of it. `updated_at` is the time of the last change of the text."""

    id: str
    text: str
    metadata: dict[str, Any]
    content_hash: str
    updated_at: float
    key: int


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
class VectorRow:
    """A vector, and the hash of the text it was computed from."""

    key: int
    content_hash: str
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class VectorInfo:
    """What is known of one stored vector. `content_hash` is that of the text it was computed from."""

    id: str
    model: str
    revision: str
    dimension: int
    embedded_at: float
    content_hash: str
    generation: int


@dataclass(frozen=True)
class VectorChanges:
    """What happened to a generation after a point: vectors written (their present value) and keys deleted.

    `seq` is the point to ask from next time.
    """

    seq: int
    keys: NDArray[np.int64]
    vectors: NDArray[np.float32]
    deleted: NDArray[np.int64]


@dataclass(frozen=True)
class DocumentFacts:
    """What priorities are computed from: `hits` and `failures` count the searches that returned the document."""

    key: int
    id: str
    hits: int
    failures: int
    updated_at: float
    metadata: dict[str, Any]
    text_length: int


@dataclass(frozen=True)
class Capabilities:
    """What a store guarantees; callers choose a safer order of writes where something is missing."""

    transactions: bool
    atomic_alias: bool
    conditional_upsert: bool


@runtime_checkable
class Store(Protocol):
    """Documents, generations of vectors, and aliases. Safe to use from several threads.

    Every method is atomic. In a store with `capabilities.transactions`, calls inside ``with store.transaction():``
    commit together; reads inside ``with store.snapshot():`` see one moment.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this store guarantees."""
        ...

    @property
    def url(self) -> str:
        """Where the store is."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written; `transaction` and every method that writes raise `ReadOnlyError` then."""
        ...

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`: before anything is paid for."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Open, or join, a write transaction of the calling thread."""
        ...

    def snapshot(self) -> AbstractContextManager[object]:
        """Open, or join, a consistent view for reads."""
        ...

    def close(self) -> None:
        """Release what the store holds open."""
        ...

    def history(self) -> int:
        """Return a number that is another one once the store's past was replaced under it, by a restored backup, say.

        Nothing that was learnt under another number is known to hold. Other events may change it as well.
        """
        ...

    # Documents

    def upsert_documents(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist.

        A changed text changes `content_hash` and `updated_at`. Vectors of the old text stay until they are replaced;
        they are *stale*, which their hash tells. Metadata that is ``None`` is kept as it is.

        Raises
        ------
        InvalidArgumentError
            Lengths differ, an id comes twice, an id or text is no valid string, metadata is no JSON object.
        """
        ...

    def put_documents(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Do what `upsert_documents` does, for documents that were checked, with distinct ids."""
        ...

    def delete_documents(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their vectors of every generation; return their keys, in the order of `ids`.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist; then nothing is deleted.
        """
        ...

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents in the order of `ids`; raise `UnknownDocumentError` if one does not exist."""
        ...

    def documents_by_key(self, keys: Keys) -> list[Document]:
        """Return those of the documents that exist, in the order of `keys`."""
        ...

    def scan_documents(self, batch: int = 1024) -> Iterator[list[Document]]:
        """Yield all documents in the order of their keys; each batch is one moment, the whole is not."""
        ...

    def document_ids(self) -> list[str]:
        """Return all ids in the order of their keys."""
        ...

    def count_documents(self) -> int:
        """Count the documents."""
        ...

    def content_hashes(self, keys: Keys | None = None) -> dict[int, str]:
        """Return the hash of the present text by key, of all documents or of those `keys` that exist."""
        ...

    def record_access(self, keys: Keys, *, failed: bool = False) -> None:
        """Count one more search that returned each document; `failed` where the search did not help its user."""
        ...

    def facts(self, keys: Keys | None = None) -> list[DocumentFacts]:
        """Return what priorities are computed from, of all documents or of those `keys` that exist."""
        ...

    # Generations

    def create_generation(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation."""
        ...

    def generation(self, generation: int) -> Generation:
        """Return a generation; raise `StoreError` if it does not exist."""
        ...

    def generations(self) -> list[Generation]:
        """Return all generations, the oldest first."""
        ...

    def set_encoder_source(self, generation: int, encoder_source: str) -> None:
        """Note where the encoder of a generation can be loaded from now; raise `StoreError` if there is none."""
        ...

    def drop_generation(self, generation: int) -> None:
        """Delete a generation and its vectors; raise `StoreError` if it does not exist or an alias points at it."""
        ...

    # Vectors

    def put_vectors(self, generation: int, rows: Sequence[VectorRow]) -> int:
        """Store vectors by compare-and-set: a row lands only where the document still has that content hash.

        Returns
        -------
        int
            How many rows landed. The others' documents have been changed or deleted in the meantime.

        Raises
        ------
        ShapeError, NumericalError
            A vector has another dimension than the space, or holds NaN or infinity; then nothing is written.
        """
        ...

    def get_vectors(self, generation: int, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys that have a vector, in the order of `keys`, and the vectors, shape (found, dimension)."""
        ...

    def scan_vectors(
        self, generation: int, batch: int = 4096
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield keys and vectors in the order of the keys; each batch is one moment, the whole is not.

        To follow a changing generation, read `last_seq` first, scan, then apply `changes_since` that point.
        """
        ...

    def count_vectors(self, generation: int, *, since: int = 0) -> int:
        """Count the vectors written after point `since` (stale ones included)."""
        ...

    def stale_keys(self, generation: int, keys: Keys | None = None) -> NDArray[np.int64]:
        """Return the keys of documents, all or those of `keys`, that have no vector of their present text."""
        ...

    def paired_keys(self, source: int, target: int) -> NDArray[np.int64]:
        """Return the keys whose vectors in both generations come from the same text."""
        ...

    def vectors_with_hashes(self, generation: int, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return stored vectors of identical texts by content hash, so that nothing is embedded twice."""
        ...

    def vector_info(self, generation: int, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' vectors; documents without one are left out.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist.
        """
        ...

    def last_seq(self) -> int:
        """Return the present point of the counter that orders all changes of vectors."""
        ...

    def changes_since(self, generation: int, seq: int) -> VectorChanges:
        """Return what happened to a generation after point `seq`."""
        ...

    # Aliases

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or ``None``."""
        ...

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias; raise `StoreError` if the name is taken or the generation does not exist."""
        ...

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version; raise `StaleAliasError` otherwise."""
        ...

    # Maps between spaces

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces, given by their fingerprints."""
        ...

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        ...
