"""A user's table in a database of its own, whose collection can be released: fake vectors, and what is left over."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote

from psycopg.sql import SQL, Identifier, Literal

from captured import OWN, Followed
from revector.backends.postgres.adoption.capture import follow
from revector.backends.postgres.adoption.release import Serving, give_back
from revector.backends.postgres.database.opening import LOCK_CLASS
from revector.backends.postgres.database.places import place_of
from user_tables import new_database

DOCS = "id bigint PRIMARY KEY, body text, embedding vector(3), price integer"
SERVING = Serving(OWN, 2, in_column=False)
IN_COLUMN = Serving(1, 3, in_column=True)

# The vector of a text is made of the first bytes of its hash, so that any kind of vector holds it exactly.
_OF_HASH = "format('[%s,%s]', get_byte({hash}, 0) / 256.0, get_byte({hash}, 1) / 256.0)::vector"
_LAND = f"""
SELECT pg_advisory_xact_lock_shared({{lock}}, (oid::bigint & 2147483647)::integer)
FROM pg_namespace WHERE nspname = {{collection}};
WITH held AS MATERIALIZED (
    SELECT r.key, r.content_hash FROM {{schema}}.rows AS r LEFT JOIN {{vectors}} AS v ON v.document_key = r.key
    WHERE r.has_text AND v.content_hash IS DISTINCT FROM r.content_hash ORDER BY r.key FOR SHARE OF r
)
INSERT INTO {{vectors}} SELECT key, 0, 0, content_hash, {_OF_HASH.format(hash="decode(content_hash, 'hex')")} FROM held
ON CONFLICT (document_key) DO UPDATE SET content_hash = excluded.content_hash, vector = excluded.vector
"""
_WRONG = f"""
SELECT docs.* FROM {{table}} AS docs CROSS JOIN LATERAL (SELECT sha256(convert_to({{body}}, 'UTF8')) AS hash) AS said
WHERE {{body}} <> '' AND {{vector}}::text IS DISTINCT FROM {_OF_HASH.format(hash="hash")}::text
"""
_COLUMNS = """
SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
    attacl::text, attstattarget, attstorage, attcompression, attoptions, col_description(attrelid, attnum)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = {schema}::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2
"""
_OBJECTS = """
SELECT 'relation', relname::text, relkind::text FROM pg_class WHERE relnamespace = {schema}::regnamespace
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) || indisvalid || coalesce(
    (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid), ''
) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = {schema}::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = {schema}::regnamespace
UNION ALL SELECT 'function', oid::regprocedure::text, '' FROM pg_proc WHERE pronamespace = {schema}::regnamespace
UNION ALL SELECT 'trigger', tgname::text, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2, 3
"""


class Releasable(Followed):
    """A table whose collection serves vectors of a table of ours, or those in the column."""

    def insert(self, rows=20):
        """Write rows that have a vector of the old model."""
        self.run(
            "INSERT INTO docs (id, body, embedding) "
            f"SELECT n, 'text ' || n, '[1, 2, 3]' FROM generate_series(1, {rows}) AS n"
        )
        return self

    def begin(self, serving=SERVING):
        """Follow the table from now on; all its texts have vectors, and nothing is left to do."""
        self.before = self.state()
        self.install()
        self.fill()
        generation = serving.generation
        for statement in follow(self.captured, {generation: serving.in_column}, [OWN]):
            self.run(statement.sql)
        self.ours("INSERT INTO aliases VALUES ('live', %s, 1) RETURNING 1", generation)
        self.land_all()
        return self

    def land_all(self, connection=None):
        """Store the vectors of all texts that have none, as a worker does."""
        connection = connection or self.connection
        said = SQL(_LAND).format(
            lock=Literal(LOCK_CLASS),
            collection=Literal(self.collection),
            schema=Identifier(self.collection),
            vectors=Identifier(self.collection, f"vectors_{OWN}"),
        )
        with connection.transaction():
            connection.execute(said)

    def release(self, serving=SERVING, **options):
        """Release it, on a connection of its own."""
        with self.connect() as connection:
            return give_back(connection, self.captured, serving, **options)

    def state(self):
        """Return what there is in the user's schema, and what is said of the columns of the tables, in any order."""
        schema = Literal(Identifier(self.schema).as_string())
        columns, objects = (self.run(SQL(each).format(schema=schema)).fetchall() for each in (_COLUMNS, _OBJECTS))
        return columns, objects

    def traces(self):
        """Return the schemas of revector."""
        return [name for (name,) in self.run("SELECT nspname FROM pg_namespace WHERE nspname ^@ 'revector'")]

    def wrong(self):
        """Return the rows whose vector is not that of their text; one without a text has none."""
        names = {"table": self.captured.name, "body": self.captured.text[0], "vector": self.captured.vector}
        return self.run(SQL(_WRONG).format(**{part: Identifier(name) for part, name in names.items()})).fetchall()

    def assert_given_back(self):
        """Nothing is left of revector, everything else is there, and every vector is that of its text."""
        columns, objects = self.state()
        of_others = [row for row in self.before[0] if row[1] != self.captured.vector]
        assert [row for row in columns if row[1] != self.captured.vector] == of_others
        assert objects == self.before[1]
        assert self.traces() == []
        assert self.wrong() == []


@contextmanager
def releasable(server, columns=DOCS, *, collection="docs", extension="public", **options):
    """Yield a table in a new database, which is to be made, filled and followed."""
    with new_database(server) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {extension}; CREATE EXTENSION vector SCHEMA {extension}")
        place = place_of(f"{server}#{quote(collection)}")
        own = replace(place, connection={**place.connection, "dbname": connection.info.dbname})
        table = Releasable(own.url, columns, **options)
        try:
            yield table
        finally:
            table.connection.close()
