"""The ledger file of a collection whose points are elsewhere, and the list of the points that are being written.

Points come before the ledger: whoever dies in between leaves points that the ledger does not know. Where they are new,
that costs a write. Where they took the place of others, the ledger would go on calling them by the old text. So what a
transaction is about to write is written down first, in a small file beside the ledger, and the ledger says in the same
transaction which state of that file it knows. Whoever writes next and finds another one has the points looked after.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import Connection

from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.places import file_of
from revector.backends.sqlite.database.sqlite_errors import BUSY_TIMEOUT_SECONDS
from revector.errors import StoreError

__all__ = ["LedgerFile", "Written", "files_of"]

_KNOWN = "points_written"
_TOKEN_BYTES = 32


class Written(NamedTuple):
    """Points that a transaction wrote, or deleted, in a generation."""

    generation: int
    ids: list[str]


class LedgerFile(Database):
    """The database of a ledger beside a store. See the module.

    Parameters
    ----------
    path : str or Path
        The file.
    place : str
        Of the collection, for messages.
    read_only : bool
        Never write to it.
    """

    def __init__(self, path: str | os.PathLike[str], place: str, *, read_only: bool = False) -> None:
        self._place = place
        self._list = _List(_list_of(file_of(path)))
        self._token: str | None = None
        self._settled: str | None = None
        self.mend: Callable[[Sequence[Written]], None] | None = None
        super().__init__(path, read_only=read_only)

    @property
    def place(self) -> str:
        """Where the collection is."""
        return self._place

    @contextmanager
    def transaction(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Open, or join, a write transaction; the outermost one first looks after one that was cut off."""
        joins = self.in_transaction
        with super().transaction(timeout_seconds) as connection:
            if not joins:
                self._token = None
                self._look_after()
            yield connection

    def about_to_write(self, generation: int, ids: Sequence[str]) -> None:
        """Write down, inside a transaction, which points are written next."""
        if self._token is None:
            self._token = uuid.uuid4().hex
            self._list.begin(self._token)
        self._list.add(Written(generation, list(ids)))
        self.keep_note(_KNOWN, self._list.state() or "")

    def _look_after(self) -> None:
        state = self._list.state()
        if state is None or state == self._settled or self.mend is None:
            return
        if self.note(_KNOWN) == state:
            self._settled = state
            return
        self.mend(self._list.read())
        self.keep_note(_KNOWN, state)


class _List:
    """The file: a token, then a line for each write that is about to happen. One writer at a time has the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> str | None:
        """Return what tells this state of the file from every other one, or ``None`` without one."""
        try:
            with self._path.open("rb") as file:
                token = file.read(_TOKEN_BYTES).decode("ascii", "replace")
                return f"{token}:{os.fstat(file.fileno()).st_size}"
        except FileNotFoundError:
            return None

    def begin(self, token: str) -> None:
        self._write("w", token)

    def add(self, written: Written) -> None:
        self._write("a", json.dumps(written))

    def read(self) -> list[Written]:
        """Return what was about to be written; before a line that was cut off, nothing was."""
        found = []
        for line in self._path.read_text(encoding="utf-8").splitlines()[1:]:
            try:
                found.append(Written(*json.loads(line)))
            except ValueError:
                break
        return found

    def _write(self, mode: str, line: str) -> None:
        try:
            with self._path.open(mode, encoding="utf-8") as file:
                file.write(f"{line}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written ({error.strerror or error}), and without it no point is; make its "
                "folder writable, or free some space"
            ) from error


def files_of(ledger: Path) -> list[Path]:
    """Return the files that a ledger is made of, the ledger itself last."""
    beside = [ledger.with_name(f"{ledger.name}{suffix}") for suffix in ("-wal", "-shm")]
    return [_list_of(ledger), *beside, ledger]


def _list_of(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.writing")
