"""Tables: CSV and TSV with a header that names the columns, quoted as spreadsheets and pandas quote."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.formats.lines import MAX_LINE_BYTES, Line

__all__ = ["DELIMITERS", "parse_table"]

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def parse_table(lines: Iterable[Line], delimiter: str, ids: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ("file:line", row by column) for each row; the line is the one on which the row begins.

    Parameters
    ----------
    lines : iterable of Line
    delimiter : str
        Between two cells.
    ids : iterable of str
        Columns that can hold the id of a row, for messages.

    Raises
    ------
    InvalidArgumentError
        A row has more or fewer cells than the header, its quotes do not match, or the header names a column twice.
    """
    records = _records(lines, delimiter)
    where, cells = next(records, ("", []))
    header = _header(where, cells)
    place = next((header.index(name) for name in ids if name in header), None)
    for where, cells in records:
        if len(cells) != len(header):
            named = where if place is None or place >= len(cells) else f"{where}: row {shown(cells[place])}"
            raise InvalidArgumentError(
                f"{named}: {len(cells)} cells, expected {len(header)} ({', '.join(header)}); "
                "quote a cell that holds the delimiter"
            )
        yield where, dict(zip(header, cells, strict=True))


def _header(where: str, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgumentError(f"{where}: the header names the column {shown(twice)} twice")
    return names


def _records(lines: Iterable[Line], delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the cells of each row that is not blank, and the line on which it begins."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))  # of the whole process; it is only ever raised
    begins = ""

    def texts() -> Iterator[str]:
        nonlocal begins
        for where, text in lines:
            begins = begins or where
            yield text

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        begins = ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidArgumentError(
                f"{begins}: the row that begins here cannot be read ({error}); is a quote missing?"
            ) from error
        if any(cells):
            yield begins, cells
