"""What keeps a collection up to date with a table of the user's, whose writers know nothing of revector.

In the collection's schema: `rows`, a shadow of each row; the views `documents`, `column_state`, `present` and `live`;
and the functions of four triggers on the user's table, which see all rows of a statement at once.

A trigger looks at the rows as they are when it runs, and not only as its statement wrote them: a trigger of the user's
may have written them again by then. Whoever writes a row has locked it in the user's table until the transaction ends,
so that no two triggers work on one shadow at a time.

A row keeps its shadow, and hence its vectors, when its key changes. Which row before a statement is which one after it
is told by their order, since PostgreSQL notes both at once. Were that ever wrong, shadows would change places, and what
is computed from the present texts afterwards would still be right.

Where a column that a trigger goes by is called otherwise, or gone, the user's statement goes through, and a row of
`missed` says so. Once all is as it was, `fill_again` lets `fill` compare every row with its shadow.

Not seen are writes with ``session_replication_role = replica``, rows that come or go with a partition, and those of
partitions that were made later and are written by their own name; `uncovered` finds such partitions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from psycopg import sql

from revector.backends.postgres.adoption import triggers
from revector.backends.postgres.adoption.fragments import Captured, Column, body, fragments
from revector.backends.postgres.schema import vectors_table

__all__ = [
    "Captured",
    "Column",
    "Statement",
    "cover",
    "fill",
    "fill_again",
    "follow",
    "install",
    "uncovered",
    "uninstall",
]

_LONGEST_NAME_BYTES = 63


@dataclass(frozen=True)
class Statement:
    """A statement, or several that are one transaction; whether it waits for those who write to the user's table."""

    sql: sql.Composed
    purpose: str
    locks_table: bool = False


def install(captured: Captured, live: Mapping[int, bool], own: Collection[int]) -> list[Statement]:
    """Return the statements that begin to keep a collection up to date, in the order in which they run.

    Rows are captured from the triggers on. Those of before have no shadows yet: then `fill`, again and again.

    Parameters
    ----------
    captured : Captured
        The table.
    live, own
        As `follow` has them.
    """
    parts = fragments(captured)
    settings = sql.SQL(triggers.SETTINGS).format(**parts)

    def said(template: str, purpose: str, **others: sql.Composable) -> Statement:
        return Statement(sql.SQL(template).format(**parts, **others), purpose)

    functions = [
        said(
            triggers.TRIGGER_FUNCTION,
            f"what follows when rows are {verb}",
            function=sql.Identifier(verb),
            settings=settings,
            body=body(statements, parts),
        )
        for verb, statements in triggers.FUNCTIONS.items()
    ]
    fill = body(triggers.FILL, parts)
    return [
        said(triggers.ROWS, "shadows of the rows"),
        said(triggers.MISSED, "what could not be captured"),
        said(triggers.VIEWS, "the documents, and what is known of their vectors"),
        said(triggers.SET_ASIDE, "rows without text wait for nobody"),
        *follow(captured, live, own),
        *functions,
        cover(captured, [(captured.schema, captured.name), *captured.partitions]),
        said(triggers.FILLING, "how far the rows have shadows"),
        said(triggers.FILL_FUNCTION, "shadows of the rows that are there", settings=settings, body=fill),
    ]


def follow(captured: Captured, live: Mapping[int, bool], own: Collection[int]) -> list[Statement]:
    """Return the statements that say which generations there are, from their transaction on.

    It must be one that no writer of the user's table overlaps (``LOCK TABLE … IN SHARE ROW EXCLUSIVE MODE``). A view
    and a function say it, no rows of a table: a transaction of REPEATABLE READ would go on seeing those as they were.

    Parameters
    ----------
    captured : Captured
        The table.
    live : mapping of int to bool
        The generations that must have a vector of each present text; whether theirs are in the user's column.
    own : collection of int
        All generations, live or not, whose vectors are in tables of their own.
    """
    schema, stores = sql.Identifier(captured.collection), [vectors_table(generation) for generation in sorted(own)]

    def said(template: str, purpose: str, **parts: sql.Composable) -> Statement:
        return Statement(sql.SQL(template).format(schema=schema, **parts), purpose)

    kept = {"generations": sql.Literal(list(live)), "in_column": sql.Literal(list(live.values()))}
    vectors = [sql.SQL(triggers.FORGET_VECTORS).format(vectors=store) for store in stores]
    removed = {"generations": sql.Literal(sorted({*live, *own})), "vectors": sql.SQL(" ").join(vectors)}
    tables = sql.SQL(", ").join([*map(sql.Identifier, ("rows", "jobs", "access")), *stores])
    forget, forget_all = body(triggers.FORGET, removed), body(triggers.FORGET_ALL, {"tables": tables})
    return [
        said(triggers.LIVE, "the generations that are kept up to date", **kept),
        said(triggers.FORGET_FUNCTION, "what is removed with a row", body=forget),
        said(triggers.FORGET_ALL_FUNCTION, "what is removed with all rows", body=forget_all),
    ]


def cover(captured: Captured, tables: Iterable[tuple[str, str]]) -> Statement:
    """Return the statement that captures what is written to these tables: the user's, or some below it."""
    schema = captured.collection
    verbs = {verb: _trigger(schema, verb) for verb in triggers.FUNCTIONS}
    parts = [
        sql.SQL(triggers.TRIGGERS).format(schema=sql.Identifier(schema), on=sql.Identifier(*table), **verbs)
        for table in tables
    ]
    return Statement(sql.SQL(";").join(parts), "what is written from now on is captured", locks_table=True)


def uncovered(captured: Captured) -> sql.Composed:
    """Return the query for the schemas and names of tables, the user's and those below it, that are not captured."""
    table = sql.Identifier(captured.schema, captured.name).as_string()
    return sql.SQL(triggers.UNCOVERED).format(table=sql.Literal(table), schema=sql.Literal(captured.collection))


def fill(captured: Captured, most: int) -> sql.Composed:
    """Return the query that gives shadows to at most so many rows, and says ``done`` once all have one.

    It is repeated until then, each time in a transaction of its own, and goes on where it was. It says ``wait`` while
    transactions are open that may have deleted rows before they could see the shadows; that does not matter to anybody
    but `fill`. It gives up, with an error, where a writer keeps it waiting for half a second.
    """
    return sql.SQL("SELECT {}.fill({})").format(sql.Identifier(captured.collection), sql.Literal(most))


def analyze(captured: Captured) -> Statement:
    """Return the statement after which the planner knows the shadows: of a table just filled it knows nothing."""
    return Statement(
        sql.SQL("ANALYZE (SKIP_LOCKED) {}").format(sql.Identifier(captured.collection, "rows")), "how many there are"
    )


def fill_again(captured: Captured) -> Statement:
    """Return the statement after which `fill` compares all rows with their shadows: some were written uncaptured."""
    return Statement(sql.SQL(triggers.FILL_AGAIN).format(**fragments(captured)), "what was written uncaptured")


def uninstall(captured: Captured) -> list[Statement]:
    """Return the statements that remove what `install` has made."""
    tables = [(captured.schema, captured.name), *captured.partitions]
    dropped = [
        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(_trigger(captured.collection, verb), sql.Identifier(*table))
        for table in tables
        for verb in triggers.FUNCTIONS
    ]
    return [
        Statement(sql.SQL(";").join(dropped), "nothing is captured any more", locks_table=True),
        Statement(sql.SQL(triggers.DROP).format(**fragments(captured)), "what was captured"),
    ]


def _trigger(schema: str, verb: str) -> sql.Identifier:
    """Return the name of a trigger: of the collection, since there can be several, and never cut off."""
    name = f"{schema}_{verb}"
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        name = f"revector_{hashlib.sha256(schema.encode()).hexdigest()[:16]}_{verb}"
    return sql.Identifier(name)
