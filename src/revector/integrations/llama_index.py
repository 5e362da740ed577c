"""LlamaIndex on a collection: an application keeps its code, and the collection can move to another model under it.

The collection embeds nodes and queries, with every model whose vectors are live. Vectors that an index has made of its
nodes are left aside: give it ``MockEmbedding(embed_dim=1)``, so that nothing is embedded twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from revector._arguments import shown
from revector.backends.contracts import Document
from revector.collection import Collection, Hit
from revector.errors import InvalidArgumentError, MissingExtraError
from revector.integrations._documents import delete_known
from revector.integrations._llama_index_filters import where_of
from revector.integrations._vectors import diverse_hits, embedded, space_of_vector

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.schema import BaseNode, MetadataMode, TextNode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    raise MissingExtraError("llama_index.core", "llama-index", "LlamaIndex") from error

__all__ = ["RevectorEmbedding", "RevectorVectorStore"]

_TEXT = "_node_text"
"""Where the text of a node is kept if the model is given something else, such as its metadata as well."""
_NODE_ID = "_node_id"
_FETCHED = 4
"""So many times as many hits are looked at where diverse ones are wanted."""


class RevectorEmbedding(BaseEmbedding):
    """Embeds with the model that serves a collection: another one from a cut-over on.

    Parameters
    ----------
    collection : Collection
    **options
        Of `BaseEmbedding`.
    """

    _collection: Collection = PrivateAttr()

    def __init__(self, collection: Collection, **options: Any) -> None:
        super().__init__(**{"model_name": "revector", **options})
        self._collection = collection

    @classmethod
    def class_name(cls) -> str:
        """Return what LlamaIndex calls it."""
        return "RevectorEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return embedded(self._collection, [query], "query")[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return embedded(self._collection, texts, "document")

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class RevectorVectorStore(BasePydanticVectorStore):
    """A collection as LlamaIndex's vector store.

    The text of a document is what LlamaIndex gives a model of its node: `MetadataMode.EMBED`. Documents that others
    have written come as text nodes.

    Parameters
    ----------
    collection : Collection
        Open; whoever has opened it closes it.
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    _collection: Collection = PrivateAttr()

    def __init__(self, collection: Collection) -> None:
        super().__init__(stores_text=True, is_embedding_query=False)
        self._collection = collection

    @classmethod
    def class_name(cls) -> str:
        """Return what LlamaIndex calls it."""
        return "RevectorVectorStore"

    @property
    def client(self) -> Collection:
        """The collection."""
        return self._collection

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, or change those whose ids exist; return their ids.

        Raises
        ------
        RevectorError
            As `Collection.upsert` raises it.
        """
        ids, texts = [node.node_id for node in nodes], [node.get_content(MetadataMode.EMBED) for node in nodes]
        self._collection.upsert(ids, texts, [_metadata(*given) for given in zip(nodes, texts, strict=True)])
        return ids

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Do what `add` does."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        self._delete(self._collection.matching({"ref_doc_id": ref_doc_id}))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Do what `delete` does."""
        await asyncio.to_thread(self.delete, ref_doc_id)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Delete nodes by their ids, or by a filter, or those of both; raise `InvalidArgumentError` without either."""
        if node_ids is None and filters is None:
            raise InvalidArgumentError("got neither node_ids nor filters; to delete all nodes, call clear()")
        self._delete(self._chosen(node_ids, filters))

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Do what `delete_nodes` does."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters)

    def clear(self) -> None:
        """Delete all documents of the collection."""
        delete_known(self._collection, self._collection.ids())

    async def aclear(self) -> None:
        """Do what `clear` does."""
        await asyncio.to_thread(self.clear)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return nodes by their ids, or by a filter, or those of both; all without either."""
        return [_node(each) for each in self._chosen(node_ids, filters)]

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Do what `get_nodes` does."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nodes nearest to a text, best first, with their similarities.

        Parameters
        ----------
        query : VectorStoreQuery
            With ``query_str``, and the mode DEFAULT or MMR; or with a ``query_embedding`` of `RevectorEmbedding` and
            DEFAULT.
        **kwargs
            Of `Collection.search`.

        Raises
        ------
        EncoderError
            No model that can answer is at hand.
        InvalidArgumentError
            Another mode, a filter that cannot be translated, a vector whose space nobody knows.
        SpaceMismatchError
            The vector is of a model that does not serve any more.
        """
        hits = self._found(query, kwargs)
        return VectorStoreQueryResult(
            nodes=[_node(hit) for hit in hits],
            similarities=[hit.score for hit in hits],
            ids=[hit.id for hit in hits],
        )

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Do what `query` does."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    def _found(self, query: VectorStoreQuery, options: dict[str, Any]) -> list[Hit]:
        is_diverse = query.mode is VectorStoreQueryMode.MMR
        if not is_diverse and query.mode is not VectorStoreQueryMode.DEFAULT:
            raise InvalidArgumentError(f"the mode of the query is {query.mode.value!r}, expected 'default' or 'mmr'")
        where, k = _where(query), query.similarity_top_k
        if query.query_str is None:
            if is_diverse or query.query_embedding is None:
                raise InvalidArgumentError(f"query_str is {shown(query.query_str)}, expected a text")
            space = space_of_vector(query.query_embedding)
            return self._collection.search_vector(query.query_embedding, space, k, where=where)
        if not is_diverse:
            return self._collection.search(query.query_str, k, where=where, **options)
        relevance = 0.5 if query.mmr_threshold is None else query.mmr_threshold
        hits = self._collection.search(query.query_str, _FETCHED * k, where=where, **options)
        return diverse_hits(self._collection, query.query_str, hits, k, relevance)

    def _chosen(self, node_ids: list[str] | None, filters: MetadataFilters | None) -> list[Document]:
        if node_ids is None:
            return self._collection.matching(where_of(filters))
        known = self._collection.known(node_ids)
        if filters is None:
            return known
        matching = {each.id for each in self._collection.matching(where_of(filters))}
        return [each for each in known if each.id in matching]

    def _delete(self, documents: Sequence[Document]) -> None:
        delete_known(self._collection, [each.id for each in documents])


def _where(query: VectorStoreQuery) -> dict[str, Any]:
    parts = [where_of(query.filters)]
    if query.doc_ids:
        parts.append({"ref_doc_id": {"in": query.doc_ids}})
    if query.node_ids:
        parts.append({_NODE_ID: {"in": query.node_ids}})
    kept = [part for part in parts if part]
    return {"and": kept} if kept else {}


def _metadata(node: BaseNode, text: str) -> dict[str, Any]:
    """Return all of a node but its text, which the document has."""
    metadata = {**node_to_metadata_dict(node, remove_text=True), _NODE_ID: node.node_id}
    own = node.get_content(MetadataMode.NONE)
    return metadata if own == text else {**metadata, _TEXT: own}


def _node(found: Document | Hit) -> BaseNode:
    if "_node_content" not in found.metadata:
        return TextNode(id_=found.id, text=found.text, metadata=found.metadata)
    return metadata_dict_to_node(found.metadata, text=found.metadata.get(_TEXT, found.text))
