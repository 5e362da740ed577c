"""Where a SQLite collection is: a path, or a ``sqlite:///`` URL. A refused URL is never shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from revector.backends.urls import SQLITE, scheme_of
from revector.errors import InvalidArgumentError

__all__ = ["file_of"]

_SUPPORTED = "a collection is a SQLite file: give its path, or sqlite:///PATH"
_URL = re.compile(r"sqlite(\+[a-z]+)?:", re.IGNORECASE)


def file_of(place: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a collection's file.

    Parameters
    ----------
    place : str or path-like
        A path, or ``sqlite:///`` and a path: relative, or absolute with a fourth slash. A file whose name begins like
        a URL is written ``./http:…``.

    Raises
    ------
    InvalidArgumentError
        It is the URL of something else, holds a password, or names no file. The message does not repeat a URL.
    """
    text, scheme = os.fspath(place), scheme_of(place)
    if scheme != SQLITE:
        raise InvalidArgumentError(f"{scheme}: is not supported; {_SUPPORTED}")
    if url := _URL.match(text):
        if url[1] not in (None, "+pysqlite"):
            raise InvalidArgumentError(f"{url[0]} is not supported; {_SUPPORTED}")
        text = _path_of_url(text[url.end() :])
    if text in ("", ":memory:"):
        raise InvalidArgumentError("a collection needs a file: several threads and processes share it")
    return Path(text).absolute()


def _path_of_url(rest: str) -> str:
    """Return the path in what follows ``sqlite:``."""
    name, question, _ = rest.partition("?")
    if question:
        raise InvalidArgumentError(f"the URL of a collection has no options (after the ?); {_SUPPORTED}")
    if name in ("", "//", "///"):
        return ""
    if not name.startswith("///"):
        raise InvalidArgumentError(f"sqlite: is followed by three slashes and the path; {_SUPPORTED}")
    return name[3:]
