"""What a collection holds, for whoever builds on it: documents by filter, vectors, and the model that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import choice, shown, strings, valid_unicode
from revector.backends.arguments import checked_ids
from revector.backends.contracts import Document, Generation
from revector.backends.filters import parse_where
from revector.collection.opened import Opened
from revector.encoders.base import Kind
from revector.encoders.isolation import encode_checked
from revector.errors import InvalidArgumentError
from revector.spaces import EmbeddingSpace, require_one_of

__all__ = ["Contents"]

_DOCUMENTS_A_READ = 1024


class Contents(Opened):
    """Reads documents and vectors."""

    def known(self, ids: Iterable[str]) -> list[Document]:
        """Return those of some documents that exist, each once, in the order of `ids`."""
        wanted = checked_ids(ids)
        keys = self._backend.documents.keys(wanted)
        return self._backend.documents.by_key([keys[id_] for id_ in dict.fromkeys(wanted) if id_ in keys])

    def matching(self, where: Mapping[str, Any] | None = None) -> list[Document]:
        """Return the documents whose metadata match a filter, all without one, the oldest first.

        Each thousand of them is one moment, the whole is not.

        Raises
        ------
        InvalidArgumentError
            `where` is not a filter, as `search` takes it.
        """
        documents, parsed = self._backend.documents, parse_where(where)
        if parsed is None:
            return [each for batch in documents.scan() for each in batch]
        keys = documents.matching_keys(parsed, documents.count())
        slices = (keys[start : start + _DOCUMENTS_A_READ] for start in range(0, len(keys), _DOCUMENTS_A_READ))
        return [each for part in slices for each in documents.by_key(part)]

    def embed(self, texts: Sequence[str], kind: Kind = "query") -> tuple[EmbeddingSpace, NDArray[np.float32]]:
        """Return texts as vectors of the space that serves now, and which one that is.

        Parameters
        ----------
        texts : sequence of str
        kind : {"query", "document"}
            What the texts are to the model. Queries are mapped where its model is not at hand, and another one is with
            a map to its space.

        Returns
        -------
        space : EmbeddingSpace
            `search_vector` wants it; vectors of it are compared with no others.
        vectors : ndarray of float32, shape (len(texts), dimension)

        Raises
        ------
        EncoderError
            The model is not at hand, or failed.
        """
        choice(kind, "kind", ("query", "document"))
        listed = [valid_unicode(text, f"texts[{place}]") for place, text in enumerate(strings(texts, "texts"))]
        serving = self._serving.read()
        generation = serving.serving
        if not listed:
            return generation.space, np.empty((0, generation.space.dimension), np.float32)
        if kind == "query":
            return generation.space, self._searcher.queries.encode(listed, generation, serving.live)
        encoder = self._encoders.require(generation, purpose="embedding for this collection")
        return generation.space, encode_checked(encoder, listed, kind=kind)

    def vectors(self, ids: Iterable[str], space: EmbeddingSpace) -> dict[str, NDArray[np.float32]]:
        """Return the stored vectors by id of those documents that have one in a space.

        Raises
        ------
        SpaceMismatchError
            No live generation is of the space.
        """
        if not isinstance(space, EmbeddingSpace):
            raise InvalidArgumentError(f"space is {shown(space)}, expected the EmbeddingSpace that the vectors are of")
        generation = self._generation_of(space)
        keys = self._backend.documents.keys(checked_ids(ids))
        found, vectors = self._backend.generations.vectors(generation.id, list(keys.values()))
        by_key = dict(zip(found.tolist(), vectors, strict=True))
        return {id_: by_key[key] for id_, key in keys.items() if key in by_key}

    def _generation_of(self, space: EmbeddingSpace) -> Generation:
        live = self._serving.read().live
        require_one_of([each.space for each in live], space, purpose="stored vectors")
        return next(each for each in live if each.space.fingerprint == space.fingerprint)
