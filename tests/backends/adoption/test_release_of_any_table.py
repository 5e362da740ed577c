"""Tables of any shape are given back: partitioned ones, those of hostile names, those with keys of any type."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg.sql import SQL, Identifier, Literal

from released import releasable

PARTS = """
CREATE TABLE part_a PARTITION OF docs FOR VALUES IN ('a') PARTITION BY HASH (id);
CREATE TABLE part_a_0 PARTITION OF part_a FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_a_1 PARTITION OF part_a FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE part_b (gone text, embedding vector(3), region text NOT NULL, body text, id int NOT NULL);
ALTER TABLE part_b DROP gone;
ALTER TABLE docs ATTACH PARTITION part_b DEFAULT;
CREATE INDEX graph ON docs USING hnsw (embedding vector_l2_ops) WITH (m = 8);
CREATE INDEX of_one ON part_a_0 USING ivfflat (embedding) WITH (lists = 3) WHERE embedding IS NOT NULL;
CREATE INDEX ON docs (id) WHERE embedding IS NULL;
ALTER INDEX part_b_embedding_idx SET (ef_construction = 33);
INSERT INTO docs SELECT CASE WHEN n % 3 = 0 THEN 'b' ELSE 'a' END, n, 'text ' || n, '[1, 2, 3]'
FROM generate_series(1, 30) AS n
"""
# What ends quotes of every kind, and what is filled in where a statement is made.
HOSTILE = "a\"b.c%s%% {x} {} $1 $$ \\'; DROP TABLE docs; --"


def test_a_partitioned_table_has_its_indexes_at_every_level(server):
    columns = "region text, id int, body text, embedding vector(3), PRIMARY KEY (region, id)) PARTITION BY LIST (region"
    names = ("part_a", "part_a_0", "part_a_1", "part_b")
    key = (("region", "text"), ("id", "integer"))
    with releasable(server, columns, key=key, partitions=names) as table:
        table.make().run(PARTS)
        table.begin().release()
        table.assert_given_back()


@pytest.mark.parametrize("name", [HOSTILE, "é" * 31, "select"])
def test_names_are_what_they_are(server, name):
    column = Identifier(name)
    with releasable(
        server, "id text PRIMARY KEY, body text, embedding vector(3)", collection="it's %s {} $$ \\"
    ) as table:
        table.make().run(
            "INSERT INTO docs VALUES ('''; DROP TABLE docs; -- %s {}', 'one', '[1, 2, 3]'), ('$$', 'two', NULL)"
        )
        table.run(SQL("ALTER TABLE docs RENAME embedding TO {}").format(column))
        table.run(
            SQL("CREATE INDEX {0} ON docs USING hnsw ({1} vector_l2_ops) WHERE {1} IS NOT NULL").format(
                Identifier(name[:-1]), column
            )
        )
        table.run(SQL("COMMENT ON COLUMN docs.{} IS {}").format(column, Literal(HOSTILE)))
        table.run(SQL("ALTER TABLE docs ALTER {} SET DEFAULT NULL").format(column))
        table.run(SQL("ALTER TABLE docs RENAME TO {}").format(column))
        table.captured = replace(table.captured, name=name, vector=name)
        table.begin().release()
        table.assert_given_back()


def test_pgvector_may_be_in_any_schema(server):
    with releasable(server, extension="elsewhere") as table:
        table.run("SET search_path = user_docs, elsewhere")
        table.make().insert().run("CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops)")
        table.begin().release()
        table.assert_given_back()


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text, embedding vector(3)", [("id", "uuid")]),
        (
            "id text, n numeric(9, 2), body text, embedding vector(3), PRIMARY KEY (n, id)",
            [("id", "text"), ("n", "numeric(9,2)")],
        ),
        ("id citext PRIMARY KEY, body text, embedding vector(3)", [("id", "public.citext")]),
        ("id mood PRIMARY KEY, body text, embedding vector(3)", [("id", "public.mood")]),
    ],
)
def test_keys_of_any_type(server, columns, key):
    with releasable(server, columns, key=key, type_schemas=("public",)) as table:
        table.run("CREATE TYPE public.mood AS ENUM ('sad', 'glad'); CREATE EXTENSION citext SCHEMA public")
        table.make()
        for number, id_ in enumerate(["sad", "glad"]):
            given = {"id uuid": "DEFAULT"}.get(columns[:7], f"'{id_}'")
            more = (", n", f", {number}.5") if "numeric" in columns else ("", "")
            table.run(f"INSERT INTO docs (id, body{more[0]}) VALUES ({given}, 'text {number}'{more[1]})")
        table.begin().release()
        table.assert_given_back()
