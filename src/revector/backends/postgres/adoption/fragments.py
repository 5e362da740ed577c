"""The user's table in the SQL of `triggers`: what the braces there stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from psycopg import sql

from revector.backends.contracts import content_hash
from revector.backends.postgres.adoption import triggers
from revector.backends.postgres.adoption.tables import joined_text

_STEADY_TYPES = ("bigint", "integer", "smallint", "uuid")
# What a session has set is no part of an id.
_STEADY = "SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET bytea_output = 'hex'"
_FIELDS_A_CALL = 50  # PostgreSQL takes 100 arguments


@dataclass(frozen=True)
class Column:
    """A column of a table; its type as SQL spells it."""

    name: str
    type: str

    @property
    def is_text(self) -> bool:
        """Whether a value is its own text."""
        return self.type == "text" or self.type.startswith("character varying")

    @property
    def is_steady(self) -> bool:
        """Whether the text of a value is the same whatever a session has set."""
        return self.is_text or self.type in _STEADY_TYPES


@dataclass(frozen=True)
class Captured:
    """A user's table, and the collection that is kept up to date with it.

    Parameters
    ----------
    collection : str
        The schema of the collection.
    schema, name : str
        Of the table.
    key : tuple of Column
        Those that name a row, never null.
    text : tuple of str
        The columns that are embedded, joined by blank lines.
    vector : str
        The column of the vectors.
    updated : str, optional
        The column that says when a row was changed: a date or timestamp.
    others : tuple of str
        The columns that are metadata.
    order : tuple of str
        The names of the key's columns in the order of a unique index; empty where that is the order of `key`.
    partitions : tuple of (str, str)
        Schemas and names of the tables below a partitioned one, at every level.
    type_schemas : tuple of str
        Where the types of the key are, unless that is ``pg_catalog``. Only who is trusted may create anything there.
    """

    collection: str
    schema: str
    name: str
    key: tuple[Column, ...]
    text: tuple[str, ...]
    vector: str
    updated: str | None = None
    others: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()
    type_schemas: tuple[str, ...] = ()


def fragments(captured: Captured) -> dict[str, sql.Composable]:
    """Return what the braces in `triggers` stand for."""
    keys = {f"id_{place}": column.name for place, column in enumerate(captured.key, 1)}
    ids = {name: ours for ours, name in keys.items()}
    of_index = {ids[name]: name for name in captured.order or ids}
    texts = {f"text_{place}": name for place, name in enumerate(captured.text, 1)}
    seen = {**keys, **texts, "vector": captured.vector}
    path = ("pg_catalog", captured.collection, *captured.type_schemas, "pg_temp")
    parts: dict[str, sql.Composable] = {
        "schema": sql.Identifier(captured.collection),
        "table": sql.Identifier(captured.schema, captured.name),
        "path": sql.SQL(", ").join(map(sql.Identifier, path)),
        "ids": _each("{id}", keys),
        "ids_down": _each("{id} DESC", of_index),
        "no_ids": _each("{id} = NULL", keys),
        "ids_not_null": _each("ALTER {id} SET NOT NULL", keys),
        "ids_before": _each("b.{id}", keys),
        "ids_after": _each("a.{id}", keys),
        "ids_to": _each("a.{id} AS to_{id}", keys),
        "ids_moved": _each("moved.to_{id}", keys),
        "values": _each("t.{name}", keys),
        "present_ids": _each("p.{id}", of_index),
        "progress_ids": _each("progress.{id}", of_index),
        "keys": _each("t.{name} AS {id}", keys),
        "seen": _each("t.{name} AS {id}", seen),
        "before": _each("b.{id}", seen),
        "after": _each("a.{id}", seen),
        "shadow_is_of_row": _each("r.{id} = t.{name}", keys, " AND "),
        "shadow_is_of_before": _each("r.{id} = b.{id}", keys, " AND "),
        "shadow_is_of_after": _each("r.{id} = a.{id}", keys, " AND "),
        "present_is_before": _each("p.{id} = b.{id}", keys, " AND "),
        "present_is_after": _each("p.{id} = a.{id}", keys, " AND "),
        "present_is_of_shadow": _each("p.{id} = r.{id}", keys, " AND "),
        "empty_hash": sql.Literal(content_hash("")),
        "vector": _column(captured.vector),
        "text": joined_text([_column(name) for name in captured.text]),
        "updated_at": _updated_at(captured),
        "metadata": _metadata(captured),
    }
    parts.update(_names(captured.key, parts))
    for name, template in triggers.FRAGMENTS.items():
        parts[name] = sql.SQL(template).format(**parts)
    return parts


def body(template: str, parts: Mapping[str, sql.Composable]) -> sql.Composable:
    """Return the body of a function, in quotes that are nowhere in it."""
    said = sql.SQL(template).format(**parts).as_string()
    quotes = next(quotes for quotes in (f"$body_{n}$" for n in count()) if quotes not in said)
    return sql.SQL(quotes + said + quotes)


def _each(template: str, columns: Mapping[str, str], joint: str = ", ") -> sql.Composed:
    """Return a template for each column; `id` is what it is called here, `name` what the user calls it."""
    said = (sql.SQL(template).format(id=sql.SQL(ours), name=sql.Identifier(name)) for ours, name in columns.items())
    return sql.SQL(joint).join(said)


def _column(name: str) -> sql.Composed:
    return sql.SQL("t.{}").format(sql.Identifier(name))


def _updated_at(captured: Captured) -> sql.Composable:
    now = sql.SQL("extract(epoch FROM statement_timestamp())::double precision")
    if captured.updated is None:
        return now
    said = sql.SQL("coalesce(extract(epoch FROM {})::double precision, {})")
    return said.format(_column(captured.updated), now)


def _metadata(captured: Captured) -> sql.Composable:
    fields = [sql.SQL("{}::text, {}").format(sql.Literal(name), _column(name)) for name in captured.others]
    calls = [
        sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(fields[start : start + _FIELDS_A_CALL]))
        for start in range(0, max(1, len(fields)), _FIELDS_A_CALL)
    ]
    return sql.SQL("({})").format(sql.SQL(" || ").join(calls))


def _names(key: tuple[Column, ...], parts: Mapping[str, sql.Composable]) -> dict[str, sql.Composable]:
    """Return how rows are named: by their keys, and by those as texts unless they are texts."""
    if len(key) == 1 and key[0].is_text:
        by_key = {"id": "r.id_1::text", "id_column": "", "id_index": "", "steady": "", "names": "{ids}"}
        return _said({**by_key, "named": "{keys}", "names_to": "{ids_to}", "names_moved": "{ids_moved}"}, parts)
    id_of = "{}::text" if len(key) == 1 else "jsonb_build_array({})::text"
    names = {
        "id": "r.id",
        "id_column": 'ADD id text COLLATE "C" NOT NULL,',
        "id_index": "CREATE INDEX ON {schema}.rows (id)",
        "steady": "" if all(column.is_steady for column in key) else _STEADY,
        "names": "{ids}, id",
        "named": f"{{keys}}, {id_of.format('{values}')} AS id",
        "names_to": f"{{ids_to}}, {id_of.format('{ids_after}')} AS to_id",
        "names_moved": "{ids_moved}, moved.to_id",
    }
    return _said(names, parts)


def _said(templates: Mapping[str, str], parts: Mapping[str, sql.Composable]) -> dict[str, sql.Composable]:
    return {name: sql.SQL(template).format(**parts) for name, template in templates.items()}
