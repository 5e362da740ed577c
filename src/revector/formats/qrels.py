"""Judgements as lines: query, document, grade, as BEIR, TREC and spreadsheets have them."""

from __future__ import annotations

import csv
import os
import re
from contextlib import closing

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.formats.lines import BOM, read_lines

__all__ = ["add_grade", "grade_of", "read_qrels"]

_HEADER = frozenset({"query-id", "query_id", "qid", "query"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_RUN_COLUMNS = 6


def read_qrels(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """Read judgements: query, document, grade (BEIR), or TREC's four columns; a header line is skipped.

    Columns stand between tabs, or else white space; in a file named ``.csv`` between commas.

    Raises
    ------
    InvalidArgumentError
        A line is not a judgement, or a document is judged twice, differently; the message names file and line.
    """
    qrels: dict[str, dict[str, int]] = {}
    with closing(read_lines(path)) as read:
        lines = ((where, text) for where, text in read if text.strip())
        for number, (where, text) in enumerate(lines):
            cells = _cells(where, text, path)
            if number == 0 and cells[0].lower() in _HEADER and not _INTEGER.fullmatch(cells[-1]):
                continue
            query, document, grade = _judgement(where, cells)
            add_grade(qrels, where, query, document, grade)
    return qrels


def add_grade(qrels: dict[str, dict[str, int]], where: str, query: str, document: str, grade: int) -> None:
    """Add a judgement; raise `InvalidArgumentError` where the same document has another grade already."""
    if (known := qrels.setdefault(query, {}).setdefault(document, grade)) != grade:
        raise InvalidArgumentError(
            f"{where}: query {shown(query)} grades document {shown(document)} twice, {known} and {grade}; "
            "leave one of them out"
        )


def _cells(where: str, text: str, path: str | os.PathLike[str]) -> list[str]:
    line = text.removeprefix(BOM).strip("\r\n")
    if os.fspath(path).removesuffix(".gz").lower().endswith(".csv"):
        try:
            return [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error as error:
            raise InvalidArgumentError(f"{where}: not a row of a table ({error}); is a quote missing?") from error
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _judgement(where: str, cells: list[str]) -> tuple[str, str, int]:
    if len(cells) == _RUN_COLUMNS:
        raise InvalidArgumentError(f"{where}: six columns are a run of TREC; expected query, document, grade")
    if len(cells) not in (3, 4):
        raise InvalidArgumentError(f"{where}: {len(cells)} columns, expected query, document, grade")
    query, document, grade = cells[0], cells[-2], cells[-1]
    if not query or not document:
        raise InvalidArgumentError(f"{where}: the id of the {'document' if query else 'query'} is empty")
    return query, document, grade_of(f"{where}: query {shown(query)}, document {shown(document)}", grade)


def grade_of(named: str, grade: str) -> int:
    """Read a grade; `named` says in an error whose it is."""
    if not _INTEGER.fullmatch(grade):
        raise InvalidArgumentError(f"{named}: grade {shown(grade)}, expected an integer of at most nine digits")
    return int(grade)
