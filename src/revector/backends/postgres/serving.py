"""What readers in plain SQL see: a view that changes generation when the alias does, and functions that say which one.

In the collection's schema, the view ``serving`` has the vectors of the generation that serves, under the type
``vector`` without a dimension, so that statements that were prepared before a cut-over go on after it. In the schema
``revector``, ``nearest`` answers a query vector in whatever live generation it was made for, and ``serving`` says what
serves now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from revector.backends.postgres.building import OVER
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.opening import MADE_BY_ONE
from revector.backends.postgres.database.places import SCHEMA
from revector.backends.postgres.index import BREADTH, BROADEST, OVERFETCH, WIDENED
from revector.backends.postgres.schema import vectors_table
from revector.errors import StoreBusyError

WAIT_SECONDS = 0.2
"""So long a swap of the alias waits for readers of the view, beside whom nobody writes; then it gives up."""

_VIEW = """
CREATE OR REPLACE VIEW serving AS SELECT {columns}, stored.vector::vector AS embedding, stored.content_hash
FROM {vectors} AS stored JOIN {named} AS named ON named.key = stored.document_key
"""
_NO_SCHEMA = f"SELECT to_regnamespace('{SCHEMA}') IS NULL"
_RELEASE = "revector 4"
"""What the functions are: another text where a release changes them."""
_FOUND = f"""
SELECT obj_description(oid) FROM pg_proc
WHERE proname = 'nearest' AND pronamespace = to_regnamespace('{SCHEMA}')
"""
_OVER = OVER.format(
    vectors="format('%I.%I', place, 'vectors_' || asked)",
    dimension="(space ->> 'dimension')::integer",
    operators="CASE space ->> 'metric' WHEN 'dot' THEN 'ip_ops' ELSE 'cosine_ops' END",
)
_FUNCTIONS = """
CREATE OR REPLACE FUNCTION {revector}.serving(
    collection text,
    OUT generation integer, OUT model text, OUT revision text, OUT dimension integer, OUT version bigint
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $serving$
BEGIN
    EXECUTE format(
        'SELECT aliases.generation, space ->> ''model'', space ->> ''revision'', '
        '(space ->> ''dimension'')::integer, version '
        'FROM %1$I.aliases JOIN %1$I.generations ON id = aliases.generation WHERE name = ''live''',
        '{revector}_' || collection
    ) INTO generation, model, revision, dimension, version;
END
$serving$;
CREATE OR REPLACE FUNCTION {revector}.nearest(
    collection text, query {extension}.vector, k integer DEFAULT 10, generation integer DEFAULT NULL
) RETURNS TABLE (id text, distance double precision) LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, {extension}
AS $nearest$
DECLARE
    place text := '{revector}_' || collection;
    asked integer := coalesce(generation, (SELECT s.generation FROM {revector}.serving(collection) AS s));
    space jsonb;
    before text;
    sorts text := current_setting('enable_sort');
    breadth integer;
    candidates integer := k;
    graph text;
BEGIN
    EXECUTE format('SELECT space FROM %I.generations WHERE id = $1 AND NOT dropped', place) INTO space USING asked;
    IF space IS NULL THEN
        RAISE EXCEPTION 'the collection % has no generation %', collection, asked
            USING HINT = 'embed the query with the model that {revector}.serving names, and give its generation';
    END IF;
    IF vector_dims(query) <> (space ->> 'dimension')::integer THEN
        RAISE EXCEPTION 'the query has % dimensions, generation % of % has %',
            vector_dims(query), asked, collection, space ->> 'dimension'
            USING HINT = format('it is that of the model %s', space ->> 'model');
    END IF;
    EXECUTE format('SELECT value FROM %I.meta WHERE key = $1', place) INTO breadth USING {widened} || asked;
    before := current_setting('hnsw.ef_search');
    breadth := greatest(before::integer, breadth, {breadth}, least(k, {broadest}));
    PERFORM set_config('hnsw.ef_search', breadth::text, true);
    graph := ({over});
    IF graph IS NOT NULL THEN  -- the planner takes to read long vectors, which are in TOAST, for cheap
        PERFORM set_config('enable_sort', 'off', true);
    END IF;
    IF graph = 'halfvec' THEN
        candidates := greatest(k, least({overfetch}::bigint * k, breadth));
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT documents.id, found.distance FROM ('
        '    SELECT document_key, vector::vector %1$s $1 AS distance FROM ('
        '        SELECT document_key, vector FROM %2$I.%3$I ORDER BY vector::%4$s %1$s l2_normalize($1) LIMIT $3'
        '    ) AS candidates ORDER BY distance LIMIT $2'
        ') AS found JOIN %2$I.documents ON key = document_key ORDER BY distance',
        CASE space ->> 'metric' WHEN 'dot' THEN '<#>' ELSE '<=>' END, place, 'vectors_' || asked,
        coalesce(graph || '(' || (space ->> 'dimension') || ')', 'vector')
    ) USING query, k, candidates;
    PERFORM set_config('hnsw.ef_search', before, true);
    PERFORM set_config('enable_sort', sorts, true);
END
$nearest$;
COMMENT ON FUNCTION {revector}.nearest IS {release};
"""


def show(driver: psycopg.Connection[Any], generation: int, columns: Sequence[sql.Composable], named: str) -> None:
    """Let the view show a generation, from the moment on in which the open transaction commits.

    Parameters
    ----------
    driver : psycopg.Connection
        Inside a transaction of the collection.
    generation : int
        What it shows.
    columns : sequence of Composable
        How a row is named: columns of `named`, always the same ones.
    named : str
        A table or view of the collection's schema, with a column ``key``.
    """
    (before,) = driver.execute("SELECT current_setting('lock_timeout')").fetchone() or ("0",)
    driver.execute(f"SET LOCAL lock_timeout = {round(1000 * WAIT_SECONDS)}")
    try:
        driver.execute(view(generation, columns, named))
    except psycopg.errors.LockNotAvailable as error:
        message = "transactions that have read the view of what serves are still open; end them, or try again"
        raise StoreBusyError(message, waited_seconds=WAIT_SECONDS) from error
    driver.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(before)))


def view(generation: int, columns: Sequence[sql.Composable], named: str) -> sql.Composed:
    """Return the statement that `show` executes."""
    return sql.SQL(_VIEW).format(
        columns=sql.SQL(", ").join(columns), vectors=vectors_table(generation), named=sql.Identifier(named)
    )


def functions(extension: str) -> sql.Composed:
    """Return the statements that make the functions of all collections; `extension` is the schema of pgvector."""
    return sql.SQL(_FUNCTIONS).format(
        revector=sql.SQL(SCHEMA),
        extension=sql.Identifier(extension),
        breadth=sql.Literal(BREADTH),
        broadest=sql.Literal(BROADEST),
        widened=sql.Literal(WIDENED),
        overfetch=sql.Literal(OVERFETCH),
        over=sql.SQL(_OVER),
        release=sql.Literal(_RELEASE),
    )


def ensure_functions(database: PostgresDatabase) -> None:
    """Make the functions of all collections where they are missing, or those of an earlier release."""
    if database.read_only or _are_there(database):
        return
    with database.exclusive() as connection:
        driver_of(connection).execute(MADE_BY_ONE)
        if not _are_there(database):
            if driver_of(connection).execute(_NO_SCHEMA).fetchone() == (True,):  # a dump of a collection has none
                driver_of(connection).execute(f"CREATE SCHEMA {SCHEMA}")
            driver_of(connection).execute(functions(database.extension))


def _are_there(database: PostgresDatabase) -> bool:
    with database.snapshot() as connection:
        return bool(driver_of(connection).execute(_FOUND).fetchone() == (_RELEASE,))
