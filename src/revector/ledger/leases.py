"""Named leases: what one process at a time does, of all that have a collection open.

Whoever holds one renews it by asking for it again. It is taken over when it runs out, and at once when its owner is a
process of this machine that has ended.
"""

from __future__ import annotations

import logging
import time

import sqlalchemy as sa

from revector.ledger.database import LedgerDatabase
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead
from revector.ledger.schema import leases

_HOLDER = sa.select(leases.c.owner, leases.c.until).where(leases.c.name == sa.bindparam("wanted"))
_TAKE = sa.text(
    """
    INSERT INTO leases (name, owner, until) VALUES (:name, :owner, :until)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
    WHERE leases.owner = excluded.owner OR (leases.owner = :seen_owner AND leases.until = :seen_until)
    """
)
_NOBODY = ("", 0.0)

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
            holder, held_until = connection.execute(_HOLDER, {"wanted": name}).one_or_none() or _NOBODY
        is_free = held_until <= now or holder == owner or is_dead(holder)
        if not is_free and held_until <= longest:
            return False
        wanted = (owner, min(now + seconds, longest)) if is_free else (holder, longest)
        took = self._take(name, wanted, seen=(holder, held_until))
        if took and not is_free:
            _log.warning("the lease %r was held for longer than anybody holds one, by a clock that is ahead", name)
        return took and is_free

    def _take(self, name: str, lease: tuple[str, float], *, seen: tuple[str, float]) -> bool:
        """Write a lease down, unless somebody else has done so since one was seen; return whether it is."""
        (owner, until), (seen_owner, seen_until) = lease, seen
        row = {"name": name, "owner": owner, "until": until, "seen_owner": seen_owner, "seen_until": seen_until}
        with self._database.transaction() as connection:
            return connection.execute(_TAKE, row).rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; one that somebody else holds stays with them."""
        with self._database.transaction() as connection:
            connection.execute(leases.delete().where(leases.c.name == name, leases.c.owner == owner))

    def release_all(self) -> None:
        """Free all leases, in a copy whose owners work on the original."""
        with self._database.transaction() as connection:
            connection.execute(leases.update().values(until=0.0))
