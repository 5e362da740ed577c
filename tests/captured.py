"""A table of a user's on the PostgreSQL server of the tests, and a collection that follows it."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier

from revector.backends.postgres.adoption.capture import Captured, Column, fill, fill_again, install
from revector.backends.postgres.backend import PostgresBackend
from revector.backends.postgres.database.places import place_of
from revector.spaces import EmbeddingSpace
from worlds import places_of

COLUMN, OWN = 1, 2
"""The generation in the user's column, and one in a table of its own."""
DOCS = "id bigint PRIMARY KEY, body text, note text, embedding vector(2)"
LIVE = {COLUMN: True, OWN: False}


class Followed:
    """The table ``docs``, in a schema of the user's, and its collection; `captured` says what its columns mean.

    Statements of the user's say ``docs`` for the table, those of the collection what its schema has.
    """

    def __init__(
        self,
        place,
        columns=DOCS,
        *,
        key=(("id", "bigint"),),
        text=("body",),
        vector="embedding",
        partitions=(),
        **others,
    ):
        self.url, self.collection = place.partition("#")[0], place_of(place).schema
        self.schema = self.collection.replace("revector", "user", 1)
        columns_of_key = tuple(Column(*each) for each in key)
        parts = tuple((self.schema, name) for name in partitions)
        self.captured = Captured(
            self.collection, self.schema, "docs", columns_of_key, text, vector, partitions=parts, **others
        )
        _make_collection(place)
        self.connection = self.connect()
        self.run(f'CREATE SCHEMA "{self.schema}"')
        self._columns = columns

    def make(self):
        """Make the table."""
        self.run(SQL("CREATE TABLE docs ({})").format(SQL(self._columns)))
        return self

    def connect(self, **options):
        """Return another connection of the user's."""
        connection = psycopg.connect(self.url, autocommit=True, **options)
        connection.execute(f'SET search_path = "{self.schema}", public')
        return connection

    def add_citext(self):
        """Add a type whose texts are equal in either case."""
        self.run("SELECT pg_advisory_lock(1)")
        self.run("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public")
        self.run("SELECT pg_advisory_unlock(1)")

    def install(self):
        """Begin to follow the table."""
        for statement in install(self.captured, LIVE, [OWN]):
            self.run(statement.sql)
        return self

    def run(self, statement, *parameters):
        """Run a statement of the user's."""
        return self.connection.execute(statement, parameters or None)

    def ours(self, statement, *parameters):
        """Return the rows of a query of the collection's."""
        with self.connection.transaction():
            self.run(f'SET LOCAL search_path = "{self.collection}", public')
            return self.run(statement, *parameters).fetchall()

    def column(self, statement, *parameters):
        """Return the first column of a query of the collection's."""
        return [row[0] for row in self.ours(statement, *parameters)]

    def fill(self, most=100):
        """Give all rows their shadows; return what was said."""
        said = []
        while said[-1:] != ["done"]:
            said += [row[0] for row in self.run(fill(self.captured, most))]
        return said

    def fill_again(self):
        """Look at all rows again."""
        self.run(fill_again(self.captured).sql)
        self.fill()

    def shadows(self):
        """Return the content hash of each shadow by id."""
        return dict(self.ours("SELECT id, content_hash FROM documents"))

    def keys(self):
        """Return the key of each shadow by id."""
        return dict(self.ours("SELECT id, key FROM documents"))

    def jobs(self, generation):
        """Return the ids that a vector is asked for in a generation."""
        query = """
            SELECT id FROM jobs JOIN documents ON key = document_key
            WHERE generation = %s AND state = 'pending' ORDER BY id
        """
        return self.column(query, generation)

    def current(self, generation=OWN):
        """Return the ids with a vector of the present text in a generation."""
        state = "column_state" if generation == COLUMN else f"vectors_{generation}"
        query = f"""
            SELECT id FROM documents JOIN {state} AS stored ON document_key = key
            WHERE stored.content_hash = documents.content_hash ORDER BY id
        """
        return self.column(query)

    def land(self, *ids):
        """Store vectors of the present texts in the generation with a table of its own."""
        landing = f"""
            WITH landed AS (
                INSERT INTO vectors_{OWN} SELECT key, 0, 0, content_hash, '[1, 2]' FROM documents WHERE id = ANY(%s)
                RETURNING document_key
            )
            DELETE FROM jobs WHERE generation = {OWN} AND document_key IN (SELECT document_key FROM landed) RETURNING 1
        """
        self.ours(landing, list(ids))

    def versions(self):
        """Return the version of each row of the collection that a statement of the user's may write."""
        tables = "rows", "jobs"
        return {name: self.ours(f"SELECT ctid::text, xmin::text FROM {name} ORDER BY 1") for name in tables}

    def left_over(self):
        """Return the tables of the collection that hold anything of rows which are gone."""
        ids = ", ".join(f"id_{place}" for place, _ in enumerate(self.captured.key, 1))
        keys = self.column(f"SELECT key FROM rows JOIN present USING ({ids})")
        of_documents = {
            "rows": "key",
            "jobs": "document_key",
            "access": "document_key",
            f"vectors_{OWN}": "document_key",
        }
        query = "SELECT 1 FROM {} WHERE NOT {} = ANY(%s)"
        return [name for name, key in of_documents.items() if self.ours(query.format(name, key), keys)]


def _make_collection(place):
    """Make a collection of our own with two generations, but without documents: those are the user's."""
    backend = PostgresBackend.open(place)
    for model in ("old", "new"):
        backend.generations.create(EmbeddingSpace(model, 2, model), None)
    backend.close()
    with psycopg.connect(place.partition("#")[0], autocommit=True) as connection:
        connection.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(place_of(place).schema, "documents")))


@contextmanager
def followed(folder, *arguments, **options):
    """Yield a table that is followed; nothing of it is left."""
    with places_of("postgres", folder) as places:
        table = Followed(places / "docs.db", *arguments, **options)
        try:
            yield table
        finally:
            table.run(f'DROP SCHEMA "{table.schema}" CASCADE')
            table.connection.close()
