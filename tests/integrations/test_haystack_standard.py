"""Haystack's own suites, in every phase of a migration."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("haystack.testing.document_store", reason="needs haystack-ai (make test-integrations)")

from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.testing.document_store import CountDocumentsByFilterTest, DocumentStoreBaseExtendedTests
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    WriteDocumentsAsyncTest,
)

from revector.integrations.haystack import RevectorDocumentStore

pytestmark = pytest.mark.integrations


class _Compared:
    @staticmethod
    def assert_documents_are_equal(received, expected):
        """Compare all but embeddings: a collection has its own."""
        assert received == [replace(each, embedding=None) for each in expected]


class TestDocumentStore(_Compared, DocumentStoreBaseExtendedTests, CountDocumentsByFilterTest):
    @pytest.fixture
    def document_store(self, collection):
        return RevectorDocumentStore(collection)

    def test_write_documents(self, document_store):
        """Without a policy, what exists is not overwritten."""
        assert document_store.write_documents([Document(id="1", content="one")]) == 1
        with pytest.raises(DuplicateDocumentError, match="'1' exists"):
            document_store.write_documents([Document(id="2", content="two"), Document(id="1", content="other")])
        assert document_store.count_documents() == 1


class TestDocumentStoreAsync(
    _Compared, CountDocumentsAsyncTest, DeleteDocumentsAsyncTest, FilterDocumentsAsyncTest, WriteDocumentsAsyncTest
):
    @pytest.fixture
    def document_store(self, collection):
        return RevectorDocumentStore(collection)

    async def test_write_documents_async(self, document_store):
        """Documents that come twice are written once where that is allowed."""
        twice = [Document(id="1", content="one"), Document(id="1", content="uno")]
        assert await document_store.write_documents_async(twice, policy=DuplicatePolicy.SKIP) == 1
        assert [each.content for each in await document_store.filter_documents_async()] == ["one"]
