"""The column of a user's vectors, in the table and in its partitions: what is known of it, and what is said of it.

Everything is read with nothing but ``pg_catalog`` and the extension on the search_path: names and definitions come
back with their schemas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from revector.backends.postgres.adoption.fragments import Captured
from revector.errors import StoreError

__all__ = ["MEMBERS", "OF_COLUMN", "Facts", "carried", "facts", "said", "stored_as", "texts"]

Connection = psycopg.Connection[Any]

_FACTS = """
SELECT pg_has_role(relowner, 'USAGE') AS is_owner, row_security_active(pg_class.oid) AS is_partly_hidden,
    attnotnull AS is_required, typname::text AS kind, home.nspname::text AS extension,
    nullif(atttypmod, -1) AS dimension,
    attnum = (SELECT max(attnum) FROM pg_attribute WHERE attrelid = pg_class.oid AND NOT attisdropped) AS is_last,
    pg_get_expr(adbin, adrelid) AS default_expression,
    (SELECT conname::text FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'n' AND conkey = ARRAY[attnum])
        AS required_by,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = pg_class.oid) AS names
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = {vector}
JOIN pg_type ON pg_type.oid = atttypid JOIN pg_namespace AS home ON home.oid = typnamespace
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE pg_class.oid = to_regclass({table})
"""
MEMBERS = """
WITH member AS (
    SELECT pg_class.oid, relname::text AS name, nspname::text AS schema, relkind = 'p' AS is_partitioned, level, attnum
    FROM (
        SELECT relid::oid AS oid, level FROM pg_partition_tree({table}::regclass)
        UNION SELECT {table}::regclass::oid, 0
    ) AS tree JOIN pg_class USING (oid) JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = {vector}
)
"""
"""The table and its partitions, and the number that the column has in each."""
OF_COLUMN = "refclassid = 'pg_class'::regclass AND refobjid = member.oid AND refobjsubid = member.attnum"
"""Whether a row of ``pg_depend`` is of something that uses the column."""
_STORED_AS = """
SELECT format('ALTER TABLE %s ALTER COLUMN %I SET %s', attrelid::regclass, {successor}, said)
FROM pg_attribute CROSS JOIN LATERAL (VALUES
    (CASE attstorage
        WHEN 'p' THEN 'STORAGE PLAIN' WHEN 'e' THEN 'STORAGE EXTERNAL'
        WHEN 'm' THEN 'STORAGE MAIN' WHEN 'x' THEN 'STORAGE EXTENDED'
    END),
    (CASE attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END)
) AS stored (said)
WHERE attrelid = {table}::regclass AND attname = {vector} AND said IS NOT NULL
"""
_CARRIED = f"""{MEMBERS}, said AS (
    SELECT format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I ', schema, name, attname) AS alter, schema, name, attname,
        attstattarget, attoptions, attacl, col_description(attrelid, member.attnum) AS comment
    FROM member JOIN pg_attribute ON attrelid = member.oid AND pg_attribute.attnum = member.attnum
)
SELECT alter || format('SET STATISTICS %s', attstattarget) FROM said WHERE attstattarget >= 0
UNION ALL SELECT alter || format('SET (%s)', (
    SELECT string_agg(format('%I = %L', option_name, option_value), ', ') FROM pg_options_to_table(attoptions)
)) FROM said WHERE attoptions IS NOT NULL
UNION ALL SELECT format('COMMENT ON COLUMN %I.%I.%I IS %L', schema, name, attname, comment)
FROM said WHERE comment IS NOT NULL
UNION ALL SELECT format(
    'GRANT %s (%I) ON %I.%I TO %s%s', privilege_type, attname, schema, name,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
) FROM said CROSS JOIN LATERAL aclexplode(attacl)
"""


@dataclass(frozen=True)
class Facts:
    """What is known of the column, and of its table.

    Parameters
    ----------
    is_owner : bool
        Whether this role may change the table itself.
    is_partly_hidden : bool
        Whether row-level security shows this role only some rows.
    is_required : bool
        Whether the column is NOT NULL.
    required_by : str or None
        The name of the constraint that says so, since PostgreSQL 18.
    kind, extension : str
        Its type, and the schema of that.
    dimension : int or None
        The declared one.
    is_last : bool
        Whether no column follows it.
    default_expression : str or None
        Its default.
    names : list of str
        Of all columns of the table, those of the server's own included.
    """

    is_owner: bool
    is_partly_hidden: bool
    is_required: bool
    required_by: str | None
    kind: str
    extension: str
    dimension: int | None
    is_last: bool
    default_expression: str | None
    names: list[str]


def facts(connection: Connection, captured: Captured) -> Facts:
    """Return what is known of the column of a table's vectors; raise `StoreError` if it is not there."""
    found = connection.cursor(row_factory=class_row(Facts)).execute(said(_FACTS, captured)).fetchone()
    if found is None:
        raise StoreError(
            f"{captured.schema}.{captured.name}, or its column {captured.vector!r}, is gone; if it was renamed, give "
            "it its name back; if it was dropped, DROP SCHEMA … CASCADE removes what is left in "
            f"{captured.collection!r}"
        )
    return found


def stored_as(connection: Connection, captured: Captured, successor: str) -> list[str]:
    """Return the statements after which another column keeps its values as the column does."""
    return texts(connection, said(_STORED_AS, captured, successor=sql.Literal(successor)))


def carried(connection: Connection, captured: Captured) -> list[str]:
    """Return statements that say what is said of the column now: statistics, options, comment, privileges."""
    return texts(connection, said(_CARRIED, captured))


def said(statement: str, captured: Captured, **others: sql.Composable) -> sql.Composed:
    """Return a statement about a table; ``{table}``, ``{schema}`` and ``{vector}`` are its names, as texts."""
    return sql.SQL(statement).format(
        table=sql.Literal(sql.Identifier(captured.schema, captured.name).as_string()),
        schema=sql.Literal(sql.Identifier(captured.collection).as_string()),
        vector=sql.Literal(captured.vector),
        **others,
    )


def texts(connection: Connection, statement: sql.Composed) -> list[str]:
    """Return the only column of a query."""
    return connection.cursor(row_factory=scalar_row).execute(statement).fetchall()
