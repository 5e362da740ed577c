"""What a report holds, whatever it is rendered to: sections of sentences, tables, plots and compared answers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from revector._arguments import choice, file_path
from revector._files import write_whole

FORMATS = ("html", "md", "json")


@dataclass(frozen=True)
class Span:
    """A value with an interval, and the axis that it is drawn on.

    Parameters
    ----------
    value, low, high : float
        The ends may be infinite, and the value NaN where nothing was measured.
    axis : tuple of float
        Ends of the axis.
    marks : tuple of float
        Where the axis is marked: what was asked for, or what would be equal.
    signed : bool
        It is a difference, shown with its sign.
    """

    value: float
    low: float
    high: float
    axis: tuple[float, float] = (0.0, 1.0)
    marks: tuple[float, ...] = ()
    signed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the value and the ends of the interval."""
        return {"value": self.value, "low": self.low, "high": self.high}


Cell: TypeAlias = "str | int | float | Span | None"


@dataclass(frozen=True)
class Column:
    """A column of a table; its kind, one of `revector.report.formatting.SHOWN`, says how cells are shown."""

    name: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows under named columns; the first cell of a row names it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the rows by the names of the columns, unformatted."""
        names = [column.name for column in self.columns]
        return {"title": self.title, "rows": [dict(zip(names, row, strict=True)) for row in self.rows]}


@dataclass(frozen=True)
class Figure:
    """A plot.

    Parameters
    ----------
    name : str
        Of the function in `revector.report.plots` that draws it.
    title : str
    description : str
        What it shows, for those who do not see it.
    data : mapping
        What is drawn, as JSON has it.
    table : Table, optional
        The same in figures.
    """

    name: str
    title: str
    description: str
    data: Mapping[str, Any]
    table: Table | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the plot shows."""
        return {"name": self.name, "title": self.title, "description": self.description, "data": dict(self.data)}


@dataclass(frozen=True)
class Found:
    """A document that was found; its grade is ``None`` where nobody has judged it for the query."""

    id: str
    text: str
    grade: float | None


@dataclass(frozen=True)
class Compared:
    """What the old and the new model found for a query, best first, and how good that is by the metric."""

    query: str
    old: float
    new: float
    by_old: tuple[Found, ...] = ()
    by_new: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of a report: sentences first, notes last."""

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    compared: tuple[Compared, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A part that there is nothing for, and why."""

    title: str
    why: str


@dataclass(frozen=True)
class Tile:
    """One of the figures that a report opens on."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Headline:
    """What a report opens on.

    Parameters
    ----------
    decision : str
        ``"migrate"`` or another `revector.evaluation.verdict.Decision`; empty where nothing was assessed.
    title, reason : str
        The decision in words, and what it rests on.
    tiles : tuple of Tile
    candidate : str
        The model that the decision is on.
    """

    decision: str
    title: str
    reason: str
    tiles: tuple[Tile, ...] = ()
    candidate: str = ""


@dataclass(frozen=True)
class Report:
    """What is known of a collection.

    Parameters
    ----------
    collection : str
        Where it is, without secrets.
    made_at : float
        Seconds since the epoch.
    headline : Headline
    sections : tuple of Section
    left_out : tuple of LeftOut
    """

    collection: str
    made_at: float
    headline: Headline
    sections: tuple[Section, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything; what is not a number is ``None``."""
        from revector.report.rendering import as_json

        return as_json(self)

    def html(self) -> str:
        """Return a page that needs no other file, no network and no script.

        Raises
        ------
        MissingExtraError
            The extra ``report`` is not installed.
        """
        from revector.report.rendering import as_html

        return as_html(self)

    def markdown(self) -> str:
        """Return the same content as Markdown; raise `MissingExtraError` without the extra ``report``."""
        from revector.report.rendering import as_markdown

        return as_markdown(self)

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:  # noqa: A002 - as pandas calls it
        """Write the report to a file, in place of what was there; return where that is.

        Parameters
        ----------
        path : str or Path
        format : {"html", "md", "json"}, optional
            By default what the name of the file ends in, ``html`` otherwise.
        """
        place = file_path(path)
        ending = place.suffix[1:].lower()
        wanted = choice(format or (ending if ending in FORMATS else "html"), "format", FORMATS)
        render = {"html": self.html, "md": self.markdown, "json": self._json}[wanted]
        write_whole(place, render().encode())
        return place

    def _json(self) -> str:
        return json.dumps(self.to_json(), allow_nan=False, indent=1) + "\n"


def parts(found: Sequence[Section | LeftOut]) -> tuple[tuple[Section, ...], tuple[LeftOut, ...]]:
    """Tell the sections from what there is nothing for."""
    sections = tuple(each for each in found if isinstance(each, Section))
    return sections, tuple(each for each in found if isinstance(each, LeftOut))
