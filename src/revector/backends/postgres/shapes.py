"""What index a generation is searched by, as the catalogue has it."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from revector.backends.contracts import EXACT, Generation, IndexShape
from revector.backends.postgres import building
from revector.backends.postgres.schema import VectorType

# Over the column, or over an expression of it that is a vector, too. An index of the table, rather than those that
# partitions have for themselves; one that is valid; the graph.
_INDEX = """
SELECT amname, coalesce(reloptions, '{}'), indisvalid, typname::text
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
JOIN pg_attribute AS key ON key.attrelid = indexrelid AND key.attnum = 1 JOIN pg_type ON pg_type.oid = key.atttypid
WHERE indrelid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass) UNION SELECT %(table)s::regclass)
AND amname IN ('hnsw', 'ivfflat') AND indpred IS NULL AND typname IN ('vector', 'halfvec') AND EXISTS (
    SELECT FROM pg_depend JOIN pg_attribute AS used ON used.attrelid = refobjid AND used.attnum = refobjsubid
    WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND refobjid = indrelid AND used.attname = %(column)s
)
ORDER BY indrelid = %(table)s::regclass DESC, indisvalid DESC, amname, indexrelid LIMIT 1
"""
_BY_DEFAULT = {"hnsw": {"m": "16", "ef_construction": "64"}, "ivfflat": {"lists": "100"}}


def shape_of(
    driver: psycopg.Connection[Any], generation: Generation, count: int, table: sql.Identifier, column: str
) -> IndexShape:
    """Return how the vectors of a generation are searched.

    Parameters
    ----------
    driver : psycopg.Connection
        Inside a transaction or snapshot.
    generation : Generation
    count : int
        Its vectors.
    table : Identifier
        That they are in.
    column : str
        Its column.
    """
    found = index_over(driver, table, column)
    if found is None:
        return IndexShape(EXACT, why=_why_exact(generation, count))
    return IndexShape(found.kind, {**_BY_DEFAULT[found.kind], **found.options}, found.is_valid)


class Found(NamedTuple):
    """An index: ``hnsw`` or ``ivfflat``, what is said of how it is built, whether it is used, and what it is over."""

    kind: str
    options: dict[str, str]
    is_valid: bool
    type: VectorType


def index_over(driver: psycopg.Connection[Any], table: sql.Identifier, column: str) -> Found | None:
    """Return the index by which a column of a table is searched, or ``None``; its table is named with its schema."""
    found = driver.execute(_INDEX, {"table": table.as_string(), "column": column}).fetchone()
    if found is None:
        return None
    kind, options, is_valid, type_ = found
    return Found(kind, dict(option.split("=", 1) for option in options), is_valid, type_)


def _why_exact(generation: Generation, count: int) -> str:
    largest = building.LARGEST_DIMENSION["halfvec"]
    if generation.space.dimension > largest:
        return f"pgvector has no graph for more than {largest:,} dimensions"
    return f"fewer than {building.GRAPH_FROM:,} vectors are measured" if count < building.GRAPH_FROM else ""
