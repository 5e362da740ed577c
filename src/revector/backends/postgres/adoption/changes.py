"""Whether a user's table still is what was adopted: triggers go by the names of its columns, views by the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.names import TableName
from revector.errors import ChangedTableError, GoneError

__all__ = ["Change", "change_of", "require_unchanged"]

# `called` is the table that the view `present` reads, and `reads` are the columns of it, as they are called now.
_LOOK = """
WITH read AS (
    SELECT attrelid, attname FROM pg_rewrite
    JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid AND refclassid = 'pg_class'::regclass
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE ev_class = to_regclass({present}) AND refobjsubid > 0
)
SELECT to_regclass({table}) IS NOT NULL AS is_there,
    (SELECT min(attrelid) FROM read) = to_regclass({table}) AS is_read,
    (SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = (SELECT min(attrelid) FROM read)) AS called,
    ARRAY(SELECT attname::text FROM read ORDER BY attname) AS reads,
    ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = to_regclass({table}) AND attnum > 0 AND NOT attisdropped) AS columns,
    to_regclass({documents}) IS NOT NULL AS has_documents
"""
_LET_GO = "revector release --yes --accept-missing removes what is left of the collection, and leaves the table alone"
_NAME_BACK = (
    "nothing is moved until then. What is written meanwhile is looked for by the next run. If that is not to be, "
    f"{_LET_GO}"
)


@dataclass(frozen=True)
class Change:
    """What has become of a table.

    Parameters
    ----------
    what : str
        It, and what to do.
    has_table : bool
        Whether there still is one.
    is_final : bool
        Whether it cannot be undone.
    """

    what: str
    has_table: bool = True
    is_final: bool = True


@dataclass(frozen=True)
class _Found:
    is_there: bool
    is_read: bool | None
    called: str | None
    reads: list[str]
    columns: list[str]
    has_documents: bool


def change_of(driver: psycopg.Connection[Any], captured: Captured) -> Change | None:
    """Return what has become of a table since it was adopted; ``None`` if it is what it was."""
    schema, table = captured.collection, str(TableName(captured.schema, captured.name))
    look = sql.SQL(_LOOK).format(
        table=sql.Literal(sql.Identifier(captured.schema, captured.name).as_string()),
        present=sql.Literal(sql.Identifier(schema, "present").as_string()),
        documents=sql.Literal(sql.Identifier(schema, "documents").as_string()),
    )
    found = driver.cursor(row_factory=class_row(_Found)).execute(look).fetchone()
    assert found is not None
    wanted = {*(column.name for column in captured.key), *captured.text, captured.vector}
    wanted |= set() if captured.updated is None else {captured.updated}
    if found.called is None:
        return _lost(table, sorted(wanted - set(found.columns)), is_there=found.is_there)
    if not found.is_read:
        return _renamed(f"{table} is called {found.called} now; give it its name back")
    if missing := sorted(wanted - set(found.reads)):
        return _renamed(_other_names(table, found.called, missing, sorted(set(found.reads) - wanted)))
    return None if found.has_documents else _lost(table, [], is_there=True)


def require_unchanged(url: str, driver: psycopg.Connection[Any], captured: Captured) -> None:
    """Raise `ChangedTableError` or `GoneError` if a table is not what was adopted."""
    change = change_of(driver, captured)
    if change is None:
        return
    if change.is_final:
        raise GoneError(f"{url}: {change.what}")
    raise ChangedTableError(f"{url}: {change.what}", table=f"{captured.schema}.{captured.name}")


def _lost(table: str, columns: list[str], *, is_there: bool) -> Change:
    if not is_there:
        left = "revector release --yes removes what is left of the collection"
        return Change(f"{table} was dropped; {left}", has_table=False)
    what = f"lost {_columns(columns)}" if columns else "was made anew, or a column was dropped or has another type"
    return Change(f"{table} {what}; {_LET_GO}: adopt it again then")


def _renamed(what: str) -> Change:
    return Change(f"{what}; {_NAME_BACK}", is_final=False)


def _other_names(table: str, quoted: str, missing: list[str], others: list[str]) -> str:
    what = f"{_columns(missing)} of {table} {'are' if len(missing) > 1 else 'is'} called {', '.join(others)} now"
    if len(missing) != 1 or len(others) != 1:
        return f"{what}; give them their names back"
    old, new = (sql.Identifier(name).as_string() for name in (others[0], missing[0]))
    return f"{what}; name it back, with ALTER TABLE {quoted} RENAME {old} TO {new}"


def _columns(names: list[str]) -> str:
    return f"the column{'s' * (len(names) > 1)} {', '.join(names)}"
