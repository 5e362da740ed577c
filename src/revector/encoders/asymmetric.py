"""A model whose documents are asked by another one: the vectors stay, and only queries are encoded anew.

Families of models with one space stand that: a small model for queries beside a large one for documents, or a query
side that was trained on, to fit the vectors that there are. Whether two models do is for `Collection.assess` to tell:
its row "query model".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import Kind, TextEncoder, require_encoder
from revector.encoders.sources import ASYMMETRIC, load_encoder, read_source, write_source
from revector.errors import InvalidArgumentError
from revector.spaces import EmbeddingSpace

__all__ = ["Asymmetric"]


class Asymmetric:
    """One model for documents, another one for queries.

    `Collection.migrate` takes it as an encoder. A collection in the documents' own space is moved there from its stored
    vectors, without embedding anything, and back in the same way.

    Parameters
    ----------
    documents : TextEncoder
        The model of the stored vectors.
    queries : TextEncoder
        The model that encodes queries, of the same dimension and metric.

    Raises
    ------
    InvalidArgumentError
        They differ in the dimension or the metric, or are the same model.
    """

    def __init__(self, documents: TextEncoder, queries: TextEncoder) -> None:
        require_encoder(documents, "documents")
        require_encoder(queries, "queries")
        self._documents, self._queries = documents, queries
        kept, asked = documents.space, queries.space
        for name in ("dimension", "metric"):
            if getattr(kept, name) != getattr(asked, name):
                raise InvalidArgumentError(
                    f"queries by {asked} cannot be asked of the vectors of {kept}: the {name} is "
                    f"{getattr(asked, name)}, expected {getattr(kept, name)}"
                )
        if kept.fingerprint == asked.fingerprint:
            raise InvalidArgumentError(f"queries and documents are both of {kept}; give that model alone")

    @classmethod
    def from_source(cls, source: str) -> Asymmetric:
        """Make one from what `source` says."""
        documents, options = read_source(source, ASYMMETRIC, {"queries": str})
        if "queries" not in options:
            raise InvalidArgumentError(f"{source!r} does not say which model encodes queries; add ?queries=MODEL")
        return cls(load_encoder(documents), load_encoder(options["queries"]))

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the documents, asked by the other model."""
        return _asked_by(self._documents.space, self._queries.space)

    @property
    def encoder(self) -> TextEncoder:
        """The model of the documents."""
        return self._documents

    @property
    def source(self) -> str | None:
        """Where both models can be loaded from again."""
        documents, queries = self._documents.source, self._queries.source
        if documents is None or queries is None:
            return None
        return write_source(ASYMMETRIC, documents, {"queries": queries})

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode queries by the one model, documents by the other."""
        return (self._queries if kind == "query" else self._documents).encode(texts, kind=kind)


@lru_cache(maxsize=64)
def _asked_by(documents: EmbeddingSpace, queries: EmbeddingSpace) -> EmbeddingSpace:
    return dataclasses.replace(
        documents,
        model=f"{documents.model}, asked by {queries.model}",
        query_prefix=queries.query_prefix,
        asked_by=queries.plain.fingerprint,
    )
