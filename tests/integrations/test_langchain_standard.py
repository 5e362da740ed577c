"""LangChain's own suites, in every phase of a migration."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain_tests", reason="needs langchain-tests (make test-integrations)")

from langchain_tests.integration_tests import EmbeddingsIntegrationTests, VectorStoreIntegrationTests

from revector.integrations.langchain import RevectorEmbeddings, RevectorVectorStore

pytestmark = pytest.mark.integrations


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, collection):
        return RevectorVectorStore(collection)


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return RevectorEmbeddings

    @pytest.fixture
    def model(self, collection):
        return RevectorEmbeddings(collection)
