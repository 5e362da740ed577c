"""What a collection holds, for whoever builds on it: documents by filter, and their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown
from revector.backends.arguments import checked_ids
from revector.backends.contracts import Document, Generation
from revector.backends.filters import parse_where
from revector.collection.opened import Opened
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
