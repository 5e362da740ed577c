"""Statements that read the server's catalogue. They change nothing, and lock the table no more than any query does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import args_row, class_row, dict_row, scalar_row

from revector.backends.postgres.adoption.names import TableName
from revector.backends.postgres.adoption.tables import Column, VectorIndex

Connection = psycopg.Connection[Any]

_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_SEARCH_PATH = "SELECT pg_catalog.current_schemas(true)::pg_catalog.text[]"
_QUALIFY = "SET LOCAL search_path = pg_catalog"
_EXTENSION = """
SELECT nspname::text FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'
"""
_RELATION = """
SELECT relation.oid::int8 AS oid, nspname::text AS schema, relname::text AS name, relkind::text AS kind,
    relpersistence = 't' AS is_temporary,
    relation.oid < 16384 OR nspname IN ('pg_catalog', 'pg_toast', 'information_schema') AS is_system,
    (SELECT coalesce(pg_partition_root(relation.oid), inhparent::regclass)::text
        FROM pg_inherits WHERE inhrelid = relation.oid ORDER BY inhseqno LIMIT 1) AS parent,
    relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = relation.oid) AS has_heirs
FROM pg_class AS relation JOIN pg_namespace AS home ON home.oid = relnamespace
WHERE relname = %(name)s::text AND nspname = ANY(%(schemas)s::text[])
ORDER BY array_position(%(schemas)s::text[], nspname::text) LIMIT 1
"""
_TABLES = """
SELECT nspname::text, relname::text FROM pg_class JOIN pg_namespace AS home ON home.oid = relnamespace
WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND pg_class.oid >= 16384
    AND nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
"""
# A column that is not null may hold nulls of an earlier time (PostgreSQL 18: NOT NULL … NOT VALID).
_COLUMNS = """
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type,
    CASE
        WHEN is_vector THEN typname::text
        WHEN typcategory = 'S' THEN 'text'
        WHEN typname IN ('json', 'jsonb') THEN 'json'
        WHEN typname IN ('timestamptz', 'timestamp', 'date') THEN 'time'
        ELSE 'other'
    END AS kind,
    CASE WHEN is_vector THEN nullif(atttypmod, -1) END AS dimension,
    NOT attnotnull OR EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = attrelid AND contype = 'n' AND conkey[1] = attnum AND NOT convalidated
    ) AS is_nullable,
    attgenerated <> '' AS is_generated,
    attgenerated <> 'v' AS is_stored
FROM pg_attribute JOIN (
    SELECT *, typname IN ('vector', 'halfvec', 'sparsevec')
        AND typnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'vector') AS is_vector
    FROM pg_type
) AS types ON types.oid = atttypid
WHERE attrelid = %(oid)s::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_UNIQUE_KEYS = """
SELECT ARRAY(
        SELECT attname::text FROM unnest(indkey[0:indnkeyatts - 1]) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number ORDER BY place
    ) AS columns,
    CASE
        WHEN indexprs IS NOT NULL THEN 'over an expression'
        WHEN indpred IS NOT NULL THEN 'partial'
        WHEN NOT indisvalid THEN 'not valid'
        WHEN NOT indimmediate THEN 'deferrable'
        ELSE ''
    END AS flaw
FROM pg_index WHERE indrelid = %(oid)s::oid AND indisunique AND NOT indisexclusion
ORDER BY indisprimary DESC, indexrelid
"""
_TREE = "(SELECT relid::oid FROM pg_partition_tree(%(oid)s::oid::regclass) UNION SELECT %(oid)s::oid)"
# What partitions have from the index of their table is left out. pg_depend knows the columns of expressions as well.
_VECTOR_INDEXES = f"""
SELECT relname::text AS name, amname::text AS method, pg_get_indexdef(indexrelid) AS definition,
    (SELECT opcname::text FROM pg_opclass WHERE oid = indclass[0]) AS operator_class,
    CASE amname
        WHEN 'hnsw' THEN '{{"m": "16", "ef_construction": "64"}}'::jsonb
        WHEN 'ivfflat' THEN '{{"lists": "100"}}'
        ELSE '{{}}'
    END || coalesce(
        (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(reloptions)), '{{}}'
    ) AS options,
    indisvalid AS is_valid
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid IN {_TREE} AND amname NOT IN ('btree', 'hash', 'gist', 'spgist', 'gin', 'brin')
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
    AND EXISTS (
        SELECT FROM pg_depend JOIN pg_attribute ON attrelid = indrelid AND attnum = refobjsubid
        WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND refobjid = indrelid
            AND attname = %(vector)s::text
    )
ORDER BY indexrelid
"""
_PARTITIONS = """
SELECT nspname::text, relname::text FROM pg_partition_tree(%(oid)s::oid::regclass) AS member
JOIN pg_class ON pg_class.oid = relid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relid <> %(oid)s::oid ORDER BY 1, 2
"""
_TRIGGERS = f"""
SELECT DISTINCT tgname::text FROM pg_trigger
WHERE tgrelid IN {_TREE} AND NOT tgisinternal ORDER BY 1
"""
_TRAITS = """
SELECT relrowsecurity AS has_row_security, row_security_active(oid) AS row_security_applies,
    relpersistence = 'p' AS is_logged, pg_has_role(relowner, 'USAGE') AS is_owner
FROM pg_class WHERE oid = %(oid)s::oid
"""
_MISSING_GRANTS = f"""
SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', nspname, current_user) FROM pg_namespace
WHERE (nspname = %(extension)s::text OR oid = (SELECT relnamespace FROM pg_class WHERE oid = %(oid)s::oid))
    AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL SELECT format('GRANT SELECT ON %%s TO %%I', %(oid)s::oid::regclass, current_user)
WHERE NOT has_table_privilege(%(oid)s::oid, 'SELECT')
UNION ALL SELECT format('GRANT TRIGGER ON %%s TO %%I', oid::regclass, current_user) FROM pg_class
WHERE oid IN {_TREE} AND NOT has_table_privilege(oid, 'TRIGGER')
UNION ALL SELECT format('GRANT UPDATE ON %%s TO %%I', %(oid)s::oid::regclass, current_user)
WHERE NOT has_table_privilege(%(oid)s::oid, %(locking)s)
UNION ALL SELECT format('GRANT UPDATE (%%I) ON %%s TO %%I', %(vector)s::text, %(oid)s::oid::regclass, current_user)
WHERE has_table_privilege(%(oid)s::oid, %(locking)s)
    AND NOT has_column_privilege(%(oid)s::oid, %(vector)s::text, 'UPDATE')
UNION ALL SELECT format('GRANT CREATE ON DATABASE %%I TO %%I', current_database(), current_user)
WHERE NOT has_database_privilege(current_database(), 'CREATE')
"""
_LOCKING = "UPDATE, DELETE, TRUNCATE"
"""Any of these rights lets a role LOCK TABLE; PostgreSQL 17 has one more, which lets nobody write."""
_MAINTAIN_SINCE = 170_000
_DIMENSIONS = """
SELECT {dimension}({vector}), count(*) FROM {table} WHERE {vector} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True)
class Relation:
    """What bears a table's name; `kind` is PostgreSQL's letter, `parent` and `has_heirs` say what it inherits."""

    oid: int
    schema: str
    name: str
    kind: str
    is_temporary: bool
    is_system: bool
    parent: str | None
    has_heirs: bool


class UniqueKey(NamedTuple):
    """A unique index, and why it does not make its columns a key: nothing, or one of a few words."""

    columns: list[str]
    flaw: str


@contextmanager
def reading(connection: Connection) -> Iterator[list[str]]:
    """Begin a transaction that sees one moment and can change nothing; yield the schemas that are searched for a table.

    Inside, nothing is searched but ``pg_catalog``: names come back with their schema, and no function or operator of
    anybody else is called.
    """
    with connection.transaction():
        connection.execute(_READ_ONLY)
        (path,) = connection.execute(_SEARCH_PATH).fetchone() or ([],)
        connection.execute(_QUALIFY)
        yield path


def extension_schema(connection: Connection) -> str | None:
    """Return the schema that pgvector is in, or ``None`` where it is not installed."""
    return connection.cursor(row_factory=scalar_row).execute(_EXTENSION).fetchone()


def relation(connection: Connection, name: str, schemas: Sequence[str]) -> Relation | None:
    """Return what bears a name in the first of some schemas that has it."""
    cursor = connection.cursor(row_factory=class_row(Relation))
    return cursor.execute(_RELATION, {"name": name, "schemas": list(schemas)}).fetchone()


def tables(connection: Connection) -> list[TableName]:
    """Return all tables of the database but the temporary ones and the server's own."""
    return connection.cursor(row_factory=args_row(TableName)).execute(_TABLES).fetchall()


def columns(connection: Connection, oid: int) -> tuple[Column, ...]:
    """Return the columns of a table, in its order."""
    return tuple(connection.cursor(row_factory=class_row(Column)).execute(_COLUMNS, {"oid": oid}))


def unique_keys(connection: Connection, oid: int) -> list[UniqueKey]:
    """Return the unique indexes of a table, the primary key first."""
    return connection.cursor(row_factory=args_row(UniqueKey)).execute(_UNIQUE_KEYS, {"oid": oid}).fetchall()


def vector_indexes(connection: Connection, oid: int, vector: str) -> tuple[VectorIndex, ...]:
    """Return the indexes for nearest neighbours that are over a column, or over an expression of it."""
    cursor = connection.cursor(row_factory=class_row(VectorIndex))
    return tuple(cursor.execute(_VECTOR_INDEXES, {"oid": oid, "vector": vector}))


def partitions(connection: Connection, oid: int) -> tuple[TableName, ...]:
    """Return the tables below a partitioned one, at every level; none of them is foreign, since it has a unique key."""
    return tuple(connection.cursor(row_factory=args_row(TableName)).execute(_PARTITIONS, {"oid": oid}))


def triggers(connection: Connection, oid: int) -> tuple[str, ...]:
    """Return the triggers of a table and of its partitions that somebody made."""
    return tuple(connection.cursor(row_factory=scalar_row).execute(_TRIGGERS, {"oid": oid}))


def traits(connection: Connection, oid: int) -> dict[str, bool]:
    """Return those fields of `AdoptedTable` that are one bit each."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(_TRAITS, {"oid": oid}).fetchone() or {}


def missing_grants(connection: Connection, oid: int, vector: str, extension: str) -> tuple[str, ...]:
    """Return the statements that would give this role what it needs to adopt a table, and lacks."""
    locking = _LOCKING + (", MAINTAIN" if connection.info.server_version >= _MAINTAIN_SINCE else "")
    parameters = {"oid": oid, "vector": vector, "extension": extension, "locking": locking}
    return tuple(connection.cursor(row_factory=scalar_row).execute(_MISSING_GRANTS, parameters))


def dimensions(connection: Connection, table: sql.Identifier, vector: str, extension: str) -> list[tuple[int, int]]:
    """Return each dimension that vectors of a column have, and the number of rows that have it; reads all of them."""
    statement = sql.SQL(_DIMENSIONS).format(
        dimension=sql.Identifier(extension, "vector_dims"), vector=sql.Identifier(vector), table=table
    )
    return connection.execute(statement).fetchall()  # without parameters: a name may hold a percent sign
