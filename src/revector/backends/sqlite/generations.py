"""Generations of the embedded store, and the aliases that point at them."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from revector.backends.arguments import missing_generation, require_dimension
from revector.backends.contracts import Alias, Generation
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.database import driver_of
from revector.backends.sqlite.reclaiming import DROPPED, IS_KEPT
from revector.backends.sqlite.schema import aliases, generations, maps
from revector.backends.sqlite.vectors import SqliteVectors
from revector.errors import StaleAliasError, StoreError
from revector.spaces import EmbeddingSpace

_KEPT = generations.select().where(sa.text(IS_KEPT)).order_by(generations.c.id)
_GENERATION = _KEPT.where(generations.c.id == sa.bindparam("wanted"))
_ALIAS = "SELECT name, generation, version FROM aliases WHERE name = ?"


class GenerationRecords:
    """Which generations, aliases and maps there are, wherever the vectors are.

    Parameters
    ----------
    database : Database
        The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation."""
        row = {"space": space.to_json(), "encoder_source": encoder_source, "created_at": time.time()}
        with self._database.transaction() as connection:
            inserted = connection.execute(generations.insert().values(row).returning(generations))
            return _generation(inserted.one())

    def get(self, generation: int) -> Generation:
        """Return a generation."""
        with self._database.snapshot() as connection:
            row = connection.execute(_GENERATION, {"wanted": generation}).one_or_none()
        if row is None:
            raise missing_generation(generation)
        return _generation(row)

    def all(self) -> list[Generation]:
        """Return all generations, the oldest first."""
        with self._database.snapshot() as connection:
            return [_generation(row) for row in connection.execute(_KEPT)]

    def set_encoder_source(self, generation: int, encoder_source: str) -> None:
        """Note where the encoder of a generation can be loaded from now."""
        with self._database.transaction() as connection:
            self.get(generation)
            connection.execute(
                generations.update().where(generations.c.id == generation).values(encoder_source=encoder_source)
            )

    def set_space(self, generation: int, space: EmbeddingSpace, encoder_source: str | None) -> None:
        """Note that the vectors of a generation are those of another contract."""
        with self._database.transaction() as connection:
            require_dimension(self.get(generation), space)
            changed = {"space": space.to_json(), "encoder_source": encoder_source}
            connection.execute(generations.update().where(generations.c.id == generation).values(changed))

    def drop(self, generation: int) -> None:
        """Delete a generation and its vectors, whose rows are removed by `reclaim`."""
        with self._database.transaction() as connection:
            self.get(generation)
            served = connection.scalars(sa.select(aliases.c.name).where(aliases.c.generation == generation)).all()
            if served:
                raise StoreError(f"generation {generation} is served by {', '.join(served)}; swap the alias first")
            self._database.keep_note(f"{DROPPED}{generation}", str(time.time()))

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or ``None``."""
        with self._database.snapshot() as connection:
            row = driver_of(connection).execute(_ALIAS, (name,)).fetchone()
        return None if row is None else Alias(*row)

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias with version 1."""
        with self._database.transaction() as connection:
            self.get(generation)
            try:
                connection.execute(aliases.insert().values(name=name, generation=generation, version=1))
            except IntegrityError as error:
                raise StoreError(f"the alias {name!r} exists; move it with swap_alias") from error
        return Alias(name, generation, 1)

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version."""
        with self._database.transaction() as connection:
            self.get(generation)
            found = _version(connection, name)
            if found != expected_version:
                raise StaleAliasError(alias=name, expected=expected_version, found=found)
            new = {"generation": generation, "version": found + 1}
            connection.execute(aliases.update().where(aliases.c.name == name).values(new))
        return Alias(name, generation, expected_version + 1)

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces."""
        statement = insert(maps).values(source=source, target=target, fitted_at=time.time(), map=blob)
        new = statement.excluded
        statement = statement.on_conflict_do_update(set_={"fitted_at": new.fitted_at, "map": new.map})
        with self._database.transaction() as connection:
            connection.execute(statement)

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        query = sa.select(maps.c.map).where(maps.c.source == source, maps.c.target == target)
        with self._database.snapshot() as connection:
            return connection.scalar(query)

    def map_kept_at(self, source: str, target: str) -> float | None:
        """Return when the map was kept, or ``None``."""
        query = sa.select(maps.c.fitted_at).where(maps.c.source == source, maps.c.target == target)
        with self._database.snapshot() as connection:
            return connection.scalar(query)


class SqliteGenerations(GenerationRecords, SqliteVectors):
    """The generations of a collection in a database; see `revector.backends.contracts.Generations`."""


def _version(connection: Connection, name: str) -> int:
    version = connection.scalar(sa.select(aliases.c.version).where(aliases.c.name == name))
    if version is None:
        raise StoreError(f"the alias {name!r} does not exist; create it with create_alias")
    return int(version)


def _generation(row: Row[Any]) -> Generation:
    return Generation(row.id, EmbeddingSpace.from_json(row.space), row.encoder_source, row.created_at)
