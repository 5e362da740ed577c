"""Named leases: what one process at a time does, of all that have a collection open.

Whoever holds one renews it by asking for it again. It is taken over when it runs out, and at once when its owner is a
process of this machine that has ended.
"""

from __future__ import annotations

import logging
import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from revector.ledger.database import LedgerDatabase
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead
from revector.ledger.schema import leases

_HOLDER = sa.select(leases.c.owner, leases.c.until).where(
    leases.c.name == sa.bindparam("wanted"), leases.c.until > sa.bindparam("now")
)
_TAKE = sa.text(
    """
    INSERT INTO leases (name, owner, until) VALUES (:name, :owner, :until)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
    """
)
_CAP = sa.text("UPDATE leases SET until = :longest WHERE until > :longest")

_log = logging.getLogger(__name__)


class LeaseTable:
    """The named leases of a ledger. Each method is one transaction, or part of the caller's.

    Parameters
    ----------
    database : LedgerDatabase
        Where the table lives.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take, or renew, a lease; return whether the owner holds it now. See `revector.backends.contracts.Leases`."""
        self._database.require_writable()
        now = time.time()
        longest = now + LONGEST_LEASE_SECONDS
        with self._database.snapshot() as connection:  # whoever only waits for a lease keeps no writer waiting
            until = _held_until(connection, name, owner, now)
            if until is not None and until <= longest:
                return False
        with self._database.transaction() as connection:
            if connection.execute(_CAP, {"longest": longest}).rowcount:
                _log.warning("a lease was held for longer than anybody holds one, by a clock that is ahead")
            if _held_until(connection, name, owner, now) is not None:
                return False
            connection.execute(_TAKE, {"name": name, "owner": owner, "until": min(now + seconds, longest)})
        return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; one that somebody else holds stays with them."""
        with self._database.transaction() as connection:
            connection.execute(leases.delete().where(leases.c.name == name, leases.c.owner == owner))

    def release_all(self) -> None:
        """Free all leases, in a copy whose owners work on the original."""
        with self._database.transaction() as connection:
            connection.execute(leases.update().values(until=0.0))


def _held_until(connection: Connection, name: str, owner: str, now: float) -> float | None:
    """Return until when somebody else holds a lease; nobody does whose process has ended."""
    holder = connection.execute(_HOLDER, {"wanted": name, "now": now}).one_or_none()
    return None if holder is None or holder.owner == owner or is_dead(holder.owner) else holder.until
