"""A copy of the database as it is at one moment, whoever writes meanwhile.

SQLite's online backup begins anew whenever another process has written between two of its steps, so that it never ends
beside a steady writer. Here one read transaction is held over all of them: every step copies the same moment, nobody
waits, and what is written meanwhile stays in the log until the copy is done.

The copy is made in a hidden folder beside its place, checked there, and appears whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import Connection

from revector.backends.contracts import Backup
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.sqlite_errors import named
from revector.errors import StoreError

PAGES_A_STEP = 1024
"""16 MB: between two steps, the copy can be interrupted."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
_SUFFIXES = ("", "-wal", "-shm", "-journal")


def back_up(database: Database, directory: Path, prepare: Callable[[Database], object]) -> Backup:
    """Copy a database into a folder, under its own name.

    Parameters
    ----------
    database : Database
        What to copy. Others may read and write it meanwhile.
    directory : Path
        Where to; it is made if it does not exist.
    prepare : callable
        Called with the copy before it is checked and put into its place.

    Raises
    ------
    StoreError
        The copy exists, does not fit, cannot be written or does not pass the check; nothing is left of it.
    """
    if database.in_transaction:
        raise StoreError("a backup inside a transaction; end the transaction first, what it has written may not last")
    began, target = time.perf_counter(), directory / database.path.name
    try:
        with _workshop(directory, target.name) as folder:
            _require_new(target)
            part = folder / target.name
            counts = _copy(database, part, target)
            _check(part, counts, prepare, database.path)
            _publish(part, target, database.path)
            return Backup(target, counts.get("documents", 0), target.stat().st_size, time.perf_counter() - began)
    except OSError as error:
        raise StoreError(
            f"no backup was made at {target}: {error.strerror or error}; give a folder that can be written"
        ) from error


@contextmanager
def _workshop(directory: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder for the copy in the making; whatever a killed backup has left in it is removed."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = directory / f".{name}.part"
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        for left in folder.iterdir():
            left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # gone with its process, however that ends
    except BlockingIOError as error:
        raise StoreError(
            f"another backup is being written to {folder.parent}; wait for it, or choose another folder"
        ) from error


def _require_new(target: Path) -> None:
    """Refuse to replace a file, and to put one beside the log of another: SQLite would apply it."""
    for suffix in _SUFFIXES:
        place = target.with_name(target.name + suffix)
        if os.path.lexists(place):
            raise StoreError(f"{place} is there already, and a backup replaces nothing; choose another folder")


def _copy(database: Database, part: Path, target: Path) -> dict[str, int]:
    """Copy one moment; return how many rows each table has in it."""
    with database.snapshot() as connection:
        counts = _counts(connection)
        _require_space(int(connection.exec_driver_sql(_SIZE).scalar_one()), part.parent)
        part.touch(mode=0o600)
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        try:
            with closing(sqlite3.connect(part)) as copy:
                copy.execute("PRAGMA journal_mode = OFF")
                copy.execute("PRAGMA synchronous = OFF")  # it is brought to the disk as a whole
                source.backup(copy, pages=PAGES_A_STEP, progress=_between_steps)
        except sqlite3.Error as error:
            raise named(target, error) from error
    return counts


def _between_steps(_status: int, _remaining: int, _total: int) -> None:
    """Let Python look for signals: Ctrl-C ends the copy here."""


def _require_space(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"the backup takes {needed:,} bytes, and {folder.parent} has {free:,} left; free some space, or choose "
            "another folder"
        )


def _check(part: Path, counts: dict[str, int], prepare: Callable[[Database], object], original: Path) -> None:
    """Open the copy as it would be opened, and raise `StoreError` unless it is sound and complete."""
    with closing(Database(part)) as copy:
        problems = copy.check()
        if not problems:
            prepare(copy)
            with copy.snapshot() as connection:
                found = _counts(connection)
            problems = [f"{name}: {found.get(name)} of {n} rows" for name, n in counts.items() if found.get(name) != n]
    if part.with_name(f"{part.name}-wal").exists():  # closing writes it into the file, if there is space
        problems = [*problems, "its last changes could not be written into it"]
    if problems:
        raise StoreError(
            f"the copy of {original} did not pass its check and was removed ({'; '.join(problems[:3])}); look at the "
            f"original: revector doctor {original}"
        )


def _counts(connection: Connection) -> dict[str, int]:
    names = connection.exec_driver_sql(_TABLES).scalars().all()
    return {name: int(connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()) for name in names}


def _publish(part: Path, target: Path, original: Path) -> None:
    """Put the copy into its place, on the disk, with the permissions of the original."""
    _permit_as(part, original)
    _flush(part)
    try:
        os.link(part, target)  # where a rename would replace what somebody else has put there
    except FileExistsError:
        _require_new(target)
        raise
    except OSError:  # a file system without links
        _require_new(target)
        part.rename(target)
    _flush(target.parent)


def _permit_as(part: Path, original: Path) -> None:
    wanted = original.stat()
    mode = wanted.st_mode & 0o777
    try:
        os.chown(part, -1, wanted.st_gid)
    except PermissionError:
        mode &= 0o707  # what its group may do is not for another one
    with suppress(PermissionError):
        os.chown(part, wanted.st_uid, -1)
    part.chmod(mode)


def _flush(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
