"""What cannot be adopted, and what is said of it."""

from __future__ import annotations

import pytest

from revector.errors import InvalidArgumentError
from user_tables import DOCS, looked, looked_after

FOREIGN = """
DROP FOREIGN DATA WRAPPER IF EXISTS wrapper CASCADE;
CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper
"""

REFUSED = {
    "no table": ("", {"table": "nothing"}, ["no table 'nothing' along the search_path (pg_catalog, app, public)"]),
    "a table misspelled": ("", {"table": "dosc"}, ["no table 'dosc'", "it may be 'app.docs' that is meant"]),
    "another case": ("", {"table": "app.Docs"}, ["no table 'app.Docs'", "it may be 'app.docs' that is meant"]),
    "another schema": ("", {"table": "public.docs"}, ["no table 'public.docs'", "it may be 'app.docs'"]),
    "a table that is not on the path": (
        "SET search_path = public",
        {},
        ["no table 'docs' along the search_path (pg_catalog, public)", "it may be 'app.docs' that is meant"],
    ),
    "a view": (
        "CREATE VIEW v AS SELECT * FROM docs",
        {"table": "v"},
        ["'app.v' is a view", "give the table behind it"],
    ),
    "a materialised view": (
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM docs",
        {"table": "m"},
        ["'app.m' is a materialised view", "REFRESH", "give the table behind it"],
    ),
    "a foreign table": (
        f"{FOREIGN}; CREATE FOREIGN TABLE far (id int) SERVER elsewhere",
        {"table": "far"},
        ["'app.far' is a foreign table", "adopt it in its own database"],
    ),
    "an index": ("", {"table": "docs_pkey"}, ["'app.docs_pkey' is an index; give its table"]),
    "a sequence": ("", {"table": "docs_id_seq"}, ["'app.docs_id_seq' is a sequence"]),
    "a composite type": ("CREATE TYPE pair AS (a int, b int)", {"table": "pair"}, ["'app.pair' is a composite type"]),
    "a system table": ("", {"table": "pg_class"}, ["'pg_catalog.pg_class' belongs to PostgreSQL itself"]),
    "a table of the standard": (
        "",
        {"table": "information_schema.sql_features"},
        ["'information_schema.sql_features' belongs to PostgreSQL itself"],
    ),
    "a temporary table": (
        "CREATE TEMP TABLE passing (id int); ",
        {"table": "passing"},
        ["passing' is a temporary table, which no other connection can see"],
    ),
    "a partition": (
        "CREATE TABLE whole (id int, at int) PARTITION BY RANGE (at);"
        "CREATE TABLE half PARTITION OF whole DEFAULT PARTITION BY RANGE (id);"
        "CREATE TABLE quarter PARTITION OF half DEFAULT",
        {"table": "quarter"},
        ["'app.quarter' holds rows of 'app.whole'", "give that"],
    ),
    "an heir": ("CREATE TABLE heir () INHERITS (docs)", {"table": "heir"}, ["'app.heir' holds rows of 'app.docs'"]),
    "a table with heirs": ("CREATE TABLE heir () INHERITS (docs)", {}, ["'app.docs' is inherited by other tables"]),
    "no such column": (
        "",
        {"text": "boddy"},
        ["text: 'app.docs' has no column 'boddy'; it may be 'body' that is meant"],
    ),
    "a column's case": (
        "",
        {"vector": "Embedding"},
        ["vector: 'app.docs' has no column 'Embedding'; it may be 'embed"],
    ),
    "nothing like it": ("", {"id_": "x"}, ["id: 'app.docs' has no column 'x'; its columns are 'id,slug,body"]),
    "a dropped column": ("ALTER TABLE docs DROP size", {"text": "size"}, ["text: 'app.docs' has no column 'size'"]),
    "a column of the system": ("", {"id_": "ctid"}, ["id: 'app.docs' has no column 'ctid'"]),
    "twice in one option": ("", {"text": "body,title,body"}, ["the column 'body' is given twice"]),
    "twice in two options": ("", {"id_": "slug", "text": "slug"}, ["the column 'slug' is given twice"]),
    "a key that may be null": (
        "CREATE UNIQUE INDEX ON docs (title)",
        {"id_": "title"},
        ["id: 'title' can be null in 'app.docs'", "SET NOT NULL"],
    ),
    "half a key that may be null": (
        "CREATE UNIQUE INDEX ON docs (slug, title, size)",
        {"id_": "slug,title,size", "text": "body"},
        ["id: 'title' and 'size' can be null in 'app.docs'"],
    ),
    "not unique": (
        "ALTER TABLE docs ALTER size SET NOT NULL",
        {"id_": "size"},
        ["id: 'size' is not a unique key of 'app.docs'", "it has 'id', 'slug';", "CREATE UNIQUE INDEX CONCURRENTLY"],
    ),
    "more than a key": (
        "",
        {"id_": "id,slug"},
        ["id: 'id,slug' is not a unique key of 'app.docs'", "it has 'id', 'slug';"],
    ),
    "part of a key": (
        "ALTER TABLE docs ALTER size SET NOT NULL; CREATE UNIQUE INDEX ON docs (size, slug)",
        {"id_": "size"},
        ["id: 'size' is not a unique key", "it has 'id', 'slug', 'size,slug';"],
    ),
    "a partial key": (
        "ALTER TABLE docs ALTER size SET NOT NULL; CREATE UNIQUE INDEX ON docs (size) WHERE size > 0",
        {"id_": "size"},
        ["id: 'size' is not a unique key", "'size' (partial)"],
    ),
    "a deferrable key": (
        "ALTER TABLE docs ALTER size SET NOT NULL, ADD UNIQUE (size) DEFERRABLE",
        {"id_": "size"},
        ["id: 'size' is not a unique key", "'size' (deferrable)"],
    ),
    "a key whose index was not built": (
        "ALTER TABLE docs ALTER size SET NOT NULL; CREATE UNIQUE INDEX halfway ON docs (size);"
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'halfway'::regclass",
        {"id_": "size"},
        ["id: 'size' is not a unique key", "'size' (not valid)"],
    ),
    "a key over an expression": (
        "ALTER TABLE docs ALTER title SET NOT NULL; CREATE UNIQUE INDEX ON docs (title, lower(body))",
        {"id_": "title"},
        ["id: 'title' is not a unique key", "'title' (over an expression)"],
    ),
    "no key at all": (
        "CREATE TABLE heap (id int NOT NULL, body text, embedding vector(3))",
        {"table": "heap"},
        ["id: 'id' is not a unique key of 'app.heap'", "it has none"],
    ),
    "a text that is none": ("", {"text": "size"}, ["text: the column 'size' is of type integer, expected text"]),
    "json as text": ("", {"text": "info"}, ["'info' is of type jsonb, expected text", "\"info\" ->> '…'", "STORED"]),
    "an array of texts": (
        "ALTER TABLE docs ADD words text[]",
        {"text": "words"},
        ["text: the column 'words' is of type text[], expected text"],
    ),
    "a vector of numbers": (
        "ALTER TABLE docs ADD numbers float8[]",
        {"vector": "numbers"},
        ["vector: the column 'numbers' is of type double precision[], expected vector or halfvec", "ALTER COLUMN"],
    ),
    "a sparse vector": (
        "ALTER TABLE docs ADD sparse sparsevec(3)",
        {"vector": "sparse"},
        ["vector: the column 'sparse' is of type public.sparsevec(3), expected vector or halfvec"],
    ),
    "somebody else's vector": (
        "CREATE TYPE app.vector AS (x real, y real); ALTER TABLE docs ADD point app.vector",
        {"vector": "point"},
        ["vector: the column 'point' is of type app.vector, expected vector or halfvec of pgvector"],
    ),
    "a time that is none": (
        "",
        {"updated": "size"},
        ["updated: the column 'size' is of type integer, expected a times"],
    ),
    "a generated vector": (
        "ALTER TABLE docs ADD copy vector(3) GENERATED ALWAYS AS (embedding) STORED",
        {"vector": "copy"},
        ["vector: the column 'copy' is generated from others, expected one that is written"],
    ),
    "a generated key": (
        "ALTER TABLE docs ADD double bigint NOT NULL UNIQUE GENERATED ALWAYS AS (size * 2) STORED",
        {"id_": "double"},
        ["id: the column 'double' is generated from others"],
    ),
    "a virtual text": (
        "ALTER TABLE docs ADD both_texts text GENERATED ALWAYS AS (title || body) VIRTUAL",
        {"text": "both_texts"},
        ["text: the column 'both_texts' is generated from others", "or make it STORED"],
    ),
    "a key that may have been null": (
        "ALTER TABLE docs ADD CONSTRAINT later NOT NULL size NOT VALID, ADD UNIQUE (size)",
        {"id_": "size"},
        ["id: 'size' can be null in 'app.docs'"],
    ),
    "no columns": ("", {"text": ""}, ["text names no column, expected at least one of 'id,slug,body"]),
    "no dimension and no rows": (
        "ALTER TABLE docs ALTER embedding TYPE vector",
        {},
        ["vector: 'embedding' declares no dimension, and no row has a vector", "TYPE vector(…)"],
    ),
    "two dimensions": (
        "ALTER TABLE docs ALTER embedding TYPE vector; INSERT INTO docs (slug, embedding) VALUES"
        "('a', '[1,2]'), ('b', '[1,2,3]'), ('c', '[1,2,3]'), ('d', NULL)",
        {},
        ["vector: 'embedding' has vectors of 2 dimensions (3 in 2 rows, 2 in 1 row), expected one"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_adopted_is_refused(connection, case):
    statements, options, said = REFUSED[case]
    connection.execute(DOCS)
    with pytest.raises(InvalidArgumentError) as refusal:
        looked_after(connection, statements, **options)
    assert [words for words in said if words not in str(refusal.value)] == [], str(refusal.value)


def test_a_database_without_pgvector_is_refused(empty_database):
    empty_database.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, embedding real[])")
    with pytest.raises(InvalidArgumentError, match=r"pgvector is not installed in this database; .*CREATE EXTENSION"):
        looked(empty_database)
