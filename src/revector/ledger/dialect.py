"""What the databases of a ledger say in different ways."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection


def insert_into(_connection: Connection, table: sa.Table) -> Insert:
    """Return an INSERT that knows ``ON CONFLICT``."""
    return insert(table)
