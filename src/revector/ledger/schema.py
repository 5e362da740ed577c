"""Tables of the ledger: migrations, their events, and the jobs of every generation that is being filled.

Invariants are constraints: one migration that is not final for an alias, a lease has an owner and an end, a migration
that writes has a target.
"""

from __future__ import annotations

import sqlalchemy as sa

from revector.ledger.state import Phase

VERSION = 1  # what came later is in `upgrade`; earlier releases read and write the file, too
METADATA = sa.MetaData()

JOB_STATES = ("pending", "leased", "done", "failed")


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})")


migrations = sa.Table(
    "migrations",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("alias_version", sa.Integer, nullable=False),
    sa.Column("source_generation", sa.Integer, nullable=False),
    sa.Column("target_generation", sa.Integer),
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
sa.Index(
    "one_active_migration",
    migrations.c.alias,
    unique=True,
    sqlite_where=migrations.c.phase != "retired",
    postgresql_where=migrations.c.phase != "retired",
)

events = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
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
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document_key", sa.Integer, primary_key=True, autoincrement=False),
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
# Each state has an index of its own, for one that holds them all is written at each step of every job. SQLite takes one
# where a statement says the state in its text (a bound parameter does not), or that the lease ends after some time.
_ORDER = ("generation", "state", "not_before", "unfinished", "priority", "turn", "document_key")
jobs_waiting = sa.Index("jobs_waiting", *(jobs.c[name] for name in _ORDER), sqlite_where=sa.text("state = 'pending'"))
sa.Index("jobs_by_lease", jobs.c.lease_until, sqlite_where=jobs.c.lease_until.is_not(None))
jobs_ended = sa.Index(
    "jobs_ended", jobs.c.generation, jobs.c.state, sqlite_where=sa.text("state = 'failed' OR state = 'done'")
)

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
    sa.Column("through", sa.Integer, nullable=False),
)
