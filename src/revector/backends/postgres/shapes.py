"""What index a generation is searched by, as the catalogue has it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from revector.backends.contracts import EXACT, Generation, IndexShape
from revector.backends.postgres import building

# An index of the table, rather than those that partitions have for themselves; one that is valid; the graph.
_INDEX = """
SELECT amname, coalesce(reloptions, '{}'), indisvalid FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass) UNION SELECT %(table)s::regclass)
AND amname IN ('hnsw', 'ivfflat') AND indpred IS NULL
AND indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = indrelid AND attname = %(column)s)
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
    found = driver.execute(_INDEX, {"table": table.as_string(), "column": column}).fetchone()
    if found is None:
        return IndexShape(EXACT, why=_why_exact(generation, count))
    kind, options, is_valid = found
    said = dict(option.split("=", 1) for option in options)
    return IndexShape(kind, {**_BY_DEFAULT[kind], **said}, is_valid)


def _why_exact(generation: Generation, count: int) -> str:
    if generation.space.dimension > building.LARGEST_DIMENSION:
        return f"pgvector has no graph for more than {building.LARGEST_DIMENSION:,} dimensions"
    return f"fewer than {building.GRAPH_FROM:,} vectors are measured" if count < building.GRAPH_FROM else ""
