"""Searches of vectors in the user's own column use the user's own graph, and look up whose rows they found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest

from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from user_tables import new_database
from worlds import OLD

KEYS = {
    "bigint": ("id bigint PRIMARY KEY", "id", "i"),
    "text": ("id text PRIMARY KEY", "id", "i::text"),
    "uuid": ("id uuid PRIMARY KEY", "id", "gen_random_uuid()"),
    "composite": ("tenant int, number int, PRIMARY KEY (tenant, number)", "tenant,number", "i % 7, i"),
    "numeric": ("id numeric PRIMARY KEY", "id", "i"),
}
QUERY = str(np.ones(OLD.space.dimension).tolist())
SEARCHES = {
    "nearest": "SELECT document_key FROM {schema}.vectors_1 ORDER BY vector <=> '{query}' LIMIT 10",
    "the view": "SELECT content_hash FROM {schema}.serving ORDER BY embedding <=> '{query}' LIMIT 10",
}


@pytest.fixture(params=KEYS)
def shop(server, request):
    columns, names, values = KEYS[request.param]
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(f"CREATE TABLE docs ({columns}, body text, embedding vector({OLD.space.dimension}))")
        connection.execute(
            f"INSERT INTO docs SELECT {values}, 'text ' || i, "
            f"(SELECT array_agg(random()) FROM generate_series(1, {OLD.space.dimension} + 0 * i))::real[]::vector "
            "FROM generate_series(1, 2000) i"
        )
        connection.execute("CREATE INDEX of_user ON docs USING hnsw (embedding vector_cosine_ops)")
        place = place_of(f"{server}#docs")
        url = replace(place, connection={**place.connection, "dbname": connection.info.dbname}).url
        table = TableToAdopt("docs", names, ("body",), "embedding", name="docs")
        adopt(url.partition("#")[0], table, [OLD], dry_run=False, accept_unidentified=True, tell=lambda _: None)
        connection.execute("ANALYZE")
        yield connection


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_walks_through_the_graph_and_no_table(shop: psycopg.Connection, search):
    for method in ("seqscan", "bitmapscan", "sort"):  # a small table would be read
        shop.execute(f"SET enable_{method} = off")
    statement = SEARCHES[search].format(schema="revector_docs", query=QUERY)
    plan = "\n".join(line for (line,) in shop.execute(f"EXPLAIN {statement}"))
    assert "Index Scan using of_user" in plan, plan
    assert "Seq Scan" not in plan, plan
