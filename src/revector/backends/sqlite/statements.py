"""SQL of the user's on the file of a collection: a question that changes nothing, and a statement that may."""

from __future__ import annotations

from typing import Any

from revector.backends.sqlite.database import Database
from revector.errors import StoreError


def answer(database: Database, query: str) -> Any:
    """Return the first value of a query that can write nothing; ``None`` where it finds no row."""
    with database.snapshot() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        try:
            found = connection.exec_driver_sql(query)
            if not found.returns_rows:
                raise StoreError(f"{database.path}: it is not a query, for it returns no rows; write a SELECT")
            row = found.first()
        finally:
            connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if database.read_only else 'OFF'}")
    return None if row is None else row[0]


def execute(database: Database, statement: str) -> None:
    """Execute a statement in a transaction."""
    with database.transaction() as connection:
        connection.exec_driver_sql(statement)
