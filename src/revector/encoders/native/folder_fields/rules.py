"""What becomes of a field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Rule", "Table", "Use", "irrelevant", "obeyed", "refused"]


class Use(StrEnum):
    """The three things that may become of a field."""

    OBEYED = "obeyed"
    IRRELEVANT = "irrelevant"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rule:
    """What becomes of one field.

    Parameters
    ----------
    use : Use
    why : str
        What the field does, why it changes no vector, or why it is refused.
    accepts : tuple
        Of a refused field: the values that change nothing.
    everywhere : bool
        Whether the torch encoder refuses it too.
    """

    use: Use
    why: str
    accepts: tuple[Any, ...] = ()
    everywhere: bool = False


Table = dict[str, Rule]


def obeyed(why: str, *names: str) -> Table:
    """Return rows of fields that are done as they say."""
    return dict.fromkeys(names, Rule(Use.OBEYED, why))


def irrelevant(why: str, *names: str) -> Table:
    """Return rows of fields that change no vector."""
    return dict.fromkeys(names, Rule(Use.IRRELEVANT, why))


def refused(why: str, *names: str, accepts: tuple[Any, ...] = (), everywhere: bool = False) -> Table:
    """Return rows of fields that may change vectors in a way that is not built, but for the values in `accepts`."""
    return dict.fromkeys(names, Rule(Use.REFUSED, why, accepts, everywhere))
