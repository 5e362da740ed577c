"""What the rows of a table that is to be adopted hold."""

from __future__ import annotations

from psycopg import sql

from revector.backends.postgres.adoption.contents import Contents, count
from revector.backends.postgres.adoption.fragments import Captured, Column, fragments
from user_tables import DOCS, looked_after


def test_an_empty_table_holds_nothing(connection):
    assert count(connection, looked_after(connection, DOCS)) == Contents(0, 0, 0, 0, 0, 0, 0)


def test_rows_are_counted_by_what_they_lack(connection):
    table = looked_after(connection, DOCS, text="title,body")
    connection.execute(
        "INSERT INTO docs (slug, title, body, embedding) VALUES"
        "('whole', 'one', 'two', '[1,0,0]'), ('no title', NULL, 'two', '[1,0,0]'), ('zero', 'three', NULL, '[0,-0,0]'),"
        "('no text', NULL, NULL, '[1,0,0]'), ('blank', '', E' \\t\\n', '[1,0,0]'), ('no vector', 'four', '', NULL),"
        "('same', NULL, 'two', '[0,1,0]'), ('not the same', 'Two', NULL, '[0,1,0]'),"
        "('long', 'ä', repeat('x', 1000000), '[1,0,0]'), ('nothing', NULL, NULL, NULL)"
    )
    assert count(connection, table) == Contents(
        rows=10,
        without_vector=2,
        without_text=3,
        duplicates=2,
        zero_vectors=1,
        longest_text_bytes=1_000_004,
        long_texts=1,
    )


def test_zero_vectors_of_half_precision_are_counted(connection):
    table = looked_after(connection, "CREATE TABLE docs (id int PRIMARY KEY, body text, embedding halfvec(2))")
    connection.execute("INSERT INTO docs VALUES (1, '', '[0,0]'), (2, '', '[0,6e-8]')")
    assert count(connection, table).zero_vectors == 1


def test_texts_that_differ_in_case_alone_are_not_the_same(connection):
    connection.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public")
    table = looked_after(connection, "CREATE TABLE docs (id int PRIMARY KEY, body citext, embedding vector(2))")
    connection.execute("INSERT INTO docs VALUES (1, 'a'), (2, 'A'), (3, 'a')")
    assert count(connection, table).duplicates == 2


def test_columns_of_two_collations_are_one_text(connection):
    columns = 'id int PRIMARY KEY, body text COLLATE "C", title text COLLATE "POSIX", embedding vector(2)'
    table = looked_after(connection, f"CREATE TABLE docs ({columns})", text="body,title")
    connection.execute("INSERT INTO docs VALUES (1, 'a', 'b'), (2, 'a', 'b'), (3, 'b', 'a')")
    assert count(connection, table).duplicates == 2


def test_an_empty_column_is_no_part_of_a_text_here_as_for_the_triggers(connection):
    """Or the sample that names the model would have blank lines which are never embedded."""
    table = looked_after(connection, DOCS, text="title,body")
    connection.execute(
        "INSERT INTO docs (slug, title, body) VALUES ('a', '', 'one'), ('b', NULL, 'one'), ('c', '', '')"
    )
    texts = sql.SQL("SELECT {} FROM docs ORDER BY slug").format(table.text_expression)
    captured = Captured("c", "app", "docs", (Column("id", "bigint"),), ("title", "body"), "embedding")
    seen = sql.SQL("SELECT {} FROM docs AS t ORDER BY slug").format(fragments(captured)["text"])
    assert connection.execute(texts).fetchall() == connection.execute(seen).fetchall() == [("one",), ("one",), ("",)]
