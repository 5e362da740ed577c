"""What the ledger says to PostgreSQL, where several transactions change jobs at once.

Lists are compared as arrays, so that the primary key is used however little is known of the table yet.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from revector.ledger.dialect import NEXT, Condition, Dialect
from revector.ledger.schema import jobs

_KEYS = """
document_key = ANY (ARRAY(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:keys AS json)) AS value))
"""
_HASHES = """
document_key = ANY (ARRAY(SELECT CAST(key AS bigint) FROM jsonb_object_keys(CAST(:hashes AS jsonb)) AS key))
AND content_hash = CAST(:hashes AS jsonb) ->> CAST(document_key AS text)
"""


def _locked(condition: Condition, *, skip_locked: bool) -> Condition:
    """Let rows be locked, and what they hold by then be looked at, before the statement around it changes them."""
    key = jobs.c.generation, jobs.c.document_key
    rows = sa.select(*key).where(condition).order_by(*key).correlate(None)
    return sa.tuple_(*key).in_(rows.with_for_update(skip_locked=skip_locked))


DIALECT = Dialect(
    next=sa.text(
        f"SELECT coalesce(CAST(json_agg(document_key) AS text), '[]') FROM ({NEXT} FOR UPDATE SKIP LOCKED) AS due"
    ),
    leased=sa.text(
        f"""
        SELECT CAST(json_agg(json_build_array(document_key, content_hash, priority, attempts, unfinished - 1)) AS text)
        FROM (SELECT * FROM jobs WHERE generation = :of_generation AND {_KEYS} ORDER BY priority, document_key) AS held
        """
    ),
    keys=sa.text(_KEYS),
    hashes=sa.text(_HASHES),
    in_order=partial(_locked, skip_locked=False),
    unlocked=partial(_locked, skip_locked=True),
)

# Who writes to a user's table locks the jobs of its rows, one after the other, until a transaction of theirs ends. Who
# waits for them would keep them waiting as well, by what it holds, and the server would end one of the two.
BESIDE_WRITERS = replace(DIALECT, in_order=DIALECT.unlocked)
"""For the rows of a table that others write: jobs that somebody has locked are left as they are, their leases end."""
