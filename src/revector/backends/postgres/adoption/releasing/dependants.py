"""What of others' depends on the column of a user's vectors, or on a collection's schema, or notices writes."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.releasing.column import MEMBERS, OF_COLUMN, Connection, said, texts

__all__ = ["disturbed", "publications", "users_of_column", "users_of_schemas"]

_USERS_OF_COLUMN = f"""{MEMBERS}
SELECT DISTINCT pg_describe_object(coalesce(shown.class, classid), coalesce(shown.oid, objid), coalesce(shown.part, 0))
FROM member JOIN pg_depend ON {OF_COLUMN}
LEFT JOIN LATERAL (
    SELECT 'pg_class'::regclass AS class, ev_class AS oid, 0 AS part FROM pg_rewrite
    WHERE classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
    UNION ALL SELECT 'pg_class'::regclass, adrelid, adnum FROM pg_attrdef
    WHERE classid = 'pg_attrdef'::regclass AND pg_attrdef.oid = objid
) AS shown ON true
WHERE NOT (classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = objid) IN ('i', 'I'))
    AND (shown.oid, shown.part) IS DISTINCT FROM (member.oid, member.attnum)
    AND NOT (classid = 'pg_constraint'::regclass AND (SELECT contype FROM pg_constraint WHERE oid = objid) = 'n')
    AND (SELECT relnamespace FROM pg_class WHERE oid = shown.oid) IS DISTINCT FROM {{schema}}::regnamespace::oid
ORDER BY 1
"""
_USERS_OF_SCHEMAS = """
WITH ours AS (
    SELECT 'pg_class'::regclass AS class, oid FROM pg_class WHERE relnamespace = ANY({schemas}::regnamespace[])
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = ANY({schemas}::regnamespace[])
    UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = ANY({schemas}::regnamespace[])
), users AS (
    SELECT DISTINCT
        CASE WHEN holder IS NULL THEN classid ELSE 'pg_class'::regclass END AS class, coalesce(holder, objid) AS oid
    FROM ours JOIN pg_depend ON refclassid = ours.class AND refobjid = ours.oid AND deptype = 'n'
    CROSS JOIN LATERAL (
        SELECT CASE classid
            WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = objid)
            WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_constraint WHERE oid = objid)
            WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid FROM pg_attrdef WHERE oid = objid)
        END AS holder
    ) AS held
    WHERE classid <> 'pg_trigger'::regclass
)
SELECT pg_describe_object(class, users.oid, 0) FROM users LEFT JOIN ours USING (class, oid) WHERE ours.oid IS NULL
ORDER BY 1
"""
_DISTURBED = f"""{MEMBERS}
SELECT DISTINCT tgname::text FROM member JOIN pg_trigger ON tgrelid = member.oid JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE NOT tgisinternal AND tgenabled = ANY({{enabled}}) AND tgtype & 16 <> 0 AND tgattr::text = ''
    AND pronamespace <> {{schema}}::regnamespace
ORDER BY 1
"""
_PUBLICATIONS = f"""{MEMBERS}
SELECT DISTINCT pubname::text FROM member JOIN pg_publication_tables ON (schemaname, tablename) = (schema, name)
ORDER BY 1
"""


def users_of_column(connection: Connection, captured: Captured) -> list[str]:
    """Return what uses the column, other than its indexes: views, functions, constraints, policies, publications."""
    return texts(connection, said(_USERS_OF_COLUMN, captured))


def users_of_schemas(connection: Connection, schemas: Sequence[str]) -> list[str]:
    """Return what uses tables, views or functions of some schemas and is in none of them; our triggers left out."""
    quoted = [sql.Identifier(schema).as_string() for schema in schemas]
    return texts(connection, sql.SQL(_USERS_OF_SCHEMAS).format(schemas=sql.Literal(quoted)))


def disturbed(connection: Connection, captured: Captured, *, quiet: bool) -> list[str]:
    """Return the triggers of the user's that run whenever another column is written, be it as quietly as can be."""
    return texts(connection, said(_DISTURBED, captured, enabled=sql.Literal(["R" if quiet else "O", "A"])))


def publications(connection: Connection, captured: Captured) -> list[str]:
    """Return the publications that rows of the table are in."""
    return texts(connection, said(_PUBLICATIONS, captured))
