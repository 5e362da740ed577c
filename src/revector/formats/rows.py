"""Rows of documents and queries, whatever the format: an id, a text, and whatever else the row has.

The format is seen from the content: JSON lines begin with a brace, a table with a header that names ``id`` (or ``_id``)
and ``text``. A name that ends in ``.csv`` or ``.tsv`` (or that and ``.gz``) is a table in any case. Parquet files and
folders of text files are read by their names.

=============  =================================================================================================
``id``         or ``_id`` (BEIR): a string that is not empty, or an integer, which becomes a string; without NUL
``text``       a string
``title``      put before the text, on a line of its own (BEIR), unless it is to be kept apart, as metadata
``metadata``   an object
``vector``     left out, so that what `Collection.export` wrote can be read: a collection makes its own
anything else  becomes metadata; two values of one name are refused
=============  =================================================================================================
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import PurePath
from typing import Any, NamedTuple

from revector._arguments import shown, valid_unicode
from revector.errors import InvalidArgumentError
from revector.formats.folders import is_folder, parse_folder
from revector.formats.json_lines import parse_json_rows, require_plain
from revector.formats.lines import STDIN, Line, read_lines
from revector.formats.parquet import is_parquet, parse_parquet
from revector.formats.tables import DELIMITERS, parse_table

__all__ = ["OWN", "DocumentRow", "read_documents", "read_rows", "read_texts", "text_of_row"]

_IDS = ("id", "_id")
_TEXT = (_IDS, ("text",))
OWN = frozenset({*_IDS, "text", "title", "metadata", "vector"})
"""Fields of a row that have a meaning of their own."""


class DocumentRow(NamedTuple):
    """A document as its file has it; `where` is the place (``file:line``)."""

    where: str
    id: str
    text: str
    metadata: dict[str, Any]


def read_documents(path: str | os.PathLike[str], *, title_apart: bool = False) -> Iterator[DocumentRow]:
    """Yield the documents of a file or a folder, or of stdin for ``"-"``.

    Parameters
    ----------
    path : str or Path
    title_apart : bool
        Whether a title becomes metadata.

    Raises
    ------
    InvalidArgumentError
        A row is not a document; the message names file, line and, where it is known, id.
    """
    for where, row in read_rows(path):
        key, text = text_of_row(where, row, title_apart=title_apart)
        own = OWN - {"title"} if title_apart else OWN
        yield DocumentRow(where, key, text, _metadata(f"{where}: row {shown(key)}", row, own))


def read_texts(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a file of texts as id to text; what else its rows have is not looked at.

    Raises
    ------
    InvalidArgumentError
        As for `read_documents`; besides, an id occurs twice, or there is no row at all.
    """
    texts: dict[str, str] = {}
    for where, row in read_rows(path):
        key, text = text_of_row(where, row)
        if key in texts:
            raise InvalidArgumentError(f"{where}: id {shown(key)} occurs twice; ids are unique in one file")
        texts[key] = text
    if not texts:
        raise InvalidArgumentError(f"{'stdin' if path == STDIN else path} is empty; expected one row a line")
    return texts


def read_rows(
    path: str | os.PathLike[str], columns: Sequence[Sequence[str]] = _TEXT
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield ("file:line", row) for each row of a file of JSON lines or Parquet, of a table, or of a folder.

    Parameters
    ----------
    path : str or Path
    columns : sequence of sequence of str
        What the header of a table has to name: one of the names of each; the first ones are those of the row's id.
    """
    if path != STDIN and is_folder(path):
        yield from parse_folder(path)
        return
    if path != STDIN and is_parquet(path):
        yield from parse_parquet(path)
        return
    with closing(read_lines(path)) as read:
        lines = itertools.dropwhile(lambda line: not line.text.strip(), read)
        first = next(lines, None)
        if first is None:
            return
        delimiter = _delimiter(path, first.text, columns)
        whole = itertools.chain([first], lines)
        if delimiter is None:
            _refuse_arrays(first)
            yield from parse_json_rows(whole)
        else:
            _require_header(first, delimiter, columns)
            yield from parse_table(whole, delimiter, columns[0])


def text_of_row(where: str, row: Mapping[str, Any], *, title_apart: bool = False) -> tuple[str, str]:
    """Return id and text of a row.

    Raises
    ------
    InvalidArgumentError
        One of them is missing, or not what it must be.
    """
    key = _id_of_row(where, row)
    named = f"{where}: row {shown(key)}"
    title, text = row.get("title"), row.get("text")
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{named}: 'text' is {_got(row, 'text')}, expected a string")
    if not isinstance(title, (str, type(None))):
        raise InvalidArgumentError(f"{named}: 'title' is {shown(title)}, expected a string")
    whole = f"{title}\n{text}".strip() if title and not title_apart else text
    return key, valid_unicode(whole, f"{named}: its text")


def _id_of_row(where: str, row: Mapping[str, Any]) -> str:
    given = {name: row[name] for name in _IDS if name in row}
    if len({str(value) for value in given.values()}) > 1:
        raise InvalidArgumentError(f"{where}: the row has both 'id' and '_id', and they differ; leave one of them out")
    key = next(iter(given.values()), None)
    if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
        found = shown(key) if given else f"missing (it has {_names(row)})"
        raise InvalidArgumentError(f"{where}: the row's 'id' (or '_id') is {found}, expected a string or an integer")
    named = valid_unicode(str(key), f"{where}: the row's id")
    if "\0" in named:
        raise InvalidArgumentError(f"{where}: the row's id is {shown(named)}, expected a string without NUL")
    return named


def _metadata(named: str, row: Mapping[str, Any], own: frozenset[str]) -> dict[str, Any]:
    """Return the row's metadata, and with it the fields that have no meaning here."""
    given = row.get("metadata")
    if not isinstance(given, (dict, type(None))):
        raise InvalidArgumentError(
            f"{named}: 'metadata' is {shown(given)}, expected an object; in a table, give each field its column"
        )
    further = {name: value for name, value in row.items() if name not in own}
    metadata = {**further, **(given or {})}
    differing = [name for name, value in further.items() if metadata[name] != value]
    if differing:
        raise InvalidArgumentError(
            f"{named}: {shown(differing[0])} is a field of the row and of its metadata, and they differ; leave one out"
        )
    require_plain(f"{named}: its metadata", metadata)
    return metadata


def _got(row: Mapping[str, Any], name: str) -> str:
    return shown(row[name]) if name in row else f"missing (the row has {_names(row)})"


def _names(row: Mapping[str, Any]) -> str:
    return shown(list(row)) if row else "no fields"


def _delimiter(path: str | os.PathLike[str], first: str, columns: Sequence[Sequence[str]]) -> str | None:
    """Return what separates the columns, or ``None`` for JSON lines."""
    suffix = PurePath(os.fspath(path).removesuffix(".gz")).suffix.lower()
    if suffix in DELIMITERS:
        return DELIMITERS[suffix]
    if first.lstrip().startswith("{"):
        return None
    return next((delimiter for delimiter in DELIMITERS.values() if _is_header(first, delimiter, columns)), None)


def _is_header(line: str, delimiter: str, columns: Sequence[Sequence[str]]) -> bool:
    names = {cell.strip().strip('"') for cell in line.split(delimiter)}
    return not any(names.isdisjoint(each) for each in columns)


def _require_header(first: Line, delimiter: str, columns: Sequence[Sequence[str]]) -> None:
    if not _is_header(first.text, delimiter, columns):
        expected = ", ".join(" or ".join(map(repr, each)) for each in columns)
        raise InvalidArgumentError(
            f"{first.where}: a table begins with the names of its columns, {expected} among them; "
            f"got {shown(first.text.strip())}"
        )


def _refuse_arrays(first: Line) -> None:
    if first.text.lstrip().startswith("[") and not first.text.rstrip().endswith("]"):
        raise InvalidArgumentError(
            f"{first.where}: the file is one JSON array; expected one object a line: jq -c '.[]' FILE"
        )
