"""Giving a user's table back: with the vectors that serve in its own column, and without a trace of revector.

Vectors that are in the column already stay there. Others go to a column beside it, which gets the same indexes and then
takes its place, in one transaction that drops the collection's schema as well. Until that commits, the collection is
whole, and readers of the column see the old vectors, all of them. Whoever was interrupted runs it again, which goes on
where it was, or calls it off (`abandon`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, sql

from revector.backends.contracts import ALIAS
from revector.backends.contracts.adoption import Released, Tell
from revector.backends.postgres.adoption.backend import ADOPTED, captured_of
from revector.backends.postgres.adoption.changes import Change, change_of
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.locks import Attempt, insist
from revector.backends.postgres.adoption.releasing.column import facts
from revector.backends.postgres.adoption.releasing.ending import Ending, lock_of
from revector.backends.postgres.adoption.releasing.lacking import count_lacking
from revector.backends.postgres.adoption.releasing.letting_go import let_go, why_not_let_go
from revector.backends.postgres.adoption.releasing.plan import Plan, Serving, collection_tables, examine, is_quiet
from revector.backends.postgres.adoption.releasing.replacing import Replacement
from revector.backends.postgres.adoption.releasing.successor import begun, drop_successor, undo, write_in_place
from revector.backends.postgres.database.connecting import keeps_session, new_connection
from revector.backends.postgres.database.places import Place, place_of
from revector.backends.postgres.database.postgres_errors import named
from revector.errors import GateRefusedError, StoreBusyError, StoreError

__all__ = ["Given", "Serving", "abandon", "give_back", "release"]

SECONDS = 60.0
"""So long it waits, again and again, for locks and for vectors of texts that have just changed."""
AWAIT_SECONDS = 10.0
"""So long it waits for such vectors before it refuses to begin."""
_TRIES_IN_PLACE = 50
_RELEASING = 0x72766372
"""The first half of the advisory lock of whoever releases; the second one is the collection's."""

_NOTE = "SELECT value FROM {schema}.meta WHERE key = {adopted}"
_SERVING = """
SELECT id, (space ->> 'dimension')::integer, in_column
FROM {schema}.aliases JOIN {schema}.generations ON id = generation WHERE name = {alias}
"""
_VECTORS = "SELECT count({vector}) FROM {table}"


class _Task(NamedTuple):
    """What is done, where, and how it ends."""

    connection: psycopg.Connection[Any]
    captured: Captured
    serving: Serving
    plan: Plan
    ending: Ending
    tell: Tell


class Given(NamedTuple):
    """What was done.

    Parameters
    ----------
    plan : Plan
        What was found before.
    missing : int
        Rows with a text and no vector.
    pause_seconds : float
        How long writers had to wait at once, at most.
    """

    plan: Plan
    missing: int = 0
    pause_seconds: float = 0.0


def release(
    place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
) -> Released:
    """Give the table of a collection back. See `revector.backends.contracts.adoption.AdoptingKind.release`.

    Raises
    ------
    GateRefusedError, StoreBusyError
        As `give_back`.
    StoreError
        There is no such collection, or the server refuses.
    """
    where = place_of(place)
    said = {"allow_missing": allow_missing, "in_place": in_place, "fire_triggers": fire_triggers}
    try:
        with closing(new_connection(where.connection)) as driver:
            if not keeps_session(driver):
                raise StoreError(f"{where.url} is reached through a pooler; give the URL of the server itself")
            captured, serving = _known(driver, where)
            if (change := change_of(driver, captured)) is not None:
                return _let_go(driver, captured, change, allow_missing=allow_missing, dry_run=dry_run, tell=tell)
            if dry_run:
                given = Given(_required(examine(driver, captured, serving, **said)))
            else:
                given = give_back(driver, captured, serving, tell=tell, **said)
            return _released(driver, captured, given)
    except psycopg.Error as error:
        raise named(where.url, error) from error


def give_back(
    connection: psycopg.Connection[Any],
    captured: Captured,
    serving: Serving,
    *,
    allow_missing: bool = False,
    in_place: bool = False,
    fire_triggers: bool = False,
    seconds: float = SECONDS,
    tell: Tell = lambda _: None,
) -> Given:
    """Give a table back.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, to the server itself, by the owner of the table. Its session keeps settings that are made
        here: close it afterwards.
    captured : Captured
        The table, and the collection.
    serving : Serving
        Whose vectors it gets.
    allow_missing : bool
        Go on where rows have no vector of their present text, which get NULL.
    in_place : bool
        Write over the vectors in the column instead of replacing it, in one transaction: for columns of the same
        dimension that views use. Writers wait until it is done, and each row costs its entries in all indexes.
    fire_triggers : bool
        Let triggers of the user's run for every row, where this role cannot keep them from it.
    seconds : float
        How long locks, and vectors of texts that have just changed, are waited for.
    tell : callable
        Is told what happens.

    Raises
    ------
    GateRefusedError
        Something speaks against it, or has changed since it began. The collection is whole.
    StoreBusyError
        Others held locks all the time, or new vectors did not come. It can be run again, and goes on.
    """
    with _alone(connection, captured, seconds):
        said = {"allow_missing": allow_missing, "in_place": in_place, "fire_triggers": fire_triggers}
        plan = _required(examine(connection, captured, serving, seconds=min(seconds, AWAIT_SECONDS), **said))
        may_lack = allow_missing and not facts(connection, captured).is_required
        ending = Ending(connection, captured, serving.generation, seconds=seconds, may_lack=may_lack)
        task = _Task(connection, captured, serving, plan, ending, tell)
        if serving.in_column:
            missing = _leave_column(task)
        elif in_place:
            missing = _write_in_place(task, may_lack=may_lack)
        else:
            missing = _replace_column(task, seconds, may_lack=may_lack)
    return Given(plan, missing, ending.pause_seconds)


def abandon(connection: psycopg.Connection[Any], captured: Captured, *, seconds: float = SECONDS) -> bool:
    """Take back what an unfinished release has added; tell whether there was anything. The collection goes on."""
    table = sql.Identifier(captured.schema, captured.name)

    def take_back(attempt: Attempt) -> bool:
        left = begun(connection, captured)
        if left:
            attempt.lock("ACCESS EXCLUSIVE", [table])
            connection.execute(undo(captured, left))
        return left is not None

    with _alone(connection, captured, seconds):
        return insist(connection, table, seconds, take_back, ours=partial(collection_tables, connection, captured))


def _leave_column(task: _Task) -> int:
    """Leave the vectors where they are."""
    task.tell("dropping the collection")
    task.ending.insist(lambda attempt: task.ending.drop(attempt, _leftovers(task)))
    return 0


def _write_in_place(task: _Task, *, may_lack: bool) -> int:
    """Write the vectors over those in the column; return how many rows have a text and no vector."""
    connection, captured, ending = task.connection, task.captured, task.ending
    column, quiet, before = facts(connection, captured), is_quiet(connection), task.plan.lacking

    def count_lost() -> int:
        return count_lacking(connection, captured, task.serving.generation).lost

    def count_left(*, is_last: bool) -> int:
        return 0 if is_last and may_lack else max(0, count_lost() - before.lost)

    def write(attempt: Attempt) -> int:
        ending.hold_writers(attempt, count_left)
        write_in_place(connection, captured, task.serving, column, quiet=quiet)
        lost = count_lost()
        ending.drop(attempt, _leftovers(task), tries=_TRIES_IN_PLACE)
        return lost

    task.tell(f"writing vectors in place: {before.rows:,} rows")
    return ending.insist(write)


def _leftovers(task: _Task) -> list[sql.Composable]:
    """Return the statement that removes the column which an earlier release has begun to fill with other vectors."""
    left = begun(task.connection, task.captured)
    return [drop_successor(task.captured, left)] if left else []


def _replace_column(task: _Task, seconds: float, *, may_lack: bool) -> int:
    """Put a column in the place of the user's; return how many rows have a text and no vector, about."""
    replacement = Replacement(
        task.connection, task.captured, task.serving, task.plan, seconds=seconds, may_lack=may_lack
    )

    def put(attempt: Attempt) -> None:
        task.ending.hold_writers(attempt, replacement.count_left)
        task.ending.drop(attempt, replacement.statements(), reasons=replacement.reasons())

    replacement.prepare(task.tell)
    task.ending.insist(put, before=replacement.catch_up)
    return task.plan.lacking.lost + replacement.given_up


@contextmanager
def _alone(connection: psycopg.Connection[Any], captured: Captured, seconds: float) -> Iterator[None]:
    """Let one process at a time release a collection; one that was killed may still be at work on the server."""
    key = (_RELEASING, lock_of(connection, captured))
    end = time.monotonic() + seconds
    while connection.execute("SELECT pg_try_advisory_lock(%s, %s)", key).fetchone() != (True,):
        if time.monotonic() >= end:
            raise StoreBusyError("another process releases the collection; let it finish", waited_seconds=seconds)
        time.sleep(0.1)
    with suppress(errors.InvalidParameterValue):  # not every platform has it
        # a server whose client is gone would go on building an index
        connection.execute("SET client_connection_check_interval = '5s'")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def _required(plan: Plan) -> Plan:
    if plan.reasons:
        raise GateRefusedError("release", plan.reasons)
    return plan


def _known(driver: psycopg.Connection[Any], where: Place) -> tuple[Captured, Serving]:
    """Return the table of a collection, and what serves; raise `StoreError` if it has none."""
    schema = sql.Identifier(where.schema)
    try:
        note = driver.execute(sql.SQL(_NOTE).format(schema=schema, adopted=sql.Literal(ADOPTED))).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise StoreError(f"{where.url} does not exist; was it released before?") from error
    if note is None:
        raise StoreError(f"{where.url} has no table of yours, or its adoption was cut off; adopt it again first")
    serving = driver.execute(sql.SQL(_SERVING).format(schema=schema, alias=sql.Literal(ALIAS))).fetchone()
    assert serving is not None  # since the adoption is complete
    return captured_of(note[0]), Serving(*serving)


def _let_go(
    driver: psycopg.Connection[Any],
    captured: Captured,
    change: Change,
    *,
    allow_missing: bool,
    dry_run: bool,
    tell: Tell,
) -> Released:
    """Drop the collection of a table that is not what was adopted."""
    _required(Plan(reasons=why_not_let_go(driver, captured, change, allow_missing=allow_missing)))
    if not dry_run:
        tell("dropping the collection")
        with _alone(driver, captured, SECONDS):
            let_go(driver, captured, seconds=SECONDS)
    vectors = 0
    with suppress(errors.UndefinedTable, errors.UndefinedColumn):
        vectors = _vectors(driver, captured)
    what = change.what.partition(";")[0]
    return Released(f"{captured.schema}.{captured.name}", vectors, (), (), notices=(f"{what}: it stays as it is",))


def _vectors(driver: psycopg.Connection[Any], captured: Captured) -> int:
    table, vector = sql.Identifier(captured.schema, captured.name), sql.Identifier(captured.vector)
    (vectors,) = driver.execute(sql.SQL(_VECTORS).format(table=table, vector=vector)).fetchone() or (0,)
    return int(vectors)


def _released(driver: psycopg.Connection[Any], captured: Captured, given: Given) -> Released:
    indexes = given.plan.indexes
    return Released(
        table=f"{captured.schema}.{captured.name}",
        vectors=_vectors(driver, captured),
        indexes=tuple(f"{index.schema}.{index.name}" for index in indexes if not index.flaw),
        left_out=tuple(f"{index.schema}.{index.name}: {index.flaw}" for index in indexes if index.flaw),
        missing=given.missing,
        notices=given.plan.notices,
        pause_seconds=given.pause_seconds,
    )
