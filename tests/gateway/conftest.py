"""A collection of thirty documents, and a gateway in front of it."""

from __future__ import annotations

import pytest

from gateway_server import NEW, OLD, TEXTS, running
from revector.collection import Collection


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()), [{"number": place} for place in range(len(TEXTS))])
        yield docs


@pytest.fixture
def gateway(docs):
    with running(docs) as gateway:
        yield gateway
