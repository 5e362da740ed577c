"""Haystack on a collection: an application keeps its code, and the collection can move to another model under it.

The collection embeds documents and queries, with every model whose vectors are live: pipelines need no embedders, and
embeddings of documents are left aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from revector._arguments import shown
from revector.backends.contracts import Document as Stored
from revector.backends.filters import parse_where
from revector.collection import Collection, Hit
from revector.errors import InvalidArgumentError, MissingExtraError
from revector.integrations._documents import delete_known
from revector.integrations._haystack_filters import where_of

try:
    from haystack import Document, component, default_to_dict
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy
    from haystack.errors import FilterError
except ImportError as error:
    raise MissingExtraError("haystack", "haystack", "Haystack") from error

__all__ = ["RevectorDocumentStore", "RevectorRetriever"]

Filters = dict[str, Any]


class RevectorDocumentStore:
    """A collection as Haystack's document store.

    Parameters
    ----------
    collection : Collection
        Open; whoever has opened it closes it.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    def to_dict(self) -> dict[str, Any]:
        """Return where the collection is, without a password."""
        made: dict[str, Any] = default_to_dict(self, place=self.collection.place)
        return made

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RevectorDocumentStore:
        """Open the collection where `to_dict` says, with the models that it has noted.

        Raises
        ------
        NoCollectionError
            It is not there.
        """
        return cls(Collection.open(data["init_parameters"]["place"]))

    def count_documents(self) -> int:
        """Return how many documents there are."""
        return len(self.collection)

    def count_documents_by_filter(self, filters: Filters) -> int:
        """Return how many documents match a filter."""
        return len(self._matching(filters))

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """Return the documents that match a filter, all without one, the oldest first.

        Raises
        ------
        FilterError
            It is not a filter, or asks for something else than metadata.
        """
        return [_document(each) for each in self._matching(filters)]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents, and return how many were written.

        Parameters
        ----------
        documents : list of Document
        policy : DuplicatePolicy
            For those whose ids exist, or come twice; NONE is FAIL. They are looked for before the write.

        Raises
        ------
        DuplicateDocumentError
            Some exist; nothing is written.
        InvalidArgumentError
            One is not a document with a text, or its metadata are not JSON.
        RevectorError
            As `Collection.upsert` raises it.
        """
        new = self._to_write(_with_texts(documents), policy)
        self.collection.upsert(list(new), [each.content for each in new.values()], [each.meta for each in new.values()])
        return len(documents) if policy is DuplicatePolicy.OVERWRITE else len(new)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete documents; those that do not exist are left out of account."""
        delete_known(self.collection, document_ids)

    def delete_all_documents(self) -> None:
        """Delete all documents."""
        delete_known(self.collection, self.collection.ids())

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that match a filter, and return how many those were."""
        return delete_known(self.collection, [each.id for each in self._matching(filters)])

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Change fields of the metadata of documents that match a filter, and return how many those are."""
        found = self._matching(filters)
        texts, changed = [each.text for each in found], [{**each.metadata, **meta} for each in found]
        self.collection.upsert([each.id for each in found], texts, changed)
        return len(found)

    async def count_documents_async(self) -> int:
        """Do what `count_documents` does."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: Filters | None = None) -> list[Document]:
        """Do what `filter_documents` does."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Do what `write_documents` does."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Do what `delete_documents` does."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    def _matching(self, filters: Filters | None) -> list[Stored]:
        return self.collection.matching(_checked(filters))

    def _to_write(self, documents: Sequence[Document], policy: DuplicatePolicy) -> dict[str, Document]:
        """Return the documents to write by id, the last one of an id."""
        if policy is DuplicatePolicy.OVERWRITE:
            return {each.id: each for each in documents}
        known = {each.id for each in self.collection.known([each.id for each in documents])}
        new: dict[str, Document] = {}
        for each in documents:
            if each.id not in known and each.id not in new:
                new[each.id] = each
            elif policy is not DuplicatePolicy.SKIP:
                raise DuplicateDocumentError(
                    f"the document {shown(each.id)} exists, and nothing was written; to replace it, say "
                    "policy=DuplicatePolicy.OVERWRITE"
                )
        return new


@component
class RevectorRetriever:
    """Finds documents of a collection by the text of a query.

    Parameters
    ----------
    document_store : RevectorDocumentStore
    filters : dict, optional
        For queries that have none of their own.
    top_k : int
        Documents a query.
    """

    def __init__(self, document_store: RevectorDocumentStore, filters: Filters | None = None, top_k: int = 10) -> None:
        self.document_store, self.filters, self.top_k = document_store, filters, top_k

    def to_dict(self) -> dict[str, Any]:
        """Return what it was made of."""
        store = self.document_store.to_dict()
        made: dict[str, Any] = default_to_dict(self, document_store=store, filters=self.filters, top_k=self.top_k)
        return made

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RevectorRetriever:
        """Make it again, and open the collection."""
        given = data["init_parameters"]
        store = RevectorDocumentStore.from_dict(given["document_store"])
        return cls(store, given["filters"], given["top_k"])

    @component.output_types(documents=list[Document])
    def run(self, query: str, filters: Filters | None = None, top_k: int | None = None) -> dict[str, list[Document]]:
        """Return the documents nearest to a text, best first; their `score` is the similarity.

        Raises
        ------
        EncoderError
            No model that can answer is at hand.
        FilterError
            `filters` is not a filter.
        """
        where, k = _checked(filters or self.filters), self.top_k if top_k is None else top_k
        hits = self.document_store.collection.search(query, k, where=where)
        return {"documents": [replace(_document(hit), score=hit.score) for hit in hits]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Do what `run` does."""
        return await asyncio.to_thread(self.run, query, filters, top_k)


def _checked(filters: Filters | None) -> Mapping[str, Any]:
    try:
        where = where_of(filters)
        parse_where(where)
    except InvalidArgumentError as error:
        raise FilterError(str(error)) from error
    return where


def _with_texts(documents: Any) -> list[Document]:
    if not isinstance(documents, list):
        raise InvalidArgumentError(f"documents is {shown(documents)}, expected a list of Document")
    for place, each in enumerate(documents):
        if not isinstance(each, Document) or each.content is None:
            raise InvalidArgumentError(
                f"documents[{place}] is {shown(each)}, expected a Document with content: a collection embeds texts"
            )
    return documents


def _document(found: Stored | Hit) -> Document:
    return Document(id=found.id, content=found.text, meta=found.metadata)
