"""Tables of every shape and spelling go the whole way: adopted, moved, cut over and back, with writes in between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg import sql

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from revector.errors import StoreError
from user_tables import new_database
from worlds import NEW, OLD

HOSTILE = (
    "a b", "select", 'we"ird', "dot.ted", "new", "t", "r", "key", "rows", "100%", "%s", "{x}", "Größe", "$body_0$",
    "'; DROP TABLE x; --", "x" * 60,
)  # fmt: skip


@pytest.fixture
def application(server):
    with new_database(server) as connection:
        yield connection


def url_of(connection, server):
    place = place_of(f"{server}#docs")
    return replace(place, connection={**place.connection, "dbname": connection.info.dbname}).url.partition("#")[0]


def quoted(name):
    return '"{}"'.format(name.replace('"', '""'))


def moved(server, connection, table):
    """Adopt a table with rows, move it, write to it on the way; return the ids and texts that the new vectors find."""
    url = url_of(connection, server)
    adopt(url, replace(table, name="docs"), [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
    with Collection.open(f"{url}#docs", encoders=[OLD, NEW]) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        yield "filling"
        migration.run()
        migration.verify()
        migration.cutover()
        yield "serving"
        migration.run()
        migration.rollback()
        yield "rolled back"
        migration.start()
        migration.run()
        assert migration.verify().passed
        migration.cutover()
        found = {}
        for batch in docs._backend.documents.scan():
            for document in batch:
                (hit,) = docs.search(document.text, k=1)
                found[document.id] = hit.text
                assert hit.text == document.text
        yield found


def embedded(text):
    return str(OLD.encode([text])[0].tolist())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_taken_as_they_are_spelled(server, application, name):
    """As that of the schema, the table and each of its columns."""
    application.execute("CREATE EXTENSION vector")
    columns = [f"{name[:50]}{place}" for place in range(4)]
    id_, body, other, vector = map(sql.Identifier, columns)
    schema = name[:50]
    table = sql.Identifier(schema, name)
    application.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    application.execute(
        sql.SQL("CREATE TABLE {} ({} int PRIMARY KEY, {} text, {} text, {} vector(8))").format(
            table, id_, body, other, vector
        )
    )

    def insert(number):
        values = map(sql.Literal, (number, f"text {number}", name, embedded(f"text {number}")))
        application.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(table, sql.SQL(", ").join(values)))

    for number in range(5):
        insert(number)
    spelled = [quoted(column) for column in columns]
    adopted = TableToAdopt(f"{quoted(schema)}.{quoted(name)}", spelled[0], (spelled[1],), columns[3])
    for step, phase in enumerate(moved(server, application, adopted)):
        if isinstance(phase, dict):
            assert phase == {str(number): f"text {number}" for number in (*range(5), 10, 11, 12)} | {"2": "other"}
        else:
            insert(10 + step)
            statement = "UPDATE {} SET {} = 'other' WHERE {} = 2"
            application.execute(sql.SQL(statement).format(table, body, id_))


SHAPES = {
    "composite": ("tenant int, number int, body text, v vector(8), PRIMARY KEY (tenant, number)", "tenant,number"),
    "text": ("slug varchar(80) PRIMARY KEY, body text, v vector(8)", "slug"),
    "uuid": ("id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text, v vector(8)", "id"),
    "unique": ("id bigserial PRIMARY KEY, code text NOT NULL UNIQUE, body text, v vector(8)", "code"),
    "json": ("id int PRIMARY KEY, body text, extra jsonb, raw json, at timestamptz, bytes bytea, v vector(8)", "id"),
    "no dimension": ("id int PRIMARY KEY, body text, v vector", "id"),
}
FIRST = {
    "composite": "SELECT i % 3, i, 'text ' || i FROM generate_series(1, 9) i",
    "text": "SELECT 'slug/' || i, 'text ' || i FROM generate_series(1, 9) i",
    "uuid": "SELECT gen_random_uuid(), 'text ' || i FROM generate_series(1, 9) i",
    "unique": "SELECT i, 'c' || i, 'text ' || i FROM generate_series(1, 9) i",
    "json": "SELECT i, 'text ' || i FROM generate_series(1, 9) i",
    "no dimension": "SELECT i, 'text ' || i FROM generate_series(1, 9) i",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_keys_of_any_type_name_documents(server, application, shape):
    """The vectors of later rows are made by revector."""
    application.execute("CREATE EXTENSION vector")
    columns, id_ = SHAPES[shape]
    application.execute(f"CREATE TABLE docs ({columns})")
    application.execute(f"INSERT INTO docs {FIRST[shape]}")
    for (body,) in application.execute("SELECT body FROM docs").fetchall():
        application.execute("UPDATE docs SET v = %s WHERE body = %s", [embedded(body), body])
    for phase in moved(server, application, TableToAdopt("docs", id_, ("body",), "v")):
        if isinstance(phase, dict):
            texts = {body for (body,) in application.execute("SELECT body FROM docs").fetchall()}
            assert (len(phase), set(phase.values())) == (8, texts)
        else:
            application.execute("UPDATE docs SET body = body || '!' WHERE body LIKE 'text 3%'")
            application.execute("DELETE FROM docs WHERE body = 'text 4'")


def test_a_partitioned_table_moves_as_one(server, application):
    application.execute("CREATE EXTENSION vector")
    application.execute(
        """
        CREATE TABLE docs (id int, region text, body text, v vector(8), PRIMARY KEY (id, region))
        PARTITION BY LIST (region);
        CREATE TABLE docs_eu PARTITION OF docs FOR VALUES IN ('eu');
        CREATE TABLE docs_rest PARTITION OF docs DEFAULT;
        """
    )
    for number in range(8):
        row = [number, "eu" if number % 2 else "us", f"text {number}", embedded(f"text {number}")]
        application.execute("INSERT INTO docs VALUES (%s, %s, %s, %s)", row)
    for phase in moved(server, application, TableToAdopt("docs", "id,region", ("body",), "v")):
        if isinstance(phase, dict):
            assert len(phase) == 8
        else:
            application.execute("UPDATE docs SET body = body || '.' WHERE id = 1")
            application.execute("UPDATE docs_eu SET body = body || '.' WHERE id = 3")
            application.execute("UPDATE docs SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE id = 5")


def test_pgvector_may_be_in_a_schema_of_its_own(server, application):
    application.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    application.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, v extensions.vector(8))")
    for number in range(5):
        row = [number, f"text {number}", embedded(f"text {number}")]
        application.execute("INSERT INTO docs VALUES (%s, %s, %s)", row)
    *_, found = moved(server, application, TableToAdopt("docs", "id", ("body",), "v"))
    assert len(found) == 5


def test_texts_of_ten_megabytes_are_moved(server, application):
    application.execute("CREATE EXTENSION vector")
    application.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, v vector(8))")
    texts = {"0": "short", "1": "word " * 2_000_000, "2": "other " * 2_000_000}
    for id_, body in texts.items():
        application.execute("INSERT INTO docs VALUES (%s, %s, %s)", [id_, body, embedded(body)])
    *_, found = moved(server, application, TableToAdopt("docs", "id", ("body",), "v"))
    assert found == texts


def test_a_column_may_be_renamed_on_the_way_and_named_back(server, application):
    application.execute("CREATE EXTENSION vector")
    application.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, v vector(8))")
    application.execute("INSERT INTO docs SELECT i, 'text ' || i FROM generate_series(1, 5) i")
    steps = moved(server, application, TableToAdopt("docs", "id", ("body",), "v"))
    assert next(steps) == "filling"
    application.execute("ALTER TABLE docs RENAME body TO content")
    application.execute("UPDATE docs SET content = 'text 6' WHERE id = 5")
    application.execute("ALTER TABLE docs RENAME content TO body")
    *_, found = steps
    assert found["5"] == "text 6"


def test_a_reader_that_may_only_read_searches_and_is_told_what_it_may_not(server, application):
    application.execute("CREATE EXTENSION vector")
    application.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, v vector(8))")
    application.execute("INSERT INTO docs VALUES (1, 'text 1', %s)", [embedded("text 1")])
    url = url_of(application, server)
    table = TableToAdopt("docs", "id", ("body",), "v")
    adopt(url, table, [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
    with Collection.open(f"{url}&options=-c%20default_transaction_read_only%3Don#docs", encoders=[OLD]) as docs:
        assert docs.search("text 1", k=1)[0].id == "1"
        with pytest.raises(StoreError, match="only reads"):
            docs.migrate(NEW)
