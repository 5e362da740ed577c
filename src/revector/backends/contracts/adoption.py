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
    vector : str
        The column of the vectors.
    updated : str, optional
        The column that says when a row was changed.
    name : str, optional
        Of the collection; that of the table if there is none.
    """

    table: str
    id: str
    text: tuple[str, ...]
    vector: str
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
    """What was given back: the table, how many vectors are in its column, its indexes, and those left out, with why."""

    table: str
    vectors: int
    indexes: tuple[str, ...]
    left_out: tuple[str, ...]


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

    def release(self, place: str, *, allow_missing: bool, tell: Tell) -> Released:
        """Give a user's table back, with the vectors that serve, and remove everything else."""
        ...
