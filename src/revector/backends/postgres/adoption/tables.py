"""What is known of a user's table before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from revector.backends.postgres.adoption.names import TableName

__all__ = ["AdoptedTable", "Column", "Metric", "VectorIndex", "joined_text"]

ColumnKind = Literal["text", "time", "json", "vector", "halfvec", "sparsevec", "other"]
Metric = Literal["cosine", "dot", "l2"]

_METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dot", "l2": "l2"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
        As it is spelled.
    type : str
        As SQL spells it, with its schema unless that is ``pg_catalog``.
    kind : str
        What it can serve as: ``text`` is any type of characters, domains included, ``time`` a date or timestamp,
        ``vector``, ``halfvec`` and ``sparsevec`` are those of pgvector, whatever schema that is in.
    dimension : int or None
        The declared one of a vector.
    is_nullable : bool
        Whether rows may lack it, or may have lacked it when that was forbidden.
    is_generated : bool
        Whether it is computed from other columns. Identity columns are not.
    is_stored : bool
        Whether rows hold it, so that triggers see it; a virtual one is computed when it is read.
    """

    name: str
    type: str
    kind: ColumnKind
    dimension: int | None
    is_nullable: bool
    is_generated: bool
    is_stored: bool


@dataclass(frozen=True)
class VectorIndex:
    """An index for nearest neighbours over the vector column, or over an expression of it.

    Parameters
    ----------
    name, method : str
        Method is ``hnsw`` or ``ivfflat``, or that of another extension.
    definition : str
        The statement that makes it, with every schema.
    operator_class : str
        ``vector_cosine_ops``, say.
    options : dict of str to str
        ``m`` and ``ef_construction``, or ``lists``; pgvector's defaults where the index says nothing.
    is_valid : bool
        ``False`` while it is being built, and when a build was cut off.
    """

    name: str
    method: str
    definition: str
    operator_class: str
    options: dict[str, str]
    is_valid: bool

    @property
    def metric(self) -> Metric | None:
        """What its searches rank by; ``None`` for anything else (``vector_l1_ops``, ``bit_hamming_ops``)."""
        words = self.operator_class.split("_")
        return _METRICS.get(words[-2]) if len(words) > 2 else None


@dataclass(frozen=True)
class AdoptedTable:
    """A user's table, and what its columns mean.

    Parameters
    ----------
    oid : int
        Its number, which stays the same when it is renamed.
    schema, name : str
        As they are spelled.
    kind : str
        ``table`` or ``partitioned table``.
    columns : tuple of Column
        All of them.
    keys, texts : tuple of Column
        In the order in which they were given.
    key_order : tuple of str
        The names of the key's columns in the order of a unique index.
    vector : Column
        Of kind ``vector`` or ``halfvec``.
    dimension : int
        The declared one, or that of all rows.
    updated : Column or None
        When a row was changed.
    extension_schema : str
        Where pgvector is.
    indexes : tuple of VectorIndex
        Those of the table, and those that single partitions have for themselves.
    has_row_security, row_security_applies : bool
        Whether it is enabled, and whether this role sees and writes only some rows therefore.
    partitions : tuple of TableName
        The tables below a partitioned one, at every level.
    triggers : tuple of str
        Triggers of the user, those of partitions included.
    is_logged : bool
        An unlogged table is empty after a crash.
    is_owner : bool
        Whether this role may change the table itself: the type of a column, an index.
    missing_grants : tuple of str
        Statements that would give this role what it needs and lacks.
    """

    oid: int
    schema: str
    name: str
    kind: Literal["table", "partitioned table"]
    columns: tuple[Column, ...]
    keys: tuple[Column, ...]
    texts: tuple[Column, ...]
    key_order: tuple[str, ...]
    vector: Column
    dimension: int
    updated: Column | None
    extension_schema: str
    indexes: tuple[VectorIndex, ...]
    has_row_security: bool
    row_security_applies: bool
    partitions: tuple[TableName, ...]
    triggers: tuple[str, ...]
    is_logged: bool
    is_owner: bool
    missing_grants: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def text_expression(self) -> sql.Composed:
        """A row's text in a statement, as `joined_text` has it."""
        return joined_text([sql.Identifier(column.name) for column in self.texts])


def joined_text(columns: Sequence[sql.Composable]) -> sql.Composed:
    """Return the text of a row: its text columns, those that are not empty, joined by blank lines."""
    if len(columns) == 1:
        joined = sql.SQL("coalesce({}::pg_catalog.text, '')").format(columns[0])
    else:
        parts = [sql.SQL("nullif({}::pg_catalog.text, '')").format(column) for column in columns]
        joined = sql.SQL("pg_catalog.concat_ws(E'\\n\\n', {})").format(sql.SQL(", ").join(parts))
    return sql.SQL('({} COLLATE pg_catalog."C")').format(joined)
