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
    StoreUnavailableError,
)

__all__ = ["is_disconnect", "is_lock_timeout", "named"]

_MEANINGS: dict[type[psycopg.Error], str] = {
    errors.DiskFull: "the disk is full; make room and try again",
    errors.OutOfMemory: "the server is out of memory",
    errors.UndefinedTable: "its tables are gone: it was released or dropped since it was opened; open it again",
    errors.InvalidSchemaName: "its schema is gone: it was released or dropped since it was opened; open it again",
}
_BUSY: dict[type[psycopg.Error], str] = {
    errors.QueryCanceled: "a statement was cancelled, by statement_timeout or by an administrator; try again",
    errors.DeadlockDetected: "two transactions waited for each other, and this one was given up; try again",
    errors.SerializationFailure: "another transaction was faster; try again",
}
_LOST: dict[type[psycopg.Error], str] = {
    errors.AdminShutdown: "the connection was ended by an administrator, or the server stops; try again",
    errors.CrashShutdown: "the server has crashed, and starts again; try again in a moment",
    errors.IdleInTransactionSessionTimeout: "the transaction was idle for longer than the server allows; try again",
}
_NOT_MADE = {
    "too many": "there are no connections left; close some, raise max_connections, or try again",
    "connection slots": "there are no connections left; close some, raise max_connections, or try again",
    "starting up": "the server starts; try again in a moment",
    "shutting down": "the server stops; try again in a moment",
    "recovery mode": "the server has crashed, and starts again; try again in a moment",
    "password": "the password was not accepted, or none was given",
    "does not exist": "there is no such database, or no such role; create it first",
}
"""What is found in the messages of a server in English when no connection is made: they come without a code."""
_END_IT = "end their transaction (pg_stat_activity shows who is idle in one), or try again"
_LOST_ANYHOW = "the connection to the server failed or was lost; is it running, and can it be reached? Try again"
_COMMITTING = "; it was lost while it committed, what was written may be stored"
_READ_ONLY = (errors.ReadOnlySqlTransaction,)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_UNSTORABLE = (
    errors.UntranslatableCharacter,
    errors.CharacterNotInRepertoire,
    errors.ProgramLimitExceeded,
    errors.NumericValueOutOfRange,
    errors.InvalidTextRepresentation,
)


def named(place: str, error: BaseException, *, waited_seconds: float = 0.0, committing: bool = False) -> RevectorError:
    """Return what an error of the driver means to a user.

    Parameters
    ----------
    place : str
        The collection, without secrets.
    error : exception
        Of psycopg.
    waited_seconds : float
        How long a lock was waited for, if that is what it means.
    committing : bool
        A transaction was being committed.
    """
    said = _first_line(error)
    if is_disconnect(error):
        lost = (_meaning(_LOST, error) or _why_not_made(error)) + _COMMITTING * committing
        return StoreUnavailableError(f"{place}: {lost} ({said})", committing=committing)
    if isinstance(error, _READ_ONLY):
        return ReadOnlyError(place, f"the server, or this role, only reads ({said})")
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(f"{place}: permission is missing ({said}); docs/postgres.md says what the role needs")
    if is_lock_timeout(error):
        held = f"somebody else held a lock for longer than {waited_seconds:g} s; {_END_IT}"
        return StoreBusyError(f"{place}: {held} ({said})", waited_seconds=waited_seconds)
    if busy := _meaning(_BUSY, error):
        return StoreBusyError(f"{place}: {busy} ({said})", waited_seconds=0.0)
    if isinstance(error, _DAMAGED):
        return DamagedStoreError(f"{place} is damaged ({said}); restore a backup")
    if isinstance(error, _UNSTORABLE):
        return InvalidArgumentError(f"{place} cannot hold a value: {said}")
    meaning = _meaning(_MEANINGS, error)
    return StoreError(f"{place}: {meaning} ({said})" if meaning else f"{place}: {said}")


def is_lock_timeout(error: BaseException | None) -> bool:
    """Whether a lock was not to be had within ``lock_timeout``."""
    return isinstance(error, errors.LockNotAvailable)


def is_disconnect(error: BaseException | None) -> bool:
    """Whether there is no connection any more, or none could be made: nothing that was begun was committed by it."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.diag.severity_nonlocalized in ("FATAL", "PANIC")  # the server ends the session itself


def _meaning(meanings: dict[type[psycopg.Error], str], error: BaseException) -> str:
    return next((text for kind, text in meanings.items() if isinstance(error, kind)), "")


def _why_not_made(error: BaseException) -> str:
    return next((meaning for part, meaning in _NOT_MADE.items() if part in str(error)), _LOST_ANYHOW)


def _first_line(error: BaseException) -> str:
    """Return what PostgreSQL says, without the statement, whose values do not belong into a message."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
