"""A table with two columns of vectors is two collections, each of which knows what is written for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.opening import open_backend
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from user_tables import new_database
from worlds import OLD

COLUMNS = {"one": "first", "two": "second"}
DIMENSION = OLD.space.dimension
VECTOR = str(OLD.encode(["some text"])[0].tolist())


@pytest.fixture
def blog(server):
    """A table whose identity is no key, whose key has a time, and which has lost a column."""
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            "CREATE TABLE blog (id int GENERATED ALWAYS AS IDENTITY, title text, gone text, published timestamptz, "
            f"body text, first vector({DIMENSION}), second vector({DIMENSION}), PRIMARY KEY (title, published))"
        )
        connection.execute("ALTER TABLE blog DROP COLUMN gone")
        connection.execute(
            "INSERT INTO blog (title, published, body) VALUES ('hot', '2024-01-06', 'a'), ('dog', now(), 'b')"
        )
        yield connection


@pytest.fixture
def waiting(server, blog):
    """Adopt it twice; return what tells how many texts wait for a vector in each collection, and lets no more wait."""
    place = place_of(f"{server}#one")
    server_url = replace(place, connection={**place.connection, "dbname": blog.info.dbname}).url.partition("#")[0]
    for name, column in COLUMNS.items():
        table = TableToAdopt("blog", "title,published", ("body",), column, name=name)
        adopt(server_url, table, [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
    backends = {name: open_backend(f"{server_url}#{name}") for name in COLUMNS}

    def counted():
        return {name: backend.ledger.jobs.counts(1).outstanding for name, backend in backends.items()}

    def landed():
        for backend in backends.values():
            claims = backend.ledger.jobs.claim(1, "owner", 100, 60.0)
            keys, hashes = [claim.document_key for claim in claims], [claim.content_hash for claim in claims]
            backend.generations.put(1, keys, hashes, OLD.encode(["text"] * len(keys)))
            backend.ledger.jobs.complete(1, dict(zip(keys, hashes, strict=True)))
        return counted()

    yield counted, landed
    for backend in backends.values():
        backend.close()


def test_each_asks_for_what_its_own_column_lacks(blog, waiting):
    counted, landed = waiting
    assert (counted(), landed()) == ({"one": 2, "two": 2}, {"one": 0, "two": 0})
    blog.execute("UPDATE blog SET title = 'cold' WHERE title = 'hot'")
    assert counted() == {"one": 0, "two": 0}
    blog.execute("UPDATE blog SET title = 'warm', body = 'd' WHERE title = 'cold'")
    assert (counted(), landed()) == ({"one": 1, "two": 1}, {"one": 0, "two": 0})
    blog.execute("INSERT INTO blog (title, published, body) VALUES ('new', now(), 'c')")
    assert counted() == {"one": 1, "two": 1}
    blog.execute("DELETE FROM blog WHERE title = 'new'")
    assert counted() == {"one": 0, "two": 0}


@pytest.mark.parametrize(("name", "column"), COLUMNS.items())
def test_a_vector_that_is_written_or_removed_concerns_its_own_collection_alone(blog, waiting, name, column):
    counted, landed = waiting
    landed()
    blog.execute(f"UPDATE blog SET {column} = '{VECTOR}' WHERE title = 'dog'")
    assert counted() == {"one": 0, "two": 0}
    blog.execute(f"UPDATE blog SET {column} = NULL WHERE title = 'dog'")
    assert counted() == {"one": 0, "two": 0, name: 1}
