"""Named leases: what one process at a time does, of all that have a collection open.

Whoever holds one renews it by asking for it again. It is taken over when it runs out, and at once when its owner is a
process of this machine that has ended.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from revector.ledger.database import LedgerDatabase
from revector.ledger.dialect import insert_into
from revector.ledger.owners import is_dead
from revector.ledger.schema import leases

_HOLDER = sa.select(leases.c.owner).where(leases.c.name == sa.bindparam("wanted"), leases.c.until > sa.bindparam("now"))


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
        with self._database.snapshot() as connection:  # whoever only waits for a lease keeps no writer waiting
            if _living_holder(connection, name) not in (None, owner):
                return False
        with self._database.transaction() as connection:
            if _living_holder(connection, name) not in (None, owner):
                return False
            taken = insert_into(connection, leases).values(name=name, owner=owner, until=time.time() + seconds)
            new = {"owner": taken.excluded.owner, "until": taken.excluded.until}
            connection.execute(taken.on_conflict_do_update(index_elements=["name"], set_=new))
        return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; one that somebody else holds stays with them."""
        with self._database.transaction() as connection:
            connection.execute(leases.delete().where(leases.c.name == name, leases.c.owner == owner))

    def release_all(self) -> None:
        """Free all leases, in a copy whose owners work on the original."""
        with self._database.transaction() as connection:
            connection.execute(leases.update().values(until=0.0))


def _living_holder(connection: Connection, name: str) -> str | None:
    owner = connection.scalar(_HOLDER, {"wanted": name, "now": time.time()})
    return None if owner is None or is_dead(owner) else owner
