"""What PostgreSQL's errors mean, in words that say what to do."""

from __future__ import annotations

import psycopg
from psycopg import errors

from revector.errors import (
    DamagedStoreError,
    InvalidArgumentError,
    ReadOnlyError,
    RevectorError,
    StoreBusyError,
    StoreError,
)

__all__ = ["is_disconnect", "is_lock_timeout", "named"]

_MEANINGS: dict[type[psycopg.Error], str] = {
    errors.QueryCanceled: "a statement was cancelled, by statement_timeout or by an administrator",
    errors.DeadlockDetected: "two transactions waited for each other, and this one was given up; try again",
    errors.SerializationFailure: "another transaction was faster; try again",
    errors.DiskFull: "the disk is full; make room and try again",
    errors.OutOfMemory: "the server is out of memory",
    errors.TooManyConnections: "there are no connections left; close some, or raise max_connections",
    errors.AdminShutdown: "the connection was ended by an administrator, or the server stops; try again",
    errors.CrashShutdown: "the server has crashed, and starts again; try again in a moment",
    errors.CannotConnectNow: "the server starts or stops; try again in a moment",
    errors.IdleInTransactionSessionTimeout: "the transaction was idle for longer than the server allows; try again",
    errors.InvalidPassword: "the password was not accepted",
    errors.InvalidCatalogName: "there is no such database; create it first",
    errors.UndefinedTable: "its tables are gone: it was released or dropped since it was opened; open it again",
    errors.InvalidSchemaName: "its schema is gone: it was released or dropped since it was opened; open it again",
}
_READ_ONLY = (errors.ReadOnlySqlTransaction,)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_UNSTORABLE = (
    errors.UntranslatableCharacter,
    errors.CharacterNotInRepertoire,
    errors.ProgramLimitExceeded,
    errors.NumericValueOutOfRange,
    errors.InvalidTextRepresentation,
)


def named(place: str, error: BaseException, *, waited_seconds: float = 0.0) -> RevectorError:
    """Return what an error of the driver means to a user.

    Parameters
    ----------
    place : str
        The collection, without secrets.
    error : exception
        Of psycopg.
    waited_seconds : float
        How long a lock was waited for, if that is what it means.
    """
    said = _first_line(error)
    if isinstance(error, _READ_ONLY):
        return ReadOnlyError(place, f"the server, or this role, only reads ({said})")
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(f"{place}: permission is missing ({said}); docs/postgres.md says what the role needs")
    if is_lock_timeout(error):
        held = f"somebody else held a lock for longer than {waited_seconds:g} s; try again"
        return StoreBusyError(f"{place}: {held} ({said})", waited_seconds=waited_seconds)
    if isinstance(error, _DAMAGED):
        return DamagedStoreError(f"{place} is damaged ({said}); restore a backup")
    if isinstance(error, _UNSTORABLE):
        return InvalidArgumentError(f"{place} cannot hold a value: {said}")
    meaning = next((text for kind, text in _MEANINGS.items() if isinstance(error, kind)), "")
    if not meaning and is_disconnect(error):
        meaning = "the connection to the server failed or was lost; is it running, and can it be reached? Try again"
    return StoreError(f"{place}: {meaning} ({said})" if meaning else f"{place}: {said}")


def is_lock_timeout(error: BaseException | None) -> bool:
    """Whether a lock was not to be had within ``lock_timeout``."""
    return isinstance(error, errors.LockNotAvailable)


def is_disconnect(error: BaseException | None) -> bool:
    """Whether there is no connection any more, or none could be made: nothing that was begun was committed by it."""
    if isinstance(error, (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)):
        return True
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and error.sqlstate is None


def _first_line(error: BaseException) -> str:
    """Return what PostgreSQL says, without the statement, whose values do not belong into a message."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
