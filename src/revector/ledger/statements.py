"""The statements of the queue: those that every database is told alike, and those that its dialect puts together."""

from __future__ import annotations

import sqlalchemy as sa

from revector.ledger.dialect import Condition, Dialect, enqueue_from, turn_of
from revector.ledger.owners import UNTIL_GIVEN_BACK_SECONDS
from revector.ledger.schema import jobs

SUSPECTS = 8
LONE_DEATHS = 3
ALONE_AFTER = 2  # unfinished leases: of a batch, and of some suspects

PENDING, FAILED, LEASED = sa.text("state = 'pending'"), sa.text("state = 'failed'"), jobs.c.lease_until >= 0
UNLEASED = {"lease_owner": None, "lease_until": None}
GIVEN_BACK = {**UNLEASED, "unfinished": sa.case((jobs.c.unfinished > 0, jobs.c.unfinished - 1), else_=0)}

_of_generation = jobs.c.generation == sa.bindparam("of_generation")
_now: sa.BindParameter[float] = sa.bindparam("now")
_longest: sa.BindParameter[float] = sa.bindparam("longest")
_suspected = _of_generation & PENDING & (jobs.c.not_before == 0) & (jobs.c.unfinished > 0)
_some = (
    sa.select(jobs.c.document_key)
    .where(_of_generation)
    .order_by(jobs.c.document_key)
    .limit(sa.bindparam("most"))
    .correlate(None)
)

_KEY, _GENERATION = (f"CAST(:{name} AS bigint)" for name in ("document_key", "generation"))
ENQUEUE = enqueue_from(f"VALUES (:generation, :document_key, :content_hash, :priority, {turn_of(_KEY, _GENERATION)})")

SUSPECT = (
    sa.select(jobs.c.document_key, jobs.c.unfinished)
    .where(_suspected)
    .order_by(jobs.c.unfinished, jobs.c.priority, jobs.c.turn, jobs.c.document_key)
    .limit(SUSPECTS)
    .with_for_update(skip_locked=True)
)
"""The documents to try next of those whose worker died; nobody else gets them before the transaction has ended."""

_FROM_PRIORITY, _AFTER = jobs.c.priority >= sa.bindparam("least"), jobs.c.document_key > sa.bindparam("after")
WAITING = (
    sa.select(jobs.c.document_key)
    .where(_of_generation, PENDING, _FROM_PRIORITY, _AFTER)
    .order_by(jobs.c.document_key)
    .limit(sa.bindparam("most"))
)
"""Documents above a key whose jobs wait, with some priority or a later one."""

_LEASED = "FROM jobs WHERE +generation = :of_generation AND lease_until >= 0"
"""The unary + keeps SQLite from looking for them among all jobs of the generation."""
_COUNT_IN = "SELECT count(*) FROM jobs WHERE generation = :of_generation AND state = '{}'"
COUNT = sa.text(
    f"""
    SELECT ({_COUNT_IN.format("pending")}) AS pending, (SELECT count(*) {_LEASED}) AS leased,
    ({_COUNT_IN.format("failed")}) AS failed
    """
)
"""Count the jobs of each state, in an index of its own: 40 ns each in SQLite."""

NEXT_DUE = sa.text(
    f"""
    SELECT min(at) FROM (
        SELECT min(not_before) AS at FROM jobs WHERE generation = :of_generation AND state = 'pending'
        UNION ALL SELECT min(lease_until) {_LEASED}
    ) AS waiting
    """
)
"""When the next job can be claimed: now if 0, ``NULL`` where none is outstanding."""


class Statements:
    """What a dialect says of jobs, put together once.

    A claim waits for nobody (`Dialect.unlocked`), and whoever changes several jobs does so in the order of their keys
    (`Dialect.in_order`).

    Parameters
    ----------
    says : Dialect
        That of the database.

    Attributes
    ----------
    cap, expire, retry_due : Update
        End leases at ``:longest`` that would end later, end those that ran out, and give those that waited for another
        attempt their turn.
    lease : Update
        Lease the jobs in ``:keys``: they are unfinished until somebody ends the lease.
    set_priority : Update
        Give the jobs in ``:keys`` that wait another priority.
    set_aside : Update
        Fail the jobs that were alone with `LONE_DEATHS` workers that died, and return their keys.
    complete, forget, forget_some : Delete
        Remove the jobs for the texts in ``:hashes``, for the documents in ``:keys``, and some of a generation.
    """

    def __init__(self, says: Dialect) -> None:
        too_long = (jobs.c.lease_until > _longest) & (jobs.c.lease_until < UNTIL_GIVEN_BACK_SECONDS)
        self.cap = _update(says.unlocked(too_long), lease_until=_longest)
        self.expire = _update(says.unlocked(jobs.c.lease_until <= _now), state="pending", **UNLEASED)
        self.retry_due = _update(
            says.unlocked(_of_generation & PENDING & (jobs.c.not_before > 0) & (jobs.c.not_before <= _now)),
            not_before=0.0,
        )
        self.lease = _update(
            _of_generation & says.keys,
            state="leased",
            lease_owner=sa.bindparam("owner"),
            lease_until=sa.bindparam("until"),
            unfinished=jobs.c.unfinished + 1,
        )
        self.set_priority = _update(
            says.unlocked(_of_generation & PENDING & says.keys), priority=sa.bindparam("new_priority")
        )
        self.set_aside = _update(
            says.unlocked(_suspected & (jobs.c.unfinished >= ALONE_AFTER + LONE_DEATHS)),
            state="failed",
            attempts=jobs.c.unfinished,
            error=f"{LONE_DEATHS} workers died while they held this document alone (out of memory, or a crash in the "
            "encoder); shorten it or repair the encoder, then retry_failed() and run()",
        ).returning(jobs.c.document_key)
        self.complete = jobs.delete().where(says.in_order(_of_generation & sa.text("state <> 'done'") & says.hashes))
        self.forget = jobs.delete().where(says.in_order(_of_generation & says.keys))
        self.forget_some = jobs.delete().where(says.in_order(_of_generation & jobs.c.document_key.in_(_some)))


def _update(where: Condition, **values: object) -> sa.Update:
    return jobs.update().where(where).values(**values)
