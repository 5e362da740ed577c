"""What others have written unseen: rows whose text is not the one that their shadow has, and rows without one."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import args_row

from revector.backends.postgres.adoption.fragments import Captured, fragments

__all__ = ["Unseen", "count_unseen"]

SLICES, ROWS_A_SLICE = 20, 5_000
"""All rows are compared, or so many neighbours at so many places, however many there are."""

# An inner join: texts of rows that are not compared are not hashed.
_COUNT = """
WITH bounds AS (SELECT min(key) AS low, max(key) + 1 - min(key) AS width FROM {schema}.rows), compared AS MATERIALIZED (
    SELECT r.* FROM bounds, generate_series(0, {slices} - 1) AS place, LATERAL (
        SELECT * FROM {schema}.rows AS own
        WHERE own.key >= low + width * place / {slices} AND own.key < low + width * (place + 1) / {slices}
        ORDER BY own.key LIMIT {most}
    ) AS r
), present AS (
    SELECT p.content_hash <> r.content_hash AS is_changed
    FROM compared AS r JOIN {schema}.present AS p ON {present_is_of_shadow}
)
SELECT (SELECT count(*) FROM {schema}.present), (SELECT count(*) FROM {schema}.rows),
    (SELECT count(*) FROM compared), (SELECT count(*) FROM present),
    (SELECT count(*) FROM present WHERE is_changed)
"""


class Unseen(NamedTuple):
    """What was found.

    Parameters
    ----------
    rows, shadows : int
        All of them.
    compared : int
        Shadows that were compared with their rows.
    there : int
        The rows of those that are there.
    changed : int
        The rows of those that have another text.
    """

    rows: int
    shadows: int
    compared: int
    there: int
    changed: int

    def __str__(self) -> str:
        """Say it in words; nothing if nothing was written unseen."""
        gone, new = self.compared - self.there, self.rows - self.shadows
        said = [f"{self.changed:,} have another text than is known"] if self.changed else []
        said += [f"{gone:,} are gone"] if gone else []
        found = [f"of {self.compared:,} rows that were compared, {' and '.join(said)}"] if said else []
        found += [f"there are {self.rows:,} rows, and {self.shadows:,} are known"] if new else []
        return "; ".join(found)


def count_unseen(driver: psycopg.Connection[Any], captured: Captured) -> Unseen:
    """Compare rows with their shadows, in a transaction that sees one moment."""
    parts = {"slices": sql.Literal(SLICES), "most": sql.Literal(ROWS_A_SLICE)}
    asked = sql.SQL(_COUNT).format(**fragments(captured), **parts)
    found = driver.cursor(row_factory=args_row(Unseen)).execute(asked).fetchone()
    assert found is not None  # a statement of counts has one row
    return found
