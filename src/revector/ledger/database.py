"""What a ledger asks of the database that its tables live in."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from revector.ledger.dialect import Dialect

T = TypeVar("T")


class LedgerDatabase(Protocol):
    """A database and its ambient transactions, which may be those of the backend: then they commit together."""

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        ...

    @property
    def dialect(self) -> Dialect:
        """What is said to it in its own way."""
        ...

    def require_writable(self) -> None:
        """Raise what a transaction would raise at once: `ReadOnlyError`, `ClosedError`."""
        ...

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction of the calling thread."""
        ...

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open, or join, a consistent view for reads."""
        ...

    def once(self, question: Hashable, ask: Callable[[Connection], T]) -> T:
        """Ask something once for each snapshot, in which no answer changes; in a transaction, every time."""
        ...

    def note(self, key: str) -> str | None:
        """Return what was kept under a name, or ``None``."""
        ...

    def ensure_schema(self, component: str, version: int, tables: sa.MetaData) -> None:
        """Create the tables of one component the first time; refuse those of a newer revector."""
        ...
