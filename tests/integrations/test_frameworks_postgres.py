"""The frameworks' own suites on a collection in PostgreSQL, of which about half has moved."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain_tests", reason="needs langchain-tests (make test-integrations)")
pytest.importorskip("haystack.testing.document_store", reason="needs haystack-ai (make test-integrations)")

import test_haystack_standard
import test_langchain_standard

from phases import make_collection, opened

pytestmark = pytest.mark.integrations


@pytest.fixture(scope="module")
def kind():
    return "postgres"


@pytest.fixture
def collection(places):
    make_collection("half filled", places / "docs.db")
    with opened("half filled", places / "docs.db") as docs:
        yield docs


class TestLangChain(test_langchain_standard.TestVectorStore):
    pass


class TestHaystack(test_haystack_standard.TestDocumentStore):
    pass
