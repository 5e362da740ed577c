"""A server, a database with pgvector, and a connection to it that finds no tables."""

from __future__ import annotations

import uuid

import pytest
from psycopg import sql

from postgres_server import places_on_server
from user_tables import new_database

MADE_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    return places_on_server(tmp_path_factory.mktemp("adoption")).partition("#")[0]


@pytest.fixture(scope="module")
def database(server):
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        yield connection


@pytest.fixture
def connection(database):
    """Return a connection to a database with pgvector, and an empty schema `app` at the head of its search_path."""
    database.execute("CREATE SCHEMA app; SET search_path = app, public")
    yield database
    database.execute("RESET ROLE; RESET ALL; DISCARD TEMP")
    for (schema,) in database.execute(MADE_SCHEMAS).fetchall():
        database.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def empty_database(server):
    with new_database(server) as connection:
        yield connection


@pytest.fixture
def role(connection):
    """Return the name of a role that may nothing."""
    name = f"role_{uuid.uuid4().hex}"
    connection.execute(f"CREATE ROLE {name}")
    yield name
    connection.execute(f"RESET ROLE; DROP OWNED BY {name}; DROP ROLE {name}")
