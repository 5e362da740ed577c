"""Generations of a collection in PostgreSQL, and the aliases that point at them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy.engine import Connection

from revector.backends.arguments import missing_generation, require_dimension
from revector.backends.contracts import ALIAS, Alias, Generation
from revector.backends.postgres.database import driver_of
from revector.backends.postgres.database.database import WITHOUT_VACUUM, Foreseen
from revector.backends.postgres.schema import VectorType, create_vectors, vectors_table
from revector.backends.postgres.serving import show
from revector.backends.postgres.vectors import PostgresVectors
from revector.errors import StaleAliasError, StoreError
from revector.spaces import EmbeddingSpace

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '200ms'"
_COLUMNS = "id, space, encoder_source, created_at"
_CREATE = f"""
INSERT INTO generations (space, encoder_source, created_at) VALUES (%s, %s, %s) RETURNING {_COLUMNS}
"""
_ALL = f"SELECT {_COLUMNS} FROM generations WHERE NOT dropped ORDER BY id"
_GET = f"SELECT {_COLUMNS} FROM generations WHERE NOT dropped AND id = %s"
_SET_SOURCE = "UPDATE generations SET encoder_source = %s WHERE id = %s AND NOT dropped"
_SET_SPACE = "UPDATE generations SET space = %s, encoder_source = %s WHERE id = %s"
_SERVED = "SELECT name FROM aliases WHERE generation = %s ORDER BY name"
_DROP = "UPDATE generations SET dropped = true WHERE id = %s"
_ALIAS = "SELECT name, generation, version FROM aliases WHERE name = %s"
_CREATE_ALIAS = "INSERT INTO aliases (name, generation, version) VALUES (%s, %s, 1) ON CONFLICT (name) DO NOTHING"
_SWAP = "UPDATE aliases SET generation = %s, version = version + 1 WHERE name = %s AND version = %s"
FORESEEN = (
    Foreseen(
        "(SELECT json_agg(json_build_array(name, generation, version)) FROM aliases)",
        lambda found: {("alias", row[0]): Alias(*row) for row in found or ()},
        in_writes=False,
    ),
    # A generation keeps its dimension, and is dropped once nobody is sent there to write.
    Foreseen(
        "(SELECT json_object_agg(id, (space ->> 'dimension')::integer) FROM generations WHERE NOT dropped)",
        lambda found: {("dimension", int(id_)): dimension for id_, dimension in (found or {}).items()},
        in_writes=True,
    ),
)
"""What each transaction reads of generations when it begins."""
_SAVE_MAP = """
INSERT INTO maps (source, target, fitted_at, map) VALUES (%s, %s, %s, %s)
ON CONFLICT (source, target) DO UPDATE SET fitted_at = excluded.fitted_at, map = excluded.map
"""
_LOAD_MAP = "SELECT map FROM maps WHERE source = %s AND target = %s"
_MAP_KEPT_AT = "SELECT fitted_at FROM maps WHERE source = %s AND target = %s"


class PostgresGenerations(PostgresVectors):
    """The generations of a collection in a database; see `revector.backends.contracts.Generations`."""

    row_names: tuple[sql.Composable, ...] = (sql.SQL("named.id"),)
    """How the view for readers in plain SQL names a row."""
    named_by = "documents"
    """The table or view of these names."""

    def create(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation, and the table of its vectors."""
        with self._database.transaction() as connection:
            driver, row = driver_of(connection), (Jsonb(space.to_json()), encoder_source, time.time())
            created = _generation(driver.execute(_CREATE, row).fetchone())
            driver.execute(create_vectors(created.id, space.dimension, self.new_type(driver, space)))
        return created

    def new_type(self, driver: psycopg.Connection[Any], space: EmbeddingSpace) -> VectorType:
        """Return the type of the vectors of a generation that is created."""
        return "halfvec" if space.numbers == "float16" else "vector"

    def get(self, generation: int) -> Generation:
        """Return a generation."""
        with self._database.snapshot() as connection:
            row = driver_of(connection).execute(_GET, (generation,)).fetchone()
        if row is None:
            raise missing_generation(generation)
        return _generation(row)

    def all(self) -> list[Generation]:
        """Return all generations, the oldest first."""
        with self._database.snapshot() as connection:
            return [_generation(row) for row in driver_of(connection).execute(_ALL)]

    def set_encoder_source(self, generation: int, encoder_source: str) -> None:
        """Note where the encoder of a generation can be loaded from now."""
        with self._database.transaction() as connection:
            if not driver_of(connection).execute(_SET_SOURCE, (encoder_source, generation)).rowcount:
                raise missing_generation(generation)

    def set_space(self, generation: int, space: EmbeddingSpace, encoder_source: str | None) -> None:
        """Note that the vectors of a generation are those of another contract."""
        with self._database.transaction() as connection:
            require_dimension(self.get(generation), space)
            driver_of(connection).execute(_SET_SPACE, (Jsonb(space.to_json()), encoder_source, generation))

    def drop(self, generation: int) -> None:
        """Delete a generation and its vectors, whose table is removed by `reclaim`."""
        with self._database.transaction() as connection:
            self.get(generation)
            served = [name for (name,) in driver_of(connection).execute(_SERVED, (generation,))]
            if served:
                raise StoreError(f"generation {generation} is served by {', '.join(served)}; swap the alias first")
            driver_of(connection).execute(_DROP, (generation,))
            self._database.forget(("dimension", generation))

    def remove_storage(self, driver: psycopg.Connection[Any], generation: int) -> None:
        """Remove the table of a dropped generation, in the open transaction."""
        table = vectors_table(generation)
        if driver.execute("SELECT to_regclass(%s)", (table.as_string(),)).fetchone() == (None,):
            return
        driver.execute(WITHOUT_VACUUM.format(table=table.as_string()))
        driver.execute(_LOCK_TIMEOUT)  # a reader of long ago would keep everybody waiting who reads it after us
        driver.execute(sql.SQL("DROP TABLE {}").format(table))

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or ``None``."""
        return self._database.once(("alias", name), partial(_alias, name))

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias with version 1."""
        with self._database.transaction() as connection:
            self.get(generation)
            if not driver_of(connection).execute(_CREATE_ALIAS, (name, generation)).rowcount:
                raise StoreError(f"the alias {name!r} exists; move it with swap_alias")
            self._show(connection, name, generation)
        return Alias(name, generation, 1)

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version."""
        with self._database.transaction() as connection:
            self.get(generation)
            if not driver_of(connection).execute(_SWAP, (generation, name, expected_version)).rowcount:
                found = self.alias(name)
                if found is None:
                    raise StoreError(f"the alias {name!r} does not exist; create it with create_alias")
                raise StaleAliasError(alias=name, expected=expected_version, found=found.version)
            self._show(connection, name, generation)
        return Alias(name, generation, expected_version + 1)

    def _show(self, connection: Connection, alias: str, generation: int) -> None:
        if alias == ALIAS:
            show(driver_of(connection), generation, self.row_names, self.named_by)

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces."""
        with self._database.transaction() as connection:
            driver_of(connection).execute(_SAVE_MAP, (source, target, time.time(), blob))

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        with self._database.snapshot() as connection:
            row = driver_of(connection).execute(_LOAD_MAP, (source, target)).fetchone()
        return None if row is None else bytes(row[0])

    def map_kept_at(self, source: str, target: str) -> float | None:
        """Return when the map was kept, or ``None``."""
        with self._database.snapshot() as connection:
            row = driver_of(connection).execute(_MAP_KEPT_AT, (source, target)).fetchone()
        return None if row is None else float(row[0])


def _alias(name: str, connection: Connection) -> Alias | None:
    row = driver_of(connection).execute(_ALIAS, (name,)).fetchone()
    return None if row is None else Alias(*row)


def _generation(row: tuple[Any, ...]) -> Generation:
    id_, space, encoder_source, created_at = row
    return Generation(id_, EmbeddingSpace.from_json(space), encoder_source, created_at)
