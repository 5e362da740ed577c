"""What the ledger in a file of an earlier release lacks: added once, when it is opened, and never by a rewrite."""

from __future__ import annotations

from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from revector.backends.sqlite.database import Database
from revector.ledger.records import Ledger
from revector.ledger.schema import asking, jobs_ended, jobs_waiting, leases

_FOUND = """
SELECT name FROM sqlite_master WHERE type IN ('table', 'index')
UNION ALL SELECT 'jobs.' || name FROM pragma_table_info('jobs')
"""


def _sql(element: ExecutableDDLElement) -> str:
    return str(element.compile(dialect=sqlite.dialect()))


_REPLACED = ("jobs_by_turn", "jobs_in_turn", "jobs_by_owner")
_ADDED = {
    "jobs.unfinished": ["ALTER TABLE jobs ADD COLUMN unfinished INTEGER NOT NULL DEFAULT 0"],
    "jobs.turn": ["ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0"],
    "jobs_waiting": [*(f"DROP INDEX IF EXISTS {name}" for name in _REPLACED), _sql(CreateIndex(jobs_waiting))],
    "jobs_ended": [_sql(CreateIndex(jobs_ended))],
    "leases": [_sql(CreateTable(leases))],
    "asking": [_sql(CreateTable(asking))],
}


def open_ledger(database: Database) -> Ledger:
    """Open the ledger in a file, and give it what it lacks; a file that is only read does without."""
    ledger = Ledger(database)
    _bring_up_to_date(database)
    return ledger


def _bring_up_to_date(database: Database) -> None:
    with database.snapshot() as connection:
        if database.read_only or not _lacking(connection):
            return
    with database.transaction() as connection:
        for name in _lacking(connection):  # unless another process has added it since
            for statement in _ADDED[name]:
                connection.exec_driver_sql(statement)


def _lacking(connection: Connection) -> list[str]:
    found = set(connection.exec_driver_sql(_FOUND).scalars())
    return [name for name in _ADDED if name not in found]
