"""The durable truth of migrations: rows, events, jobs. `Ledger.advance` is the only place where a phase changes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from revector.errors import LedgerConflictError, MigrationError
from revector.ledger.database import LedgerDatabase
from revector.ledger.jobs import JobQueue
from revector.ledger.leases import LeaseTable
from revector.ledger.notes import NoteTable
from revector.ledger.observations import ObservationTable
from revector.ledger.schema import METADATA, VERSION, asking, events, migrations
from revector.ledger.state import Phase, require_transition, steps_to_end
from revector.spaces import EmbeddingSpace

_BY_ID = migrations.select().where(migrations.c.id == sa.bindparam("wanted"))
_ACTIVE = migrations.select().where(
    migrations.c.alias == sa.bindparam("wanted"), migrations.c.phase != Phase.RETIRED.value
)
_LOCKED = _BY_ID.with_for_update()
_ASKED_THROUGH = sa.text(
    """
    INSERT INTO asking (migration_id, through) VALUES (:migration_id, :through)
    ON CONFLICT (migration_id) DO UPDATE SET through = excluded.through
    """
)
LAST_EVENT = "SELECT coalesce(max(id) || ' ' || max(at), '') FROM events WHERE id = (SELECT max(id) FROM events)"
"""What names the last event, which is as well how a database is asked `LedgerDatabase.once`."""


Fields: TypeAlias = "dict[str, Any]"
"""What a strategy writes down of itself; several are a list, one is an object, as earlier releases read it."""


@dataclass(frozen=True)
class MigrationRecord:
    """A migration as the ledger holds it.

    Attributes
    ----------
    alias_version : int
        Version of the alias as this migration last saw or made it; anybody else's swap is noticed by it.
    target_generation : int or None
        ``None`` until the migration has been started.
    verification : dict or None
        Outcome of the last verification: ``passed``, ``reasons``, ``seq`` (point of the store's counter), ``at``.
    """

    id: int
    alias: str
    alias_version: int
    source_generation: int
    target_generation: int | None
    target_space: EmbeddingSpace
    target_encoder_source: str | None
    phase: Phase
    paused: bool
    strategy: Fields | list[Fields]
    retention_seconds: float
    created_at: float
    cutover_at: float | None
    verification: dict[str, Any] | None

    @property
    def serving_generation(self) -> int:
        """The generation that the alias points at."""
        moved = self.phase is Phase.SERVING or (self.phase is Phase.RETIRED and self.cutover_at is not None)
        return self.target_generation if moved and self.target_generation is not None else self.source_generation


@dataclass(frozen=True)
class Event:
    """Something that happened to a migration; the phases are equal when it was no transition.

    Attributes
    ----------
    at : float
        Seconds since the epoch.
    name : str
        The verb that caused it.
    from_phase, to_phase : Phase
        The first one is ``None`` where a migration was planned.
    details : dict
        What else there is to say, as JSON.
    id : int
        Grows from one event to the next.
    migration : int
        Which one it happened to.
    """

    at: float
    name: str
    from_phase: Phase | None
    to_phase: Phase
    details: dict[str, Any]
    id: int = 0
    migration: int = 0


class Ledger:
    """Migrations, events and jobs in a database, which may be the store's own: then they commit together.

    See `revector.backends.contracts.Ledger` for what each method promises.

    Parameters
    ----------
    database : LedgerDatabase
        Where the tables live.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database
        self.jobs = JobQueue(database)
        self.leases = LeaseTable(database)
        self.observations = ObservationTable(database)
        self.notes = NoteTable(database)
        database.ensure_schema("ledger", VERSION, METADATA)

    def plan(
        self,
        *,
        alias: str,
        alias_version: int,
        source_generation: int,
        target_space: EmbeddingSpace,
        target_encoder_source: str | None,
        strategy: Fields | list[Fields],
        retention_seconds: float,
    ) -> MigrationRecord:
        """Accept a migration, in phase PLANNED."""
        row = {
            "alias": alias,
            "alias_version": alias_version,
            "source_generation": source_generation,
            "target_space": target_space.to_json(),
            "target_encoder_source": target_encoder_source,
            "phase": Phase.PLANNED.value,
            "paused": False,
            "strategy": strategy,
            "retention_seconds": retention_seconds,
            "created_at": time.time(),
        }
        with self._database.transaction() as connection:
            planned = connection.scalar(_insert(row))
            if planned is None:
                raise self._conflict(alias)
            record = self._found(connection, _BY_ID, planned)
            _log(connection, record, "plan", None, {})
        return record

    def record(self, migration_id: int) -> MigrationRecord:
        """Return a migration; raise `MigrationError` if it does not exist."""
        with self._database.snapshot() as connection:
            return self._found(connection, _BY_ID, migration_id)

    def active(self, alias: str) -> MigrationRecord | None:
        """Return the alias's migration that is not retired, or ``None``."""
        with self._database.snapshot() as connection:
            row = connection.execute(_ACTIVE, {"wanted": alias}).one_or_none()
        return None if row is None else _record(row)

    def advance(
        self, migration_id: int, to_phase: Phase, event: str, details: dict[str, Any] | None = None, **fields: Any
    ) -> MigrationRecord:
        """Change the phase, and write the event, in one transaction."""
        with self._database.transaction() as connection:
            before = self._found(connection, _LOCKED, migration_id)
            require_transition(before.phase, to_phase)
            after = _change(connection, migration_id, phase=to_phase.value, **fields)
            _log(connection, after, event, before.phase, details or {})
        return after

    def note(
        self, migration_id: int, event: str, details: dict[str, Any] | None = None, **fields: Any
    ) -> MigrationRecord:
        """Change columns other than the phase, and write the event, in one transaction."""
        if "phase" in fields:
            raise TypeError("a phase changes by advance() alone")
        with self._database.transaction() as connection:
            before = self._found(connection, _LOCKED, migration_id)
            after = _change(connection, migration_id, **fields) if fields else before
            _log(connection, after, event, after.phase, details or {})
        return after

    def asked_through(self, migration_id: int) -> int | None:
        """Return the document key up to which `start` has asked for vectors, or ``None``: for all, or for none yet."""
        query = sa.select(asking.c.through).where(asking.c.migration_id == migration_id)
        with self._database.snapshot() as connection:
            return connection.scalar(query)

    def set_asked_through(self, migration_id: int, key: int | None) -> None:
        """Note up to which document key vectors were asked for; ``None`` once that is done."""
        with self._database.transaction() as connection:
            if key is None:
                connection.execute(asking.delete().where(asking.c.migration_id == migration_id))
            else:
                connection.execute(_ASKED_THROUGH, {"migration_id": migration_id, "through": key})

    def events(self, migration_id: int) -> list[Event]:
        """Return the events of a migration, the oldest first."""
        return self._events(events.c.migration_id == migration_id)

    def events_after(self, id_: int) -> list[Event]:
        """Return the events of all migrations after one of them, the oldest first; all of them after 0."""
        return self._events(events.c.id > id_)

    def last_note(self, migration_id: int, event: str) -> dict[str, Any] | None:
        """Return the details of the last event of a name, or ``None``."""
        query = sa.select(events.c.details).where(events.c.migration_id == migration_id, events.c.name == event)
        with self._database.snapshot() as connection:
            return connection.scalar(query.order_by(events.c.id.desc()).limit(1))

    def last_event(self) -> str:
        """Return what names the last event of all migrations."""
        return self._database.once(LAST_EVENT, lambda asked: str(asked.exec_driver_sql(LAST_EVENT).scalar_one()))

    def release_all(self) -> None:
        """Free all jobs and leases, in a copy whose workers work on the original."""
        self.jobs.release_all()
        self.leases.release_all()

    def _found(self, connection: Connection, query: sa.Select[Any], migration_id: int) -> MigrationRecord:
        row = connection.execute(query, {"wanted": migration_id}).one_or_none()
        if row is None:
            raise MigrationError(f"migration {migration_id} does not exist in {self._database.url}")
        return _record(row)

    def _events(self, which: sa.ColumnElement[bool]) -> list[Event]:
        with self._database.snapshot() as connection:
            return [_event(row) for row in connection.execute(events.select().where(which).order_by(events.c.id))]

    def _conflict(self, alias: str) -> LedgerConflictError:
        active = self.active(alias)
        if active is None:
            return LedgerConflictError(f"the collection {alias!r} is being migrated already; try again", alias=alias)
        steps = steps_to_end(active.phase)
        verbs = ", then ".join("retire(confirm=True)" if step == "retire" else f"{step}()" for step in steps)
        kept = ", with force=True inside the retention period" if active.phase is Phase.SERVING else ""
        return LedgerConflictError(
            f"the collection {alias!r} is being migrated already: migration {active.id} to {active.target_space} is "
            f"{active.phase}; end it by {verbs}{kept} before the next one",
            alias=alias,
            phase=active.phase.value,
            steps=steps,
        )


def _insert(row: dict[str, Any]) -> sa.TextClause:
    """Insert a migration and return its id, or nothing where the index `one_active_migration` refuses it.

    It is not an error, for in PostgreSQL that would be the end of the transaction around it.
    """
    names, parameters = ", ".join(row), ", ".join(f":{name}" for name in row)
    values = [sa.bindparam(name, value, type_=migrations.c[name].type) for name, value in row.items()]
    statement = f"INSERT INTO migrations ({names}) VALUES ({parameters}) ON CONFLICT DO NOTHING RETURNING id"
    return sa.text(statement).bindparams(*values)


def _change(connection: Connection, migration_id: int, **fields: Any) -> MigrationRecord:
    update = migrations.update().where(migrations.c.id == migration_id).values(**fields)
    return _record(connection.execute(update.returning(migrations)).one())


def _log(
    connection: Connection, record: MigrationRecord, name: str, before: Phase | None, details: dict[str, Any]
) -> None:
    phases = {"from_phase": None if before is None else before.value, "to_phase": record.phase.value}
    connection.execute(
        events.insert().values(migration_id=record.id, at=time.time(), name=name, details=details, **phases)
    )


def _record(row: Row[Any]) -> MigrationRecord:
    fields = dict(row._mapping)
    fields["phase"] = Phase(fields["phase"])
    fields["target_space"] = EmbeddingSpace.from_json(fields["target_space"])
    return MigrationRecord(**fields)


def _event(row: Row[Any]) -> Event:
    before = None if row.from_phase is None else Phase(row.from_phase)
    return Event(row.at, row.name, before, Phase(row.to_phase), row.details, row.id, row.migration_id)
