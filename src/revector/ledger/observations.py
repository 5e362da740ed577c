"""What searches have seen while a migration compares two models: sums of each step, and what readers said of answers.

The tables are made when the first of it is written: most collections never have any.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from revector.ledger.database import LedgerDatabase

_VERSION = 1
_METADATA = sa.MetaData()
_COMPONENT = "observations"
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")

observed = sa.Table(
    "observed",
    _METADATA,
    sa.Column("migration_id", _KEY, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sums", sa.JSON, nullable=False),
)
feedback = sa.Table(
    "feedback",
    _METADATA,
    sa.Column("query_id", sa.Text, primary_key=True),
    sa.Column("document_id", sa.Text, primary_key=True),
    sa.Column("migration_id", _KEY, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("team", sa.Integer, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("worth", sa.Float, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.CheckConstraint("place >= 0"),
    sa.CheckConstraint("team IN (-1, 0, 1)"),
)
sa.Index("feedback_of", feedback.c.migration_id, feedback.c.name)

_SUMS = sa.select(observed.c.sums).where(
    observed.c.migration_id == sa.bindparam("migration"), observed.c.name == sa.bindparam("of")
)
_LOCKED = _SUMS.with_for_update()
_BEGUN = sa.text(
    "INSERT INTO observed (migration_id, name, sums) VALUES (:migration, :of, '{}') ON CONFLICT DO NOTHING"
)
_KEPT = (
    observed.update()
    .where(observed.c.migration_id == sa.bindparam("migration"), observed.c.name == sa.bindparam("of"))
    .values(sums=sa.bindparam("new_sums"))
)
_SAID = sa.text(
    """
    INSERT INTO feedback (query_id, document_id, migration_id, name, arm, team, place, worth, at)
    VALUES (:query_id, :document_id, :migration, :of, :arm, :team, :place, :worth, :at)
    ON CONFLICT (query_id, document_id) DO UPDATE SET worth = excluded.worth, at = excluded.at
    """
)
_NAMES = sa.text(
    """
    SELECT name FROM observed WHERE migration_id = :migration AND (name = :of OR name LIKE :below)
    UNION SELECT name FROM feedback WHERE migration_id = :migration AND (name = :of OR name LIKE :below)
    ORDER BY name
    """
)
_BY_QUERY = sa.text(
    """
    SELECT query_id, max(arm) AS arm, sum(team * worth) AS preference,
           max(CASE WHEN worth > 0 THEN worth / (place + 1) ELSE 0 END) AS reward
    FROM feedback WHERE migration_id = :migration AND name = :of GROUP BY query_id
    """
)


@dataclass(frozen=True)
class Said:
    """What a reader said of a document in an answer.

    Parameters
    ----------
    query_id, document_id : str
    arm : {"old", "new", "both"}
        That the answer was of; "both" for an interleaved one.
    team : {-1, 0, 1}
        Of an interleaved answer: whose document it was, the old arm's, neither's or the new arm's; otherwise 0.
    place : int
        In the answer, from 0.
    worth : float
        Above 0 for what was welcome, below 0 for what was not.
    """

    query_id: str
    document_id: str
    arm: str
    team: int
    place: int
    worth: float


@dataclass(frozen=True)
class QueryFeedback:
    """What readers said of the answer to one query.

    Parameters
    ----------
    arm : {"old", "new", "both"}
        That the answer was of.
    preference : float
        Above 0 for the new arm, below 0 for the old one, if the answer was interleaved.
    reward : float
        Of the best document, its worth by its place: a click on the first one is 1, on the second one 1/2.
    """

    arm: str
    preference: float
    reward: float


class ObservationTable:
    """Sums and feedback of a ledger. Each method is one transaction, or part of the caller's.

    Parameters
    ----------
    database : LedgerDatabase
        Where the tables live.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(self, migration_id: int, name: str, sums: Mapping[str, Any]) -> None:
        """Add numbers, which may be nested by name, to those that are kept under a name.

        The first call makes the tables: not inside a transaction.
        """
        self._make()
        with self._database.transaction() as connection:
            wanted = {"migration": migration_id, "of": name}
            connection.execute(_BEGUN, wanted)
            kept = connection.execute(_LOCKED, wanted).scalar_one()
            connection.execute(_KEPT, {**wanted, "new_sums": added(kept, _by_text(sums))})

    def sums(self, migration_id: int, name: str) -> dict[str, Any]:
        """Return what is kept under a name; empty if nothing is."""
        if not self._made:
            return {}
        with self._database.snapshot() as connection:
            kept = connection.execute(_SUMS, {"migration": migration_id, "of": name})
            return dict(kept.scalar_one_or_none() or {})

    def names(self, migration_id: int, name: str) -> list[str]:
        """Return the names that something is kept under, of a name itself and of those that go on after a space."""
        if not self._made:
            return []
        with self._database.snapshot() as connection:
            return list(connection.scalars(_NAMES, {"migration": migration_id, "of": name, "below": f"{name} %"}))

    def record(self, migration_id: int, name: str, said: Sequence[Said]) -> None:
        """Keep what readers said; of the same document in the same answer the last word counts."""
        self._make()
        now = time.time()
        last = {(each.query_id, each.document_id): each for each in said}
        rows = [{"migration": migration_id, "of": name, "at": now, **vars(each)} for each in last.values()]
        with self._database.transaction() as connection:
            connection.execute(_SAID, rows)

    def feedback(self, migration_id: int, name: str) -> list[QueryFeedback]:
        """Return what readers said of each query."""
        if not self._made:
            return []
        with self._database.snapshot() as connection:
            found = connection.execute(_BY_QUERY, {"migration": migration_id, "of": name})
            return [QueryFeedback(row.arm, row.preference, row.reward) for row in found]

    @property
    def _made(self) -> bool:
        return self._database.note(f"schema_version:{_COMPONENT}") is not None

    def _make(self) -> None:
        self._database.ensure_schema(_COMPONENT, _VERSION, _METADATA)


def _by_text(sums: Mapping[Any, Any]) -> dict[str, Any]:
    """Name numbers by texts alone, as JSON does."""
    return {str(name): _by_text(value) if isinstance(value, Mapping) else value for name, value in sums.items()}


def added(kept: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sums of numbers that are nested by name."""
    return {
        name: added(kept.get(name, {}), more.get(name, {}))
        if isinstance(kept.get(name, more.get(name)), Mapping)
        else kept.get(name, 0) + more.get(name, 0)
        for name in {**kept, **more}
    }
