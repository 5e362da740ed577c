"""Documents of a collection: what every backend does with texts, their ids, and how often searches return them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.backends.filters import Where
from revector.errors import InvalidArgumentError
from revector.spaces import Template

Keys: TypeAlias = "Sequence[int] | NDArray[np.int64]"
"""Labels of documents, never used twice, so that indexes can hold them."""


def content_hash(text: str, read: Mapping[str, Any] | None = None) -> str:
    """Hex SHA-256 of the UTF-8 text: the identity of what a vector was computed from.

    Parameters
    ----------
    text : str
        Of the document.
    read : mapping, optional
        What models are given besides: fields of the metadata. Without any, the hash is that of the text.

    Raises
    ------
    InvalidArgumentError
        The text is not valid Unicode (a lone surrogate).
    """
    try:
        plain = hashlib.sha256(text.encode()).hexdigest()
        fields = json.dumps(read, sort_keys=True) if read else ""
        return hashlib.sha256(f"{plain} {fields}".encode()).hexdigest() if fields else plain
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"a text is not valid Unicode ({error}); clean it before it is stored") from error


class NewDocument(NamedTuple):
    """A document to write, as `revector.backends.arguments.checked_documents` returns it.

    `metadata_json` is a JSON object, or ``None`` where the document keeps the metadata that it has.
    """

    id: str
    text: str
    content_hash: str
    metadata_json: str | None


@dataclass(frozen=True)
class Document:
    """A text, its id, and what the store knows of it. `updated_at` is the time of the last change of `content_hash`."""

    id: str
    text: str
    metadata: dict[str, Any]
    content_hash: str
    updated_at: float
    key: int


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


@runtime_checkable
class Documents(Protocol):
    """The documents of a collection. Safe to use from several threads; every method is atomic."""

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist.

        A changed text changes `content_hash` and `updated_at`. Vectors of the old text stay until they are replaced;
        they are *stale*, which their hash tells. Metadata that is ``None`` is kept as it is.

        Raises
        ------
        InvalidArgumentError
            Lengths differ, an id comes twice, an id or text is not a valid string, metadata is not a JSON object, or
            the store cannot hold a document (see `require_storable`); then nothing is written.
        """
        ...

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Do what `upsert` does, for documents that were checked, with distinct ids."""
        ...

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Raise `InvalidArgumentError` where this store cannot hold one of some documents, though each was checked.

        `put` raises it as well. Whoever calls this first has not paid for vectors by then. The message says which
        document it is, and why.
        """
        ...

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their vectors of every generation; return their keys, in the order of `ids`.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist; then nothing is deleted.
        """
        ...

    def by_id(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents in the order of `ids`; raise `UnknownDocumentError` if one does not exist."""
        ...

    def by_key(self, keys: Keys) -> list[Document]:
        """Return those of the documents that exist, in the order of `keys`."""
        ...

    def texts(self, keys: Keys, template: Template | None = None) -> dict[int, tuple[str, str]]:
        """Return content hash and text by key of those documents that exist: what an encoder needs, and no more.

        With a template, the text is the document as it is rendered.
        """
        ...

    def scan(self, batch: int = 1024) -> Iterator[list[Document]]:
        """Yield all documents in the order of their keys; each batch is one moment, the whole is not."""
        ...

    def ids(self, batch: int = 10_000) -> Iterator[str]:
        """Yield all ids in the order of their keys; each batch is one moment, the whole is not."""
        ...

    def keys(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the keys of those of the documents that exist, by id."""
        ...

    def next_key(self, after: int) -> int | None:
        """Return the lowest key above `after`, or ``None``: with it, all documents can be gone through in slices."""
        ...

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return the keys of `n` documents at random, or of all if they are fewer, in ascending order.

        Whatever the size of the collection, no more than a few times `n` keys are held in memory.
        """
        ...

    def count(self) -> int:
        """Count the documents."""
        ...

    def content_hashes(self, keys: Keys) -> dict[int, str]:
        """Return the hash of the present text by key, of those documents that exist."""
        ...

    def record_access(self, keys: Keys, *, failed: bool = False) -> None:
        """Count one more search that returned each document; `failed` where the search did not help its user."""
        ...

    def hit_counts(self) -> list[tuple[int, int]]:
        """Return how often documents were returned by searches, and how many documents that often; the most first.

        Documents that were never returned are left out.
        """
        ...

    def facts(self, after: int = 0, limit: int = 1024) -> list[DocumentFacts]:
        """Return what priorities are computed from, of the next documents above a key, in the order of the keys."""
        ...

    # Templates

    def metadata(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the metadata by id of those documents that exist."""
        ...

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Call what documents hold by other hashes, in the vectors that were computed from it as well.

        Parameters
        ----------
        hashes : sequence of (int, str, str)
            Key, present hash and new hash. A document with another hash than the present one stays as it is, and so do
            vectors that are stale.
        """
        ...

    # Filters

    def matching(self, where: Where, keys: Keys) -> NDArray[np.int64]:
        """Return those of `keys` whose documents match a filter, each once; it costs what the keys cost, not more."""
        ...

    def matching_keys(self, where: Where, limit: int) -> NDArray[np.int64]:
        """Return the keys of the documents that match a filter, `limit` of them where there are more.

        It may look at every document; a backend says which of its indexes help.
        """
        ...
