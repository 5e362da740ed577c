"""What `adopt --dry-run` prints is all that adopting does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg import sql

from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from user_tables import PARTITIONED, new_database
from worlds import OLD

SHAPES = {
    "bigint": 'CREATE TABLE "Shop"."All docs" (id bigint PRIMARY KEY, body text, price int, embedding vector(8))',
    "composite": (
        'CREATE TABLE "Shop"."All docs" (tenant text, id numeric, body text, embedding vector(8), '
        "PRIMARY KEY (tenant, id))"
    ),
    "partitioned": PARTITIONED.replace("vector(3)", "vector(8)")
    + 'ALTER TABLE docs RENAME TO "All docs"; ALTER TABLE "All docs" SET SCHEMA "Shop"',
}
KEYS = {"bigint": "id", "composite": "tenant,id", "partitioned": "id,at"}
MADE = {
    "relations": """
        SELECT nspname, relname, relkind, CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END, ARRAY(
            SELECT (attname, format_type(atttypid, atttypmod), attnotnull)::text FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum
        ) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'revector%' ORDER BY 1, 2
    """,
    "functions": """
        SELECT nspname, proname, pg_get_functiondef(p.oid), proacl::text FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname LIKE 'revector%' ORDER BY 1, 2
    """,
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname !~ '^RI_' ORDER BY 1, 2",
}


@pytest.fixture(params=SHAPES)
def shop(request, server):
    """A place, a connection, and what adopts the table there."""
    with new_database(server) as connection:
        connection.execute('CREATE EXTENSION vector; CREATE SCHEMA "Shop"')
        connection.execute(SHAPES[request.param])
        place = place_of(f"{server}#Odd name")
        place = replace(place, connection={**place.connection, "dbname": connection.info.dbname}).url
        table = TableToAdopt('"Shop"."All docs"', KEYS[request.param], ("body",), "embedding")

        def adopted(**options):
            return adopt(place, table, [OLD], accept_unidentified=False, tell=lambda _: None, **options)

        yield connection, adopted


def made(connection):
    return {kind: connection.execute(query).fetchall() for kind, query in MADE.items()}


def test_the_sql_of_a_dry_run_makes_what_adopting_makes(shop):
    connection, adopted = shop
    said = adopted(dry_run=True).statements
    assert not any(made(connection).values())
    for statement in [*said, "RESET search_path"]:
        connection.execute(statement)
    by_hand = made(connection)
    connection.execute('DROP SCHEMA "revector_Odd name", revector CASCADE')
    adopted(dry_run=False)
    assert by_hand == made(connection)
    assert len(by_hand["triggers"]) >= 5


def test_every_object_of_an_adopted_table_is_named_in_the_sql(shop):
    connection, adopted = shop
    said = "\n".join(adopted(dry_run=False).statements)
    names = {row[1] for kind in ("relations", "functions") for row in made(connection)[kind] if row[2] not in "iS"}
    names |= {name for name, _ in made(connection)["triggers"]}
    assert len(names) > 25
    assert [name for name in names if name not in said and sql.Identifier(name).as_string() not in said] == []
