"""URLs of Milvus and Redis: what they say, and that they neither hold nor show a secret."""

from __future__ import annotations

import pytest

from revector.backends.milvus import places as milvus
from revector.backends.redis import places as redis
from revector.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("milvus://host", milvus.Place("http://host:19530", "default")),
        ("milvus://host:1234/shop", milvus.Place("http://host:1234", "shop")),
        ("milvus+https://host/shop", milvus.Place("https://host:19530", "shop")),
        ("milvus://[::1]:1234/shop?vector=body", milvus.Place("http://[::1]:1234", "shop", "body")),
        ("milvus:///a%20folder/docs.db", milvus.Place("/a folder/docs.db")),
        ("redis://host", redis.Place("host", 6379)),
        ("redis://host:1234/0?vector=body", redis.Place("host", 1234, vector="body")),
        ("rediss://me@host", redis.Place("host", 6379, "me", True)),
        ("redis://[::1]:1234", redis.Place("::1", 1234)),
    ],
)
def test_a_url_names_a_place_whose_url_names_it_again(url, place):
    place_of = milvus.place_of if url.startswith("milvus") else redis.place_of
    assert place_of(url) == place
    assert place_of(place.url) == place


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("milvus://me:hidden@host", "MILVUS_TOKEN"),
        ("milvus://hidden@host", "MILVUS_TOKEN"),
        ("milvus://host:hidden", "cannot be read"),
        ("milvus://host?other=hidden", "not the URL"),
        ("milvus://", "neither a server nor a file"),
        ("milvus+https:///docs.db", "neither a server nor a file"),
        ("milvus://host/a-hidden", "letters, digits"),
        ("redis://:hidden@host", "REDIS_PASSWORD"),
        ("redis://me:hidden@host", "REDIS_PASSWORD"),
        ("redis://host:hidden", "cannot be read"),
        ("redis://host/1", "only database 0"),
        ("redis://host?other=hidden", "not the URL"),
        ("redis://", "not the URL"),
    ],
)
def test_a_url_that_is_not_one_is_refused_and_not_repeated(url, said):
    place_of = milvus.place_of if url.startswith("milvus") else redis.place_of
    with pytest.raises(InvalidArgumentError, match=said) as refused:
        place_of(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(("module", "name"), [(milvus.token, milvus.TOKEN), (redis.password, redis.PASSWORD)])
def test_a_secret_is_that_of_the_environment(module, name, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    assert module() is None
    monkeypatch.setenv(name, "hidden")
    assert module().reveal() == "hidden"
    assert "hidden" not in repr(module())
