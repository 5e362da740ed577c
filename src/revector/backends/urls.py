"""Which backend a place means: the scheme of its URL decides, and a path is a SQLite file's. No URL is ever shown."""

from __future__ import annotations

import os
import re

from revector.errors import InvalidArgumentError

__all__ = ["SQLITE", "scheme_of"]

SQLITE = "sqlite"
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)  # of two letters at least: C:/ is a drive
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[^/\\]*:[^/\\]*@")
_SERVERS = (
    "postgres postgresql mysql mariadb mssql oracle cockroachdb redis rediss valkey mongodb clickhouse cassandra "
    "snowflake duckdb libsql elasticsearch opensearch qdrant milvus weaviate chroma lancedb pinecone "
    "http https ftp sftp ssh s3 gs gcs az abfs abfss hdfs file jdbc odbc"
)
_NAMES = frozenset([SQLITE, *_SERVERS.split()])
"""Schemes that are taken for one without a slash as well; any other name with a colon may be a file's."""


def scheme_of(place: str | os.PathLike[str]) -> str:
    """Return the name of the backend that a place means: the scheme of a URL in lower case, or `SQLITE` for a path.

    What follows a plus sign, the driver, is not part of it.

    Raises
    ------
    InvalidArgumentError
        It looks like a server's address without a scheme. The message does not repeat it.
    """
    text = os.fspath(place)
    if url := _URL.match(text):
        return url[1].lower().split("+")[0]
    if found := _SCHEME.match(text):
        name = found[1].lower().split("+")[0]
        if name in _NAMES:
            return name
    if _CREDENTIALS.match(text):
        raise InvalidArgumentError(
            "this looks like the user, password and host of a server; put the scheme before it, or give the path of a "
            "SQLite file"
        )
    return SQLITE
