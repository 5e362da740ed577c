"""Files of queries: JSON lines, tables, or topics of TREC."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from revector.formats.asked import facets_of
from revector.formats.json_lines import parse_json_object
from revector.formats.lines import BOM, read_lines
from revector.formats.rows import OWN, read_rows, read_texts, text_of_row
from revector.formats.trec import read_topics

__all__ = ["names_of", "read_queries"]

_LOOKED_INTO = 100
"""Rows of JSON: not each one has all fields; a log may begin with searches, whose clicks come later."""


def read_queries(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Read texts by id, and facets: the plain values that rows have beside, by name and id.

    Raises
    ------
    InvalidArgumentError
        A row is not a query; the message names file and line.
    """
    if _is_of_trec(path):
        return read_topics(path), {}
    facets: dict[str, dict[str, str]] = {}
    for where, row in read_rows(path):
        key, _ = text_of_row(where, row)
        given = row.get("metadata")
        facets_of({**row, **(given if isinstance(given, dict) else {})}, OWN, key, facets)
    return read_texts(path), facets


def _is_of_trec(path: Path) -> bool:
    """Whether queries are topics of TREC: neither JSON nor a table with names of columns."""
    first = _first_line(path)
    is_table = path.name.removesuffix(".gz").endswith(".csv") or first.startswith("{")
    return not is_table and bool(first) and "text" not in _cells(first)


def names_of(path: Path) -> set[str]:
    """Return the names of the fields of a file's first rows; those of a table stand in its header."""
    lines = ((where, text.removeprefix(BOM).strip()) for where, text in read_lines(path))
    first = list(islice((line for line in lines if line[1]), _LOOKED_INTO))
    if not first or not first[0][1].startswith("{"):
        return _cells(first[0][1]) if first else set()
    return {name for where, text in first for name in parse_json_object(where, text)}


def _first_line(path: Path) -> str:
    lines = (text.removeprefix(BOM).strip() for _, text in read_lines(path))
    return next((text for text in lines if text), "")


def _cells(line: str) -> set[str]:
    return {cell.strip().strip('"') for cell in line.split("\t" if "\t" in line else ",")}
