"""URLs of collections in PostgreSQL: what they mean, what is refused, and what of them is ever shown."""

from __future__ import annotations

import pytest

from revector import Collection
from revector.errors import InvalidArgumentError, NoCollectionError
from worlds import PLACES

pytest.importorskip("psycopg", reason="the extra postgres is not installed")

from revector.backends.postgres.database.places import place_of


def test_a_url_is_that_of_libpq_with_the_collection_after_it():
    place = place_of("postgres://me:pass%20word@db.example:5433/shop?sslmode=require#docs")
    assert (place.name, place.schema) == ("docs", "revector_docs")
    assert place.connection == {
        "user": "me", "password": "pass word", "host": "db.example", "port": "5433", "dbname": "shop",
        "sslmode": "require",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db/shop#docs", "postgresql://me@db/shop#docs"),
        ("postgresql+psycopg://me:s3cret@db/shop#docs", "postgresql://me@db/shop#docs"),
        ("postgresql:///shop?service=prod&password=s3cret#docs", "postgresql:///shop?service=prod#docs"),
        ("postgresql://db/shop?sslmode=allow&sslpassword=s3cret#docs", "postgresql://db/shop?sslmode=allow#docs"),
        ("postgresql:///shop?host=/var/run#a%20b", "postgresql:///shop?host=%2Fvar%2Frun#a%20b"),
        ("postgresql://me@[::1]:5432/shop#docs", "postgresql://me@/shop?host=%3A%3A1&port=5432#docs"),
        ("postgresql://a:1,b:2/shop#docs", "postgresql:///shop?host=a%2Cb&port=1%2C2#docs"),
    ],
)  # fmt: skip
def test_no_password_is_shown_and_the_rest_can_be_given_again(url, shown):
    assert "s3cret" not in repr(place_of(url).url)
    assert place_of(url).url == shown
    again = {name: value for name, value in place_of(url).connection.items() if "password" not in name}
    assert place_of(shown).connection == again


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:s3cret@db/shop", "names no collection"),
        ("postgresql://me:s3cret@db/shop#", "names no collection"),
        ("postgresql://me:s3cret@db:port:5/shop?nonsense=s3cret#docs", "libpq cannot read"),
        ("postgresql+asyncpg://me:s3cret@db/shop#docs", "the driver asyncpg is not supported"),
        ("postgresql://db/shop#" + "é" * 40, "80 bytes, and 54 at most"),
        ("postgresql://db/shop#a%00b", "NUL"),
    ],
)
def test_what_is_refused_is_not_repeated(url, said):
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        place_of(url)
    assert "s3cret" not in str(caught.value)


def test_a_collection_that_is_not_there_is_named_without_the_password(tmp_path):
    server, _, name = (PLACES["postgres"](tmp_path) / "none").partition("#")
    with pytest.raises(NoCollectionError) as caught:
        Collection.open(f"{server}&password=s3cret#{name}")
    assert "s3cret" not in f"{caught.value} {caught.value.path}"
