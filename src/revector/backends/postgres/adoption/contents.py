"""What the rows of a user's table hold: counted in one pass that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import class_row

from revector.backends.postgres.adoption.queries import Connection, reading
from revector.backends.postgres.adoption.tables import AdoptedTable

__all__ = ["LONG_TEXT_BYTES", "Contents", "count"]

LONG_TEXT_BYTES = 1_000_000
"""A longer text is counted as one: hardly any model reads so much."""

# Texts are compared by hashes of 64 bits: that two of ten million differ and share one has a chance of 1 in 370,000.
# A text is blank if it is nothing but ASCII's white space; its beginning is looked at first, which is faster.
# OFFSET 0 is a barrier to the planner: a text is put together once, and what is grouped, on disk where there are many
# rows, is a hash and three numbers, and neither texts nor vectors.
_COUNT = """
SELECT coalesce(sum(rows), 0)::int8 AS rows,
    coalesce(sum(without_vector), 0)::int8 AS without_vector,
    coalesce(sum(rows) FILTER (WHERE hash IS NULL), 0)::int8 AS without_text,
    coalesce(sum(rows) FILTER (WHERE hash IS NOT NULL AND rows > 1), 0)::int8 AS duplicates,
    coalesce(sum(zero_vectors), 0)::int8 AS zero_vectors,
    coalesce(max(longest), 0) AS longest_text_bytes,
    coalesce(sum(long_texts), 0)::int8 AS long_texts
FROM (
    SELECT hash, count(*) AS rows, max(bytes) AS longest,
        count(*) FILTER (WHERE is_missing) AS without_vector,
        count(*) FILTER (WHERE is_zero) AS zero_vectors,
        count(*) FILTER (WHERE bytes > {long}) AS long_texts
    FROM (
        SELECT octet_length(text) AS bytes, vector IS NULL AS is_missing, {norm}(vector) = 0 AS is_zero,
            CASE WHEN left(text, 99) ~ {black} OR text ~ {black} THEN hashtextextended(text, 0) END AS hash
        FROM (SELECT {text} AS text, {vector} AS vector FROM {table} OFFSET 0) AS given OFFSET 0
    ) AS measured
    GROUP BY hash
) AS texts
"""


@dataclass(frozen=True)
class Contents:
    """What the rows of a table hold, as far as this role sees them.

    Parameters
    ----------
    rows, without_vector, without_text : int
        All of them, those whose vector is null, and those whose text columns are all null or blank.
    duplicates : int
        Rows whose text another row has; those without text are none.
    zero_vectors : int
        Vectors of length 0, which have no direction.
    longest_text_bytes : int
        In the encoding of the database.
    long_texts : int
        Texts of more than `LONG_TEXT_BYTES`.
    """

    rows: int
    without_vector: int
    without_text: int
    duplicates: int
    zero_vectors: int
    longest_text_bytes: int
    long_texts: int


def count(connection: Connection, table: AdoptedTable) -> Contents:
    """Read every row of a table once, and count.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, outside of a transaction.
    table : AdoptedTable
        As `revector.backends.postgres.adoption.catalogue.look` returns it.

    Raises
    ------
    psycopg.Error
        The rows may not be read, or the table is not what it was any more.
    """
    norm = "vector_norm" if table.vector.kind == "vector" else "l2_norm"
    statement = sql.SQL(_COUNT).format(
        long=sql.Literal(LONG_TEXT_BYTES),
        black=sql.Literal("[^[:space:]]"),
        norm=sql.Identifier(table.extension_schema, norm),
        text=table.text_expression,
        vector=sql.Identifier(table.vector.name),
        table=table.identifier,
    )
    with reading(connection):
        found = connection.cursor(row_factory=class_row(Contents)).execute(statement).fetchone()
    assert found is not None  # a statement that aggregates has one row
    return found
