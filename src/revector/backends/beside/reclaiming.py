"""Dropping the collections of generations that are no longer there, which the ledger says before it happens."""

from __future__ import annotations

from revector.backends.beside.ledger_file import LedgerFile
from revector.backends.beside.points import COLLECTION, Points
from revector.backends.sqlite.reclaiming import DROPPED

_DROPPED = f"""
SELECT substr(key, {len(COLLECTION) + 1}), value FROM meta WHERE key GLOB '{COLLECTION}*'
AND EXISTS (SELECT 1 FROM meta AS dropped WHERE dropped.key = '{DROPPED}' || substr(meta.key, {len(COLLECTION) + 1}))
"""
_FORGET = "DELETE FROM meta WHERE key IN ('collection:' || :generation, 'served:' || :generation)"


def drop_collections(database: LedgerFile, points: Points) -> bool:
    """Drop the collections of dropped generations; tell whether there were any.

    That of the user's own that was adopted stays: `release` drops it, or leaves it, as the user says.
    """
    with database.snapshot() as connection:
        dropped = [(int(generation), name) for generation, name in connection.exec_driver_sql(_DROPPED)]
    for generation, name in dropped:
        if points.source is None or name != points.source.collection:
            points.store.drop(name)
        with database.transaction() as connection:
            connection.exec_driver_sql(_FORGET, {"generation": generation})
    return bool(dropped)
