"""LangChain on a collection: an application keeps its code, and the collection can move to another model under it.

Texts are embedded by the collection, with every model whose vectors are live, so the store needs no embeddings;
`RevectorEmbeddings` is for whatever else in an application wants vectors of the model that serves. Filters are those of
`revector.backends.filters`; the operators that LangChain's stores have in common (``{"year": {"$gte": 2020}}``) are
translated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from revector._arguments import shown
from revector.collection import Collection, Hit
from revector.errors import InvalidArgumentError, MissingExtraError
from revector.integrations._documents import delete_known, named
from revector.integrations._langchain_filters import where_of
from revector.integrations._vectors import diverse_hits, embedded, space_of_vector
from revector.spaces import EmbeddingSpace

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    raise MissingExtraError("langchain_core", "langchain", "LangChain") from error

__all__ = ["RevectorEmbeddings", "RevectorVectorStore"]


class RevectorEmbeddings(Embeddings):
    """Embeds with the model that serves a collection: another one from a cut-over on.

    The vectors know their space: one from before a cut-over is answered in that space, and refused once it is gone.

    Parameters
    ----------
    collection : Collection
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts as documents; raise `EncoderError` if the model is not at hand, or fails."""
        return embedded(self.collection, texts, "document")

    def embed_query(self, text: str) -> list[float]:
        """Embed a text as a query; raise `EncoderError` if no model that can is at hand, or it fails."""
        return embedded(self.collection, [text], "query")[0]


class RevectorVectorStore(VectorStore):
    """A collection as LangChain's vector store.

    Wherever a search takes a `filter`, it takes the other arguments of `Collection.search` as well: ``key``,
    ``rerank``, ``rescore`` and so on.

    Parameters
    ----------
    collection : Collection
        Open; whoever has opened it closes it.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> RevectorVectorStore:
        """Return the store of a collection to which texts were added.

        Parameters
        ----------
        texts, metadatas, ids
            As in `add_texts`.
        embedding : RevectorEmbeddings
            Says which collection.

        Raises
        ------
        InvalidArgumentError
            `embedding` is something else: only a model whose space is known can be moved away from.
        """
        if not isinstance(embedding, RevectorEmbeddings):
            raise InvalidArgumentError(
                f"embedding is {shown(embedding)}, expected RevectorEmbeddings(collection): open the collection with "
                "an encoder, which knows its space (revector.Collection.open)"
            )
        store = cls(embedding.collection)
        store.add_texts(texts, metadatas, ids=ids, **kwargs)
        return store

    @property
    def embeddings(self) -> Embeddings:
        """The model that serves."""
        return RevectorEmbeddings(self.collection)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts, or change those whose ids exist; return their ids.

        Parameters
        ----------
        texts : iterable of str
        metadatas : list of dict, optional
            One for each text; they replace those that a document had. Empty ones if there are none.
        ids : list of str or None, optional
            One for each text; what has none gets a new one.

        Raises
        ------
        RevectorError
            As `Collection.upsert` raises it.
        """
        _require_none(kwargs, "add_texts")
        listed = list(texts)
        new = named([None] * len(listed) if ids is None else ids)
        self.collection.upsert(new, listed, [{} for _ in listed] if metadatas is None else metadatas)
        return new

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents, all of them without `ids`; those that do not exist are left out of account."""
        _require_none(kwargs, "delete")
        delete_known(self.collection, self.collection.ids() if ids is None else ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return those of some documents that exist."""
        return [_document(each.id, each.text, each.metadata) for each in self.collection.known(ids)]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the documents nearest to a text, best first."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a text, with their similarities: higher is better.

        Parameters
        ----------
        query : str
        k : int
        filter : dict, optional
            What must hold for the metadata.
        **kwargs
            Of `Collection.search`.

        Raises
        ------
        EncoderError
            No model that can answer is at hand.
        InvalidArgumentError
            An argument is something else, `filter` is not a filter.
        """
        return _scored(self._found(query, k, filter, kwargs))

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a text, with scores from 0 to 1: the cosine, and 0 for one below.

        Parameters
        ----------
        query, k, **kwargs
            As in `similarity_search_with_score`.
        score_threshold : float, optional
            Leave out what is below, in the scores of `Collection.threshold_space`; a cut-over does not change it.

        Raises
        ------
        InvalidArgumentError
            The scores of the model that serves have no bounds.
        """
        to_relevance = self._select_relevance_score_fn()
        least = kwargs.pop("score_threshold", None)
        found = self.similarity_search_with_score(query, k, threshold=least, **kwargs)
        return [(document, to_relevance(score)) for document, score in found]

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_relevance_scores` does."""
        return await asyncio.to_thread(self.similarity_search_with_relevance_scores, query, k, **kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents nearest to a vector that `embeddings` has made.

        Raises
        ------
        SpaceMismatchError
            It is of a model that does not serve any more: embed the text again.
        InvalidArgumentError
            It does not know its space.
        """
        _require_none(kwargs, "similarity_search_by_vector")
        space = space_of_vector(embedding)
        hits = self.collection.search_vector(embedding, space, k, where=where_of(filter))  # type: ignore[arg-type]
        return [document for document, _ in _scored(hits)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return documents that are near a text and not near each other, out of the `fetch_k` nearest ones."""
        hits = self._found(query, fetch_k, filter, kwargs)
        return [document for document, _ in _scored(diverse_hits(self.collection, query, hits, k, lambda_mult))]

    def _found(self, query: str, k: int, given: Any, options: Mapping[str, Any]) -> list[Hit]:
        return self.collection.search(query, k, where=where_of(given), **options)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        _require_bounded(self.collection.serving_space)
        return lambda similarity: min(1.0, max(0.0, similarity))


def _require_none(options: Mapping[str, Any], method: str) -> None:
    if options:
        raise InvalidArgumentError(f"{method} got {shown(next(iter(options)))}, which it does not know; leave it out")


def _require_bounded(space: EmbeddingSpace) -> None:
    if space.metric != "cosine" and not space.normalized:
        raise InvalidArgumentError(
            f"the scores of {space} are dot products without bounds, so there are none from 0 to 1; use "
            "similarity_search_with_score"
        )


def _document(id_: str, text: str, metadata: dict[str, Any]) -> Document:
    return Document(id=id_, page_content=text, metadata=metadata)


def _scored(hits: Iterable[Hit]) -> list[tuple[Document, float]]:
    return [(_document(hit.id, hit.text, hit.metadata), hit.score) for hit in hits]
