"""Small values of a collection under names: what limits a run, what running processes say of themselves.

They are kept in the table where databases note the versions of their schemas, which files of earlier releases have as
well.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from revector.ledger.database import LedgerDatabase

_PREFIX = "note:"
_GET = sa.text("SELECT value FROM meta WHERE key = :key")
_UNDER = sa.text("SELECT key, value FROM meta WHERE substr(key, 1, :length) = :prefix ORDER BY key")
_KEEP = sa.text(
    "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_DROP = sa.text("DELETE FROM meta WHERE key = :key")


class NoteTable:
    """The notes of a ledger. Each method is one transaction, or part of the caller's.

    See `revector.backends.contracts.Notes` for what each method promises.

    Parameters
    ----------
    database : LedgerDatabase
        Where the table lives.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def get(self, name: str) -> Any:
        """Return what was kept under a name, or ``None``."""
        with self._database.snapshot() as connection:
            found = connection.execute(_GET, {"key": _PREFIX + name}).scalar()
        return None if found is None else json.loads(found)

    def under(self, prefix: str) -> dict[str, Any]:
        """Return everything whose name begins with a prefix, by the rest of the name."""
        whole = _PREFIX + prefix
        with self._database.snapshot() as connection:
            rows = connection.execute(_UNDER, {"prefix": whole, "length": len(whole)}).all()
        return {key[len(whole) :]: json.loads(value) for key, value in rows}

    def keep(self, name: str, value: Any) -> None:
        """Keep a value under a name, in place of what was kept there."""
        with self._database.transaction() as connection:
            connection.execute(_KEEP, {"key": _PREFIX + name, "value": json.dumps(value)})

    def drop(self, name: str) -> None:
        """Forget what was kept under a name, if anything."""
        with self._database.transaction() as connection:
            connection.execute(_DROP, {"key": _PREFIX + name})
