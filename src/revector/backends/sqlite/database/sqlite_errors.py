"""What SQLite's errors mean to whoever meets them: one table from its codes to a sentence and a remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from revector.errors import DamagedStoreError, ReadOnlyError, StoreError

__all__ = ["BUSY_TIMEOUT_SECONDS", "is_busy", "named"]

BUSY_TIMEOUT_SECONDS = 30

_KEPT = "nothing that was written before is lost, and the next write works once that is mended"
_REFUSED = (
    "the system refused to write: a disk quota, a limit on the size of files (ulimit -f), or a failing disk; free some "
    f"space, raise the limit or look into the system's log; {_KEPT}"
)
_UNREADABLE = "the disk or the network file system failed to read; look into the system's log"
_NO_SHARED_MEMORY = (
    "its file system has no shared memory for the file -shm beside it, or no space or quota left for it; network "
    "mounts often have none: keep the file on a local disk"
)
_NO_LOCKS = "its file system refuses locks; network mounts often do: keep the file on a local disk"
_READ_ONLY = "the file, its folder or the file system is read-only; make it writable"
_NO_MEMORY = "there is not enough memory; free some"
_BUSY = "others have held the write lock for {seconds:g} s; try again when they are done"
_NOT_ALLOWED = "this process may not do that; look at the permissions of the file and of its folder"

_LOCKED, _IOERR, _READONLY, _CANTOPEN, _CORRUPT, _NOTADB = 5, 10, 8, 14, 11, 26


def _ioerr(detail: int) -> int:
    return _IOERR | detail << 8


_MEANINGS = {
    3: _NOT_ALLOWED,
    _LOCKED: _BUSY,
    6: "another statement of this process is using what this one changes; try again when it is done",
    7: _NO_MEMORY,
    _READONLY: _READ_ONLY,
    _READONLY | 4 << 8: "the file was moved, deleted or replaced while it was open; open it again",
    9: "the statement was interrupted",
    _IOERR: f"the disk failed or refused; free some space, or look into the system's log; {_KEPT}",
    _ioerr(1): _UNREADABLE,
    _ioerr(3): _REFUSED,
    _ioerr(4): _REFUSED,  # fsync
    _ioerr(5): _REFUSED,  # fsync of the folder
    _ioerr(6): _REFUSED,  # truncate
    _ioerr(7): _UNREADABLE,  # fstat
    _ioerr(8): _NO_LOCKS,
    _ioerr(9): _NO_LOCKS,
    _ioerr(12): _NO_MEMORY,
    _ioerr(13): _UNREADABLE,  # access
    _ioerr(14): _NO_LOCKS,
    _ioerr(15): _NO_LOCKS,
    _ioerr(18): _NO_SHARED_MEMORY,
    _ioerr(19): _NO_SHARED_MEMORY,
    _ioerr(20): _NO_SHARED_MEMORY,
    _ioerr(21): _NO_SHARED_MEMORY,
    _ioerr(33): "the file system is damaged; check it, and look into the system's log",
    13: f"the disk is full; free some space; {_KEPT}",
    15: _NO_LOCKS,  # of the log
    18: "a text or a vector is larger than SQLite stores (1 GB); make it smaller",
    22: "the file system has no files as large as this; keep it on another one",
    23: _NOT_ALLOWED,
}
"""By extended code; a code that is not listed has the meaning of its lowest byte."""
_TRUNCATED = _ioerr(2)
_WRITE_REFUSED = (_READONLY, _READONLY | 6 << 8)

# What Python 3.10, whose errors have no codes, finds in their messages.
_CODES = {
    "not a database": _NOTADB,
    "malformed": _CORRUPT,
    "disk is full": 13,
    "disk I/O error": _IOERR,
    "readonly": _READONLY,
    "unable to open": _CANTOPEN,
    "locking protocol": 15,
    "table is locked": 6,
    "locked": _LOCKED,
    "out of memory": 7,
    "too big": 18,
    "large file support": 22,
    "not authorized": 23,
    "access permission": 3,
    "interrupted": 9,
}


class _Reason(NamedTuple):
    code: int
    name: str


def is_busy(error: BaseException) -> bool:
    """Tell whether an error of SQLite means that somebody else holds the lock."""
    return _reason(error).code & 0xFF == _LOCKED


def named(path: Path, error: BaseException, *, waited_seconds: float = BUSY_TIMEOUT_SECONDS) -> StoreError:
    """Return the error of ours that says what one of SQLite's means.

    Parameters
    ----------
    path : Path
        The file that was opened, read or written.
    error : BaseException
        What `sqlite3` raised.
    waited_seconds : float
        How long a lock was waited for, if that is what it means.
    """
    reason = _reason(error)
    basic = reason.code & 0xFF
    if basic == _CORRUPT or reason.code == _TRUNCATED:
        return DamagedStoreError(f"{path} is damaged or truncated ({reason.name}); restore a backup")
    if basic == _NOTADB:
        return DamagedStoreError(f"{path} is not a SQLite database, or its first page is damaged; give another path")
    if basic == _CANTOPEN:
        return StoreError(f"{path} cannot be opened ({reason.name}): {_why_not_opened(path)}")
    if reason.code in _WRITE_REFUSED:
        return ReadOnlyError(str(path), f"{_READ_ONLY} ({reason.name})")
    meaning = (_MEANINGS.get(reason.code) or _MEANINGS.get(basic) or "").format(seconds=waited_seconds)
    return StoreError(f"{path}: {meaning} ({reason.name})" if meaning else f"{path}: {reason.name}")


def _reason(error: BaseException) -> _Reason:
    message = str(error)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        code = next((code for part, code in _CODES.items() if part in message), 0)
    name = getattr(error, "sqlite_errorname", None)
    return _Reason(code, f"{message}, {name}" if name else message)


def _why_not_opened(path: Path) -> str:
    """Find out what SQLite does not tell. The file itself stays closed: closing it would drop this process's locks."""
    try:
        if path.is_dir():
            return "it is a folder; give the path of a file"
        if not path.parent.is_dir():
            return "its folder does not exist; make it first"
        os.close(os.open(path.parent, os.O_RDONLY))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too many files are open; close some, or raise the limit (ulimit -n)"
        return f"{error.strerror or error}; choose another path"
    if not os.access(path.parent, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK)):
        return "permission is missing; may this user read the file and write to its folder?"
    return "look at the permissions of the file, of the files -wal and -shm beside it, and of its folder"
