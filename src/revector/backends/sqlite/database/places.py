"""Where a collection is: a path, or a ``sqlite:///`` URL. The scheme decides, and a refused URL is never shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from revector.errors import InvalidArgumentError

__all__ = ["file_of"]

_SUPPORTED = "a collection is a SQLite file: give its path, or sqlite:///PATH"
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)  # of two letters at least: C:/ is a drive
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[^/\\]*:[^/\\]*@")
_DRIVERS = ("sqlite", "sqlite+pysqlite")
_SERVERS = (
    "postgres postgresql mysql mariadb mssql oracle cockroachdb redis rediss valkey mongodb clickhouse cassandra "
    "snowflake duckdb libsql elasticsearch opensearch qdrant milvus weaviate chroma lancedb pinecone "
    "http https ftp sftp ssh s3 gs gcs az abfs abfss hdfs file jdbc odbc"
)
_REFUSED = frozenset(_SERVERS.split())
"""Schemes that are refused without a slash as well; any other name with a colon may be a file's."""


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
    text = os.fspath(place)
    scheme = _scheme_of(text)
    if scheme in _DRIVERS:
        text = _path_of_url(text.partition(":")[2])
    elif scheme is not None:
        raise InvalidArgumentError(f"{scheme}: is not supported; {_SUPPORTED}")
    elif _CREDENTIALS.match(text):
        raise InvalidArgumentError(f"this looks like the user, password and host of a server; {_SUPPORTED}")
    if text in ("", ":memory:"):
        raise InvalidArgumentError("a collection needs a file: several threads and processes share it")
    return Path(text).absolute()


def _scheme_of(text: str) -> str | None:
    """Return the scheme of a URL in lower case; ``None`` for a path. `Path` leaves one slash of two."""
    if url := _URL.match(text):
        return url[1].lower()
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    return scheme if scheme.split("+")[0] in {*_REFUSED, "sqlite"} else None


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
