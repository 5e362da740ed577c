"""Looking at a table changes nothing, however things are called."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from revector.backends.postgres.adoption.contents import count
from revector.backends.postgres.adoption.names import TableName, listed
from revector.backends.postgres.adoption.queries import reading
from revector.errors import InvalidArgumentError
from user_tables import DOCS, looked, looked_after

SHADOWS = """
CREATE FUNCTION format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'shadow' $$;
CREATE FUNCTION concat_ws(text, text) RETURNS text LANGUAGE sql AS $$ SELECT (1 / 0)::text $$;
CREATE FUNCTION never(name, text) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 > 1 $$;
CREATE OPERATOR = (LEFTARG = name, RIGHTARG = text, FUNCTION = never)
"""
HOSTILE = [
    'a"b',
    '"',
    "a.b",
    "a%b",
    "%s",
    "%(oid)s",
    "{}",
    "{0}",
    "{table}",
    "it's",
    "select",
    "Docs",
    " blank ",
    "a,b",
    "a\\b",
    "a\nb",
    "$1",
    "$$",
    "--",
    "/*",
    ":name",
    "straße",
    "表格",
    "🐘",
    "x" * 63,
    "é" * 31,
    "ctid'::regclass",
    "'; DROP TABLE docs; --",
    '"; DROP SCHEMA app CASCADE; --',
]


def variant(name, number):
    """Return another name like it, of no more than 63 bytes."""
    return name.encode()[:62].decode(errors="ignore") + str(number)


def hostile_table(name, columns):
    """Return the statements that make a schema, a table in it, a column and an index of one name, and other columns."""
    return sql.SQL(
        "CREATE SCHEMA {name};"
        "CREATE TABLE {table} ({name} int, {} text, {} text, {} vector, {} date, PRIMARY KEY ({name}, {}));"
        "INSERT INTO {table} VALUES (1, 'a', 'text', '[1,2]');"
        "CREATE INDEX ON {table} USING hnsw (({}::vector(2)) vector_cosine_ops)"
    ).format(*columns, columns[0], columns[2], name=sql.Identifier(name), table=sql.Identifier(name, name))


def everything(connection, table):
    """Return the version of each relation, and of each row of a table."""
    relations = connection.execute("SELECT oid, relname, xmin FROM pg_class ORDER BY oid").fetchall()
    return relations, connection.execute(sql.SQL("SELECT xmin, * FROM {}").format(table)).fetchall()


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_every_spelling_are_read_and_nothing_is_changed(connection, name):
    second, text, vector, updated = columns = [variant(name, number) for number in range(4)]
    connection.execute(hostile_table(name, [sql.Identifier(each) for each in columns]))
    before = everything(connection, sql.Identifier(name, name))
    keys = listed([second, name])
    table = looked(
        connection, str(TableName(name, name)), id_=keys, text=listed([text]), vector=vector, updated=updated
    )
    contents = count(connection, table)
    assert everything(connection, sql.Identifier(name, name)) == before
    assert [column.name for column in (*table.keys, *table.texts, table.vector, table.updated)] == [
        second,
        name,
        text,
        vector,
        updated,
    ]
    assert (table.dimension, [index.metric for index in table.indexes], contents.rows) == (2, ["cosine"], 1)


def test_what_is_missing_is_spelled_so_that_it_can_be_given(connection):
    connection.execute('CREATE TABLE "My.Docs" ("A,b" int PRIMARY KEY)')
    with pytest.raises(InvalidArgumentError, match=r"""'app\."My\.Docs"' that is meant"""):
        looked(connection, '"my.docs"')
    with pytest.raises(InvalidArgumentError, match=r"""its columns are '"A,b"'$"""):
        looked(connection, '"My.Docs"')


def test_a_session_is_left_as_it_was(connection):
    connection.execute("SET search_path = public, app")
    count(connection, looked_after(connection, DOCS))
    with pytest.raises(InvalidArgumentError):
        looked(connection, text="nothing")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert connection.execute("SHOW search_path").fetchone() == ("public, app",)
    connection.execute("INSERT INTO docs (slug) VALUES ('it may write again')")


def test_nothing_can_be_written_by_what_reads(connection):
    """The policy of a table, say, may call a function that writes."""
    connection.execute("CREATE SEQUENCE seen")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), reading(connection):
        connection.execute("SELECT nextval('app.seen')")


def test_nobody_elses_functions_are_called(connection):
    """Neither one that shadows a function of the server's, nor an operator."""
    connection.execute(DOCS + ";" + SHADOWS)
    connection.execute("SET search_path = app, pg_catalog, public")
    assert count(connection, looked(connection)).rows == 0
