"""Tables of the embedded store. What can be a constraint is one.

The primary key of `vectors` starts with the document, which serves the cascade of a deleted document and the scans in
key order; the index on (generation, seq) serves counting, dropping and following a generation. A vector's row is
found, and dies, with its document, hence no generation can hold a vector of a deleted document.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

VERSION = 1
METADATA = sa.MetaData()

documents = sa.Table(
    "documents",
    METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("content_hash", sa.Text, nullable=False, index=True),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.CheckConstraint("length(content_hash) = 64"),
    sqlite_autoincrement=True,  # a key is never used twice: indexes and tombstones may still hold it
)

access = sa.Table(
    "access",
    METADATA,
    sa.Column("document_key", sa.ForeignKey("documents.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("hits", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.CheckConstraint("failures BETWEEN 0 AND hits"),
)

generations = sa.Table(
    "generations",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("space", sa.JSON, nullable=False),
    sa.Column("encoder_source", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sqlite_autoincrement=True,
)

vectors = sa.Table(
    "vectors",
    METADATA,
    sa.Column("document_key", sa.ForeignKey("documents.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("generation", sa.ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("embedded_at", sa.Float, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.Index("vectors_by_seq", "generation", "seq"),
)

tombstones = sa.Table(
    "tombstones",
    METADATA,
    sa.Column("generation", sa.ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("document_key", sa.Integer, primary_key=True),
    sqlite_with_rowid=False,
)

aliases = sa.Table(
    "aliases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("generation", sa.ForeignKey("generations.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("version >= 1"),
)

maps = sa.Table(
    "maps",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("fitted_at", sa.Float, nullable=False),
    sa.Column("map", sa.LargeBinary, nullable=False),
)

sequence = sa.Table(
    "sequence",
    METADATA,
    sa.Column("only_row", sa.Integer, sa.CheckConstraint("only_row = 1"), primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)

_VECTOR_METADATA = """
CREATE VIEW vector_metadata AS
SELECT vectors.generation, vectors.document_key, documents.id,
       json_extract(generations.space, '$.model') AS model,
       json_extract(generations.space, '$.revision') AS revision,
       json_extract(generations.space, '$.dimension') AS dimension,
       vectors.embedded_at, vectors.content_hash,
       vectors.content_hash <> documents.content_hash AS stale
FROM vectors
JOIN documents ON documents.key = vectors.document_key
JOIN generations ON generations.id = vectors.generation
"""


@sa.event.listens_for(METADATA, "after_create")
def _finish(_metadata: sa.MetaData, connection: Connection, **_options: object) -> None:
    connection.exec_driver_sql(_VECTOR_METADATA)
    connection.execute(sequence.insert().values(only_row=1, value=0))
