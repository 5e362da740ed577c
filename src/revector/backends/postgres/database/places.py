"""Where a PostgreSQL collection is: a URL as libpq reads it, and the collection's name after ``#``. No URL is shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from revector.errors import InvalidArgumentError, MissingExtraError

try:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise MissingExtraError("psycopg", "postgres", "a collection in PostgreSQL") from error

__all__ = ["SCHEMA", "Place", "place_of"]

SCHEMA = "revector"
"""The schema of what collections share; each has another one of its own, named after it."""
_LONGEST_NAME_BYTES = 63 - len(SCHEMA) - 1  # PostgreSQL cuts longer identifiers off
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._-]+")
_EXPECTED = "expected postgresql://USER@HOST/DATABASE#COLLECTION"
_SCHEME = re.compile(r"postgres(?:ql)?(\+[a-z0-9]+)?://", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A collection's place.

    Parameters
    ----------
    connection : dict
        What libpq connects with; may hold a password.
    name : str
        Of the collection.
    """

    connection: dict[str, Any]
    name: str

    @property
    def schema(self) -> str:
        """The name of the schema that the collection's tables are in."""
        return f"{SCHEMA}_{self.name}"

    @property
    def url(self) -> str:
        """The place without passwords: what is left out is found as libpq finds it (``PGPASSWORD``, ``PGPASSFILE``)."""
        known = {name: str(value) for name, value in self.connection.items() if name not in _SECRETS and value}
        user, database = (quote(known.pop(part, ""), safe="") for part in ("user", "dbname"))
        server = f"{user}{'@' if user else ''}"
        if _PLAIN_HOST.fullmatch(known.get("host", "")):  # others, and several, are told as options
            port = known.pop("port", "")
            server += f"{known.pop('host')}{':' if port else ''}{port}"
        options = urlencode(known, quote_via=quote)
        return f"postgresql://{server}/{database}{'?' if options else ''}{options}#{quote(self.name)}"


def place_of(place: str | os.PathLike[str]) -> Place:
    """Return what a URL says.

    Parameters
    ----------
    place : str
        As libpq reads it (``postgresql://``, or ``postgres://``), with the collection's name after ``#``.

    Raises
    ------
    InvalidArgumentError
        It is not such a URL, or names no collection. The message does not repeat it.
    """
    url, _, name = os.fspath(place).partition("#")
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise InvalidArgumentError(f"this is not the URL of a PostgreSQL database; {_EXPECTED}")
    if scheme[1] not in (None, "+psycopg"):
        raise InvalidArgumentError(f"the driver {scheme[1][1:]} is not supported, revector uses psycopg; {_EXPECTED}")
    try:
        connection = conninfo_to_dict(f"postgresql://{url[scheme.end() :]}")
    except ProgrammingError:  # its message repeats the URL
        raise InvalidArgumentError(f"libpq cannot read this URL; {_EXPECTED}, special characters as %XX") from None
    return Place(connection, _checked_name(unquote(name)))


def _checked_name(name: str) -> str:
    if not name:
        raise InvalidArgumentError(f"the URL names no collection; {_EXPECTED}: the name follows the #")
    if "\0" in name:
        raise InvalidArgumentError("the name of a collection holds NUL, which PostgreSQL cannot; choose another one")
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        raise InvalidArgumentError(
            f"the name of a collection has {len(name.encode())} bytes, and {_LONGEST_NAME_BYTES} at most; choose a "
            "shorter one"
        )
    return name
