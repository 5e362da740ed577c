"""Tables of a collection in PostgreSQL, in a schema of its own. What can be a constraint is one.

Each generation has a table of its own, `vectors_table`: pgvector's indexes want one dimension, and what a dropped
generation took is given back at once. No foreign key leads from there to the documents, which would cost more than
storing the vector: whoever stores one locks its document (``FOR SHARE``), and whoever deletes documents deletes
their vectors first. ``in_column`` marks a generation whose vectors are in a column of the user's table instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

VERSION = 1
VectorType: TypeAlias = Literal["vector", "halfvec"]
"""The types of pgvector that hold every number of a vector: of 4 bytes, or of 2."""
METADATA = sa.MetaData()

documents = sa.Table(
    "documents",
    METADATA,
    sa.Column("key", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("content_hash", sa.Text, nullable=False, index=True),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("metadata", JSONB, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.CheckConstraint("length(content_hash) = 64"),
)

access = sa.Table(
    "access",
    METADATA,
    sa.Column("document_key", sa.ForeignKey("documents.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("hits", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.CheckConstraint("failures BETWEEN 0 AND hits"),
)

generations = sa.Table(
    "generations",
    METADATA,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("space", JSONB, nullable=False),
    sa.Column("encoder_source", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("dropped", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("in_column", sa.Boolean, nullable=False, server_default=sa.false()),
)

aliases = sa.Table(
    "aliases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("generation", sa.ForeignKey("generations.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.CheckConstraint("version >= 1"),
)

maps = sa.Table(
    "maps",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("fitted_at", sa.Double, nullable=False),
    sa.Column("map", sa.LargeBinary, nullable=False),
)

_VECTORS = """
CREATE TABLE {table} (
    document_key bigint PRIMARY KEY,
    seq bigint NOT NULL,
    embedded_at double precision NOT NULL,
    content_hash text NOT NULL,
    vector {type}({dimension}) NOT NULL
);
CREATE INDEX ON {table} (seq);
"""


@dataclass(frozen=True)
class Held:
    """How documents are locked, before what belongs to them is written.

    Parameters
    ----------
    table : str
        Has a row for each document, with its ``key`` and ``content_hash``.
    order : str
        In which rows are locked, by everybody.
    others : str
        What becomes of rows that others have locked: they are waited for, unless it says ``SKIP LOCKED``.
    """

    table: str
    order: str
    others: str = ""

    def said(self, statement: str) -> str:
        """Return a statement that says ``{table}``, ``{order}`` and ``{others}`` for these; other braces stay."""
        for name, value in vars(self).items():
            statement = statement.replace(f"{{{name}}}", value)
        return statement


DOCUMENTS = Held("documents", 'id COLLATE "C"')
"""The order is known of new documents, too, which have no keys yet."""


def vectors_name(generation: int) -> str:
    """Return the name of the table, or view, of a generation's vectors, which needs no quotes."""
    return f"vectors_{generation}"


def vectors_table(generation: int) -> sql.Identifier:
    """Return `vectors_name` for a statement."""
    return sql.Identifier(vectors_name(generation))


def create_vectors(generation: int, dimension: int, type_: VectorType) -> sql.Composed:
    """Return the statements that make the table of a generation's vectors.

    `seq` is the number of the transaction that wrote the row, and `PostgresDatabase.shift`.
    """
    parts = {"type": sql.Identifier(type_), "dimension": sql.Literal(dimension)}
    return sql.SQL(_VECTORS).format(table=vectors_table(generation), **parts)
