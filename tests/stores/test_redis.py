"""Redis as a store of vectors, against a server: what every store promises, and what is Redis' own."""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np
import pytest

from redis_server import RedisServer
from revector._secrets import Secret
from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.redis import RedisKind, RedisStore
from revector.errors import StoreError

AXES = np.eye(4, dtype=np.float32)
DISTANCE = ("TYPE", "FLOAT32", "DIM", 4, "DISTANCE_METRIC")
VECTOR = ("emb", "VECTOR", "HNSW", 10, *DISTANCE, "COSINE", "M", 12, "EF_CONSTRUCTION", 150)
TAGS = ("kind", "TAG", "SEPARATOR", ";", "CASESENSITIVE", "WITHSUFFIXTRIE", "INDEXEMPTY", "INDEXMISSING")
TEXT = (
    "body",
    "AS",
    "text",
    "TEXT",
    "WEIGHT",
    "2.5",
    "NOSTEM",
    "title",
    "AS",
    "sep-arate",
    "TEXT",
    "NOINDEX",
    "SORTABLE",
)
PAYLOAD = (*TEXT, *TAGS, "price", "NUMERIC", "SORTABLE", "place", "GEO")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def client(server):
    """Return what an application has; there is nothing in the server."""
    with closing(server.client(protocol=2)) as client:
        for name in client.execute_command("FT._LIST"):
            client.execute_command("FT.DROPINDEX", name)
        client.flushall()
        yield client


@pytest.fixture
def store(server, client):
    with closing(RedisStore(server.place)) as store:
        yield store


@pytest.fixture
def backend(server, client, tmp_path):
    with closing(RedisKind.open(f"{server.place.url}?ledger={tmp_path}/docs.db#docs")) as backend:
        yield backend


class TestRedisStore(VectorStoreConformance):
    """What every store of vectors promises."""


class TestRedisBackend(BackendConformance):
    """What every backend promises, of a collection in Redis with its ledger in a file."""


def create(client, name="docs", fields=(*VECTOR, *PAYLOAD), prefix="doc:", options=()):
    client.execute_command("FT.CREATE", name, "ON", "HASH", "PREFIX", 1, prefix, *options, "SCHEMA", *fields)


def point(client, id_, axis=0, prefix="doc:", **fields):
    client.hset(f"{prefix}{id_}", mapping={"emb": AXES[axis].tobytes(), **fields})


def told(client, name):
    found = client.execute_command("FT.INFO", name)
    return dict(zip(found[::2], found[1::2], strict=True))


def test_an_index_that_is_like_another_has_its_parameters_fields_and_stop_words(store, client):
    create(client, options=("NOFREQS", "STOPWORDS", 2, "the", "a"))
    store.create("new", 7, "cosine", like="docs")
    old, new = told(client, "docs"), told(client, "new")
    old[b"attributes"][0][old[b"attributes"][0].index(b"dim") + 1] = 7
    for what in (b"attributes", b"index_options", b"stopwords_list"):
        assert new[what] == old[what]
    assert "m 12" in str(store.shape("new"))


def test_the_hashes_of_an_application_come_back_byte_for_byte(store, client):
    create(client)
    point(client, "é:1", body="a text", price="3.10", kind="", nothing="null")
    store.create("new", 4, "cosine", like="docs")
    page = store.read("docs", ["é:1"])
    assert page.payloads == [{"body": "a text", "price": "3.10", "kind": "", "nothing": "null"}]
    store.put("new", page.ids, AXES[1:2], page.payloads, like="docs")
    expected = {**client.hgetall("doc:é:1"), b"emb": AXES[1].tobytes()}
    assert client.hgetall("new:é:1") == expected


def test_other_vectors_and_bytes_are_carried_along(store, client):
    create(client, fields=(*VECTOR, "small", "VECTOR", "FLAT", 6, *DISTANCE, "L2"))
    point(client, "1", small=AXES[3].tobytes(), image=b"\x89PNG\xff", body="old")
    store.create("new", 4, "cosine", like="docs")
    assert store.describe("docs")["others"] == ["small"]
    assert store.read("docs", ["1"]).payloads == [{"body": "old"}]
    store.put("new", ["1", "2"], AXES[1:3], [{"body": "new"}, {"body": "another"}], like="docs")
    assert client.hgetall("new:1") == {
        b"emb": AXES[1].tobytes(),
        b"small": AXES[3].tobytes(),
        b"image": b"\x89PNG\xff",
        b"body": b"new",
    }
    assert client.hgetall("new:2") == {b"emb": AXES[2].tobytes(), b"body": b"another"}


def test_of_several_vectors_the_one_that_is_chosen_is_searched(server, client):
    create(client, fields=(*VECTOR, "other", "VECTOR", "FLAT", 6, *DISTANCE, "IP"))
    point(client, "1", axis=0, other=AXES[3].tobytes())
    with closing(RedisKind.connect(f"{server.place.url}?vector=other")) as store:
        assert (store.describe("docs")["metric"], store.describe("docs")["others"]) == ("dot", ["emb"])
        assert store.search("docs", AXES[3:], 1) == [(["1"], [1.0])]
    with (
        closing(RedisKind.connect(f"{server.place.url}?vector=ghost")) as store,
        pytest.raises(StoreError, match="emb"),
    ):
        store.describe("docs")


def test_numbers_of_a_payload_are_found_by_a_numeric_index(store, client):
    create(client)
    store.put("docs", ["1", "2"], AXES[:2], [{"price": 3}, {"price": 5.5}])
    assert client.execute_command("FT.SEARCH", "docs", "@price:[5 6]", "NOCONTENT") == [1, b"doc:2"]
    assert [payload["price"] for payload in store.read("docs", ["1", "2"]).payloads] == [3, 5.5]


def test_a_field_that_an_application_has_written_since_is_text(store, client):
    store.create("docs", 4, "cosine")
    store.put("docs", ["1"], AXES[:1], [{"n": 1}])
    client.hset("docs:1", "n", "not JSON")
    assert store.read("docs", ["1"]).payloads == [{"n": "not JSON"}]


def test_readers_follow_the_alias_to_vectors_of_another_dimension(store, client):
    def found(query):
        asked = ("*=>[KNN 1 @_vector $q]", "PARAMS", 2, "q", query.tobytes(), "NOCONTENT", "DIALECT", 2)
        return client.execute_command("FT.SEARCH", "live", *asked)

    for name, dimension in (("old", 4), ("new", 8)):
        store.create(name, dimension, "cosine")
        store.put(name, ["1"], np.ones((1, dimension), np.float32), [{}])
    store.point("live", "old")
    assert found(np.ones(4, np.float32)) == [1, b"old:1"]
    store.point("live", "new")
    assert found(np.ones(8, np.float32)) == [1, b"new:1"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("PREFIX", 2, "a:", "b:", "SCHEMA", *VECTOR), "prefixes"),
        (("SCHEMA", *VECTOR), "prefixes"),
        (("PREFIX", 1, "a:", "FILTER", "@price > 3", "SCHEMA", *VECTOR, *PAYLOAD), "filter"),
        (("PREFIX", 1, "a:", "SCHEMA", *PAYLOAD), "no vector"),
        (("PREFIX", 1, "a:", "SCHEMA", "emb", "VECTOR", "FLAT", 6, *DISTANCE, "L2"), "L2"),
        (
            ("PREFIX", 1, "a:", "SCHEMA", "emb", "VECTOR", "FLAT", 6, "TYPE", "FLOAT64", *DISTANCE[2:], "IP"),
            "FLOAT64",
        ),
    ],
)
def test_what_cannot_be_moved_is_refused_with_the_reason(store, client, arguments, reason):
    client.execute_command("FT.CREATE", "docs", "ON", "HASH", *arguments)
    with pytest.raises(StoreError, match=reason):
        store.describe("docs")


def test_hashes_that_two_indexes_share_are_neither_moved_nor_deleted_with_one_of_them(store, client):
    create(client)
    create(client, "others", prefix="doc:of:")
    point(client, "of:1")
    with pytest.raises(StoreError, match="others"):
        store.describe("docs")
    store.drop("docs")
    assert (store.names(), client.exists("doc:of:1")) == (["others"], 1)


def test_dropping_leaves_keys_alone_that_only_look_alike(store, client):
    store.create("d*cs", 4, "cosine")
    store.put("d*cs", ["1"], AXES[:1], [{}])
    client.set("docs:1", "of an application")
    store.drop("d*cs")
    assert client.keys() == [b"docs:1"]


def test_a_collection_is_not_made_where_keys_of_others_would_belong_to_it(store, client):
    create(client, prefix="doc")
    client.hset("mine:1", "of", "an application")
    for name, reason in (("docs_rv2", "would belong"), ("mine", "keys under")):
        with pytest.raises(StoreError, match=reason):
            store.create(name, 4, "cosine")
    assert store.names() == ["docs"]


def test_a_collection_is_not_named_like_an_alias_which_would_lose_its_readers(store):
    store.create("docs", 4, "cosine")
    store.point("live", "docs")
    with pytest.raises(StoreError, match="alias"):
        store.create("live", 4, "cosine")
    assert store.aliased("live") == "docs"


def test_a_scan_names_no_point_twice_while_others_are_deleted(store, client):
    n = 5_000
    store.create("docs", 4, "cosine")
    client.mset({f"more:{place}": "" for place in range(10 * n)})
    store.put("docs", [str(place) for place in range(n)], np.ones((n, 4), np.float32), [{}] * n)
    found = []
    for number, page in enumerate(store.scan("docs", batch=100)):
        found += page.ids
        if number == 5:
            client.unlink(*[f"more:{place}" for place in range(10 * n)])  # the server's table becomes smaller
    assert sorted(found, key=int) == [str(place) for place in range(n)]


def test_a_point_without_a_vector_is_read_as_not_a_number(store, client):
    create(client)
    client.hset("doc:1", "body", "no vector")
    client.hset("doc:2", mapping={"emb": b"short", "body": "half a vector"})
    page = next(store.scan("docs", vectors=True))
    assert len(page.ids) == 2
    assert np.isnan(page.vectors).all()


def test_a_password_comes_from_the_environment_and_is_seen_nowhere(tmp_path, monkeypatch, caplog):
    server = RedisServer(tmp_path / "closed", "--requirepass", "not-to-be-seen")
    monkeypatch.setenv("REDIS_PASSWORD", "not-to-be-seen")
    with closing(RedisKind.connect(server.place.url)) as store:
        store.create("docs", 4, "cosine")
        assert "not-to-be-seen" not in repr(vars(store)) + store.url
    for password in (None, Secret("wrong-and-secret", name="REDIS_PASSWORD")):
        began = time.monotonic()
        with (
            closing(RedisStore(server.place, password)) as store,
            pytest.raises(StoreError, match="set REDIS_") as error,
        ):
            store.names()
        assert time.monotonic() - began < 5, "what is wrong stays wrong"
        assert "wrong-and-secret" not in str(error.value) + caplog.text
    server.kill()
