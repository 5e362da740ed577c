"""The end of a collection whose table is not what was adopted: the table, if there is one, stays as it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from revector.backends.postgres.adoption.changes import Change
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.locks import Attempt, insist
from revector.backends.postgres.adoption.releasing.dependants import users_of_schemas
from revector.backends.postgres.adoption.releasing.ending import lock_of
from revector.backends.postgres.adoption.releasing.plan import collection_schemas, collection_tables
from revector.backends.postgres.database.opening import LOCK_CLASS, MADE_BY_ONE

__all__ = ["let_go", "why_not_let_go"]


def why_not_let_go(
    connection: psycopg.Connection[Any], captured: Captured, change: Change, *, allow_missing: bool
) -> tuple[str, ...]:
    """Return why a collection is not dropped without giving its vectors back."""
    reasons = [change.what] if change.has_table and not allow_missing else []
    users = users_of_schemas(connection, collection_schemas(connection, captured))
    return (*reasons, *(f"{user} uses the collection, whose schema is dropped; drop it" for user in users))


def let_go(connection: psycopg.Connection[Any], captured: Captured, *, seconds: float) -> None:
    """Drop a collection, the triggers included; raise `StoreBusyError` if others hold locks all the time."""
    lock = lock_of(connection, captured)

    def drop(_: Attempt) -> None:
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, lock))
        connection.execute(MADE_BY_ONE)
        schemas = map(sql.Identifier, collection_schemas(connection, captured))
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.SQL(", ").join(schemas)))

    ours = partial(collection_tables, connection, captured)
    insist(connection, sql.Identifier(captured.collection, "rows"), seconds, drop, ours=ours)
