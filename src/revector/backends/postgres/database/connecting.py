"""Connections to a server: how they are made, joined, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from revector.backends.postgres.database.places import SCHEMA

__all__ = ["driver_of", "give_back", "keeps_session", "new_connection", "new_engine", "row_of", "savepoint"]

_CONNECT_SECONDS = 10
_SIGNS_OF_LIFE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server that has vanished without a word is noticed in a minute, not in hours."""
_SESSION = "SELECT pg_backend_pid()"
_OPEN = (psycopg.pq.TransactionStatus.INTRANS, psycopg.pq.TransactionStatus.INERROR)


def new_connection(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    """Connect to a server, in autocommit mode, with nothing prepared.

    A plan that is kept is that for the table as it was then: a queue that was empty is read from end to end once it is
    long. And behind a pooler, the next transaction may have another session.
    """
    options = {
        "connect_timeout": _CONNECT_SECONDS,
        **_SIGNS_OF_LIFE,
        "application_name": SCHEMA,
        **parameters,
        "client_encoding": "utf8",
    }
    connection = psycopg.connect(**options, autocommit=True)
    connection.prepare_threshold = None
    return connection


def new_engine(parameters: dict[str, Any]) -> Engine:
    """Return a pool of connections to a server."""
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: new_connection(parameters),
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, by what is said to the driver
        use_native_hstore=False,
        pool_size=4,
        max_overflow=-1,
        pool_reset_on_return=None,
        hide_parameters=True,  # texts and the sources of encoders do not belong into messages
    )


def keeps_session(driver: psycopg.Connection[Any]) -> bool:
    """Tell whether a connection has a session to itself: a pooler between may give another one to each transaction.

    The process that answers is not the one that it was connected to, then. Nothing can be prepared or set there.
    """
    return row_of(driver.execute(_SESSION)) == (driver.info.backend_pid,)


def driver_of(connection: Connection) -> Any:
    """Return psycopg's own connection, which costs no time where nothing has to be translated."""
    return connection.connection.driver_connection


def on_one_core(connection: Connection) -> Any:
    """Return psycopg's own connection, for a statement that looks through a table: the other cores are the readers'.

    The server's parallel workers would compete: on two cores, a search beside a count took three times as long.
    """
    driver = driver_of(connection)
    driver.execute("SET LOCAL max_parallel_workers_per_gather = 0")
    return driver


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what is done inside if it fails, and no more than that, of the open transaction."""
    driver = driver_of(connection)
    driver.execute("SAVEPOINT joined")
    try:
        yield
    except BaseException:
        if _is_alive(connection, driver):
            driver.execute("ROLLBACK TO joined; RELEASE joined")
        raise
    driver.execute("RELEASE joined")


def _is_alive(connection: Connection, driver: psycopg.Connection[Any]) -> bool:
    """Tell whether the transaction goes on; SQLAlchemy gives a connection up when a statement was interrupted."""
    status = driver.info.transaction_status
    return not connection.invalidated and not driver.closed and status != psycopg.pq.TransactionStatus.ACTIVE


def give_back(connection: Connection, *, keep: bool) -> None:
    """Return a connection to the pool without a transaction; close one that is not kept, or still at work."""
    if not connection.invalidated:
        driver = driver_of(connection)
        if keep and driver.info.transaction_status in _OPEN:
            with suppress(psycopg.Error):
                driver.execute("ROLLBACK")
        if not keep or driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            driver.close()
        if driver.closed:
            connection.invalidate()
    connection.close()


def row_of(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    """Return the row of a statement that returns one."""
    found = cursor.fetchone()
    assert found is not None
    return tuple(found)
