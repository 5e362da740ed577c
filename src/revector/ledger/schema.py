"""Tables of the ledger: migrations, their events, and the jobs of every generation that is being filled.

Invariants are constraints: one migration that is not final for an alias, a lease has an owner and an end, a migration
that writes has a target.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from revector.ledger.state import Phase

VERSION = 1  # earlier releases read and write the files of this one: `revector.backends.sqlite.upgrade`
METADATA = sa.MetaData()
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # 64 bits: SQLite's integers all have them

JOB_STATES = ("pending", "leased", "done", "failed")


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})")


def _partial_index(name: str, where: str, *columns: sa.Column[Any], unique: bool = False) -> sa.Index:
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


migrations = sa.Table(
    "migrations",
    METADATA,
    sa.Column("id", _KEY, primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("alias_version", sa.Integer, nullable=False),
    sa.Column("source_generation", _KEY, nullable=False),
    sa.Column("target_generation", _KEY),
    sa.Column("target_space", sa.JSON, nullable=False),
    sa.Column("target_encoder_source", sa.Text),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("strategy", sa.JSON, nullable=False),
    sa.Column("retention_seconds", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("cutover_at", sa.Float),
    sa.Column("verification", sa.JSON(none_as_null=True)),
    _one_of("phase", tuple(phase.value for phase in Phase)),
    sa.CheckConstraint("target_generation IS NOT NULL OR phase IN ('planned', 'rolled_back', 'retired')"),
    sa.CheckConstraint("target_generation <> source_generation"),
    sa.CheckConstraint("phase <> 'serving' OR cutover_at IS NOT NULL"),
    sa.CheckConstraint("retention_seconds >= 0"),
    sqlite_autoincrement=True,
)
_partial_index("one_active_migration", "phase != 'retired'", migrations.c.alias, unique=True)

events = sa.Table(
    "events",
    METADATA,
    sa.Column("id", _KEY, primary_key=True),
    sa.Column("migration_id", sa.ForeignKey("migrations.id"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("from_phase", sa.Text),
    sa.Column("to_phase", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)

jobs = sa.Table(
    "jobs",
    METADATA,
    sa.Column("generation", _KEY, primary_key=True, autoincrement=False),
    sa.Column("document_key", _KEY, primary_key=True, autoincrement=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", sa.Float),
    sa.Column("not_before", sa.Float, nullable=False, server_default="0"),
    sa.Column("error", sa.Text),
    sa.Column("unfinished", sa.Integer, nullable=False, server_default="0"),
    sa.Column("turn", sa.Integer, nullable=False, server_default="0"),
    _one_of("state", JOB_STATES),
    sa.CheckConstraint("(state = 'leased') = (lease_owner IS NOT NULL)"),
    sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)"),
    sa.CheckConstraint("state <> 'failed' OR error IS NOT NULL"),
    sqlite_with_rowid=False,
)
# Each state has an index of its own, for one that holds them all is written at each step of every job. A statement that
# is to use one says the state in its text (SQLite does not look at parameters), or that the lease ends after some time.
_ORDER = ("generation", "state", "not_before", "unfinished", "priority", "turn", "document_key")
_ENDED = "state = 'failed' OR state = 'done'"
jobs_waiting = _partial_index("jobs_waiting", "state = 'pending'", *(jobs.c[name] for name in _ORDER))
_partial_index("jobs_by_lease", "lease_until IS NOT NULL", jobs.c.lease_until)
jobs_ended = _partial_index("jobs_ended", _ENDED, jobs.c.generation, jobs.c.state)

leases = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)

asking = sa.Table(
    "asking",
    METADATA,
    sa.Column("migration_id", sa.ForeignKey("migrations.id"), primary_key=True),
    sa.Column("through", _KEY, nullable=False),
)
