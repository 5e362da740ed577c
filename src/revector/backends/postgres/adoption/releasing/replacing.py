"""Replacing the column of a user's vectors by another one, with its indexes and all that is said of it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import psycopg
from psycopg import sql

from revector.backends.contracts.adoption import Tell
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.locks import insist
from revector.backends.postgres.adoption.releasing.column import Facts, carried, facts
from revector.backends.postgres.adoption.releasing.dependants import users_of_column
from revector.backends.postgres.adoption.releasing.ending import LOOK_EVERY_SECONDS, PAUSE_SECONDS
from revector.backends.postgres.adoption.releasing.indexes import indexes, twins
from revector.backends.postgres.adoption.releasing.plan import Plan, Serving, collection_tables, is_quiet
from revector.backends.postgres.adoption.releasing.rebuilding import pairs, rebuild
from revector.backends.postgres.adoption.releasing.successor import Successor
from revector.backends.postgres.building import graph_bytes

__all__ = ["Replacement"]

_FEW = 100
"""With no more rows left than that it is worth while to let writers wait for these."""
_REPLACE = """
ALTER TABLE {table} DROP COLUMN {column};
ALTER TABLE {table} RENAME COLUMN {successor} TO {column};
ALTER TABLE {table} ALTER COLUMN {column} {default}
"""
_RENAME_CONSTRAINT = "ALTER TABLE {table} RENAME CONSTRAINT {name} TO {before}"
_RENAME_INDEX = "ALTER INDEX {name} RENAME TO {before}"
_COMMENT = "COMMENT ON INDEX {index} IS {comment}"


class Replacement:
    """A column that is filled, and then replaces that of the vectors.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode.
    captured : Captured
        The table.
    serving : Serving
        What it gets.
    plan : Plan
        What was found before.
    seconds : float
        How long locks are waited for.
    may_lack : bool
        Whether rows may be without a vector that have a text.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        captured: Captured,
        serving: Serving,
        plan: Plan,
        *,
        seconds: float,
        may_lack: bool,
    ) -> None:
        self._may_lack = may_lack
        self._connection, self._captured, self._serving = connection, captured, serving
        self._plan, self._seconds = plan, seconds
        self._table, self._before = sql.Identifier(captured.schema, captured.name), facts(connection, captured)
        self._successor = Successor(connection, captured, serving, self._before, quiet=is_quiet(connection))

    def prepare(self, tell: Tell) -> None:
        """Make the column, fill it, and build its indexes, while the table is read and written."""
        tell("adding a column")
        ours = partial(collection_tables, self._connection, self._captured)
        insist(self._connection, self._table, self._seconds, self._successor.begin, ours=ours)
        written, rows = 0, self._plan.lacking.rows

        def count(more: int) -> None:
            nonlocal written
            written += more
            tell(f"copying vectors: {written:,} of {rows:,} rows")

        if self._may_lack:  # what an earlier attempt has noted is in the plan
            self._successor.catch_up(inf, note_missing=False)
        self._successor.copy(note_missing=not self._may_lack, on_batch=count)
        name, dimension = self._successor.name, self._serving.dimension
        found = indexes(self._connection, self._captured, name, dimension)
        self._rebuilt = [index for index in found if not index.flaw]
        rebuild(
            self._connection,
            self._captured,
            name,
            self._rebuilt,
            needed_bytes=graph_bytes(rows, dimension),
            seconds=self._seconds,
            tell=tell,
        )
        tell("writing what has changed since")
        self.catch_up()  # as long as it takes: hours of building leave many rows
        tell("replacing the column")

    def catch_up(self) -> None:
        """Write what has changed until little is left, or it does not get less; the rest is done while writers wait."""
        least, end = inf, time.monotonic() + self._seconds
        while (seconds := end - time.monotonic()) > 0:
            left = self._successor.catch_up(seconds)
            if left <= _FEW:
                return
            if left < least:
                least, end = left, time.monotonic() + self._seconds
            time.sleep(LOOK_EVERY_SECONDS)

    def count_left(self, *, is_last: bool) -> int:
        """Write what has changed; return how many rows are not as they must be at the end."""
        return self._successor.catch_up(PAUSE_SECONDS, note_missing=not (is_last and self._may_lack))

    @property
    def given_up(self) -> int:
        """How many rows changed at the end and are without a vector."""
        return self._successor.given_up

    def reasons(self) -> list[str]:
        """Return why the column cannot be replaced, if others have changed what was planned."""
        again = "by now; run it again"
        users = [f"{user} uses the column {again}" for user in users_of_column(self._connection, self._captured)]
        there = {twin.oid for twin in twins(self._connection, self._captured, self._captured.vector)}
        is_changed = there != {index.oid for index in self._plan.indexes}
        return [*users, *([f"the column has other indexes {again}"] if is_changed else [])]

    def statements(self) -> list[sql.Composable]:
        """Return the statements that put the column in its place."""
        column, successor = sql.Identifier(self._captured.vector), sql.Identifier(self._successor.name)
        made = facts(self._connection, replace(self._captured, vector=self._successor.name))
        said = {"column": column, "successor": successor, "default": self._default(self._before)}
        return [
            sql.SQL(_REPLACE).format(table=self._table, **said),
            *map(sql.SQL, carried(self._connection, self._captured)),
            *self._constraint(made),
            *self._indexes(),
        ]

    def _default(self, before: Facts) -> sql.Composable:
        if before.default_expression is None or before.dimension not in (None, self._serving.dimension):
            return sql.SQL("DROP DEFAULT")
        return sql.SQL("SET DEFAULT {}").format(sql.SQL(before.default_expression))

    def _constraint(self, made: Facts) -> list[sql.Composable]:
        if not (made.required_by and self._before.required_by):
            return []
        names = {"name": sql.Identifier(made.required_by), "before": sql.Identifier(self._before.required_by)}
        return [sql.SQL(_RENAME_CONSTRAINT).format(table=self._table, **names)]

    def _indexes(self) -> list[sql.Composable]:
        made = pairs(self._connection, self._captured, self._successor.name, self._rebuilt)
        statements: list[sql.Composable] = []
        for index in self._rebuilt:
            name, before = sql.Identifier(index.schema, made[index.oid].name), sql.Identifier(index.name)
            statements.append(sql.SQL(_RENAME_INDEX).format(name=name, before=before))
            if index.comment is not None:
                said = {"index": sql.Identifier(index.schema, index.name), "comment": sql.Literal(index.comment)}
                statements.append(sql.SQL(_COMMENT).format(**said))
        return statements
