"""Adoption: a collection of what a user's store holds already, and is written by others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from revector.encoders.base import TextEncoder

Tell = Callable[[str], None]
"""Is told, in a line, what happens now."""


@dataclass(frozen=True)
class TableToAdopt:
    """A user's table, and what its columns mean.

    Parameters
    ----------
    table : str
        Its name, ``SCHEMA.TABLE``, as it is spelled.
    id : str
        The columns that name a row, with commas in between.
    text : tuple of str
        The columns that are embedded, each perhaps several with commas in between.
    vector : str, optional
        The column of the vectors, where a table may have several.
    updated : str, optional
        The column that says when a row was changed.
    name : str, optional
        Of the collection; that of the table if there is none.
    """

    table: str
    id: str
    text: tuple[str, ...]
    vector: str | None = None
    updated: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Adopted:
    """What was adopted, or would be.

    Parameters
    ----------
    url : str
        Of the collection, without secrets.
    facts, contents : dict
        What was found of the table, and of its rows.
    identification : dict, optional
        Which model made the vectors.
    statements : tuple of str
        The SQL, in its order.
    seconds : float
        What it took.
    """

    url: str
    facts: dict[str, Any]
    contents: dict[str, Any]
    identification: dict[str, Any] | None
    statements: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Released:
    """What was given back, or would be.

    Parameters
    ----------
    table : str
        Its name.
    vectors : int
        How many are in its column now.
    indexes, left_out : tuple of str
        The indexes that were made again, and those that could not be, each with why.
    missing : int
        Rows that have a text and no vector.
    notices : tuple of str
        What else there is to know.
    pause_seconds : float
        How long its writers had to wait at once, at most.
    """

    table: str
    vectors: int
    indexes: tuple[str, ...]
    left_out: tuple[str, ...]
    missing: int = 0
    notices: tuple[str, ...] = ()
    pause_seconds: float = 0.0


@runtime_checkable
class AdoptingKind(Protocol):
    """A kind of backend whose stores can be adopted."""

    def adopt(
        self,
        place: str,
        table: TableToAdopt,
        candidates: Sequence[TextEncoder],
        *,
        dry_run: bool,
        accept_unidentified: bool,
        tell: Tell,
    ) -> Adopted:
        """Make a collection of a user's table; with `dry_run`, say what that would do."""
        ...

    def release(
        self, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Give a user's table back, with the vectors that serve, and remove everything else.

        Parameters
        ----------
        place : str
            Of the collection.
        allow_missing : bool
            Whether rows may be left without a vector that have none of their present text.
        in_place : bool
            Write over the vectors that are there, where what they are in cannot be replaced; writers wait meanwhile.
        fire_triggers : bool
            Whether programs of the user's may run for every row that is written, where that cannot be helped.
        dry_run : bool
            Change nothing; say what would be done, or raise what would be raised.
        tell : callable
            Is told what happens.
        """
        ...
