"""Redis as a store of vectors, against a server."""

from __future__ import annotations

from contextlib import closing

import pytest

from redis_server import RedisServer
from revector.backends.conformance import VectorStoreConformance
from revector.backends.redis.store import RedisStore


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def client(server):
    with closing(server.client()) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(server, client):
    with closing(RedisStore(server.place)) as store:
        for name in store.names():
            store.drop(name)
        yield store


class TestRedisStore(VectorStoreConformance):
    """What every store of vectors promises."""
