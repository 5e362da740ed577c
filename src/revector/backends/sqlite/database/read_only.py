"""Database files that are only read: which ones cannot be written, and how SQLite reads them."""

from __future__ import annotations

import os
from pathlib import Path

from revector.errors import StoreError

__all__ = ["ReadOnlyFile", "can_write"]


def can_write(path: Path) -> bool:
    """Tell whether this process may write a database: its file, and the log beside it. A new one may be tried."""
    if not path.exists():
        return True
    return os.access(path, os.W_OK) and (
        os.access(path.parent, os.W_OK | os.X_OK) or all(os.access(log, os.W_OK) for log in _logs(path))
    )


class ReadOnlyFile:
    """A database file, and the way in which SQLite reads it without writing.

    SQLite keeps what was written last in a log, and finds its way there by a file in shared memory beside it. Where
    that neither exists nor can be made, the file can still be read as an *immutable* one: without the log and without
    locks. That is right as long as the log is empty and nobody writes, so both are looked at around each transaction.

    Parameters
    ----------
    path : Path
        The database.

    Raises
    ------
    StoreError
        The file lacks what its log holds, and the log cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        may_make_logs = os.access(path.parent, os.W_OK | os.X_OK)
        self._immutable = not may_make_logs and not all(os.access(log, os.R_OK) for log in _logs(path))
        self._seen = self._look() if self._immutable else None
        if self._immutable and self._holds_back():
            raise StoreError(
                f"{path} cannot be read here: the log beside it holds what was written last, and to read that, SQLite "
                "has to make a file in this folder; copy the file and its -wal to a folder that can be written, or "
                "close the collection where it is written"
            )

    @property
    def uri(self) -> str:
        """What SQLite opens."""
        return f"{self._path.as_uri()}?{'immutable=1' if self._immutable else 'mode=ro'}"

    def require_untouched(self) -> None:
        """Raise `StoreError` if somebody has written the file since it was opened, and SQLite could not notice."""
        if self._immutable and self._look() != self._seen:
            raise StoreError(f"{self._path} was written by somebody else while it was read; open it again")

    def _look(self) -> tuple[object, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, self._holds_back()

    def _holds_back(self) -> bool:
        """Tell whether a log has something that the file may lack."""
        logs = (_beside(self._path, "-wal"), _beside(self._path, "-journal"))
        return any(log.exists() and log.stat().st_size > 0 for log in logs)


def _logs(path: Path) -> tuple[Path, Path]:
    return _beside(path, "-wal"), _beside(path, "-shm")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
