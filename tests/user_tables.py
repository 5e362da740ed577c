"""Tables of a user in PostgreSQL, and how they are looked at before they are adopted."""

from __future__ import annotations

import uuid
from contextlib import contextmanager

import psycopg

from revector.backends.postgres.adoption.catalogue import look
from revector.backends.postgres.adoption.names import columns_of, table_of

DOCS = """
CREATE TABLE docs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, slug varchar(80) NOT NULL UNIQUE, body text, title text,
    info jsonb, size integer, changed timestamptz DEFAULT now(), embedding vector(3)
)
"""
PARTITIONED = """
CREATE TABLE docs (id bigint, at timestamptz, body text, embedding vector(3), PRIMARY KEY (id, at))
PARTITION BY RANGE (at);
CREATE TABLE docs_2025 PARTITION OF docs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
CREATE TABLE "docs 2025.0" PARTITION OF docs_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE docs_2025_1 PARTITION OF docs_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE docs_rest PARTITION OF docs DEFAULT;
"""


@contextmanager
def new_database(server):
    """Yield a connection to an empty database."""
    name = f"adoption_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            with psycopg.connect(server, dbname=name, autocommit=True) as connection:
                yield connection
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def looked(connection, table="docs", *, id_="id", text="body", vector="embedding", updated=None):
    """Return what is known of a table; names are spelled as on the command line."""
    keys, texts = (columns_of(names) if names else () for names in (id_, text))
    return look(connection, table_of(table), id=keys, text=texts, vector=vector, updated=updated)


def looked_after(connection, statements, **options):
    """Return what is known of a table after some statements."""
    connection.execute(statements)
    return looked(connection, **options)
