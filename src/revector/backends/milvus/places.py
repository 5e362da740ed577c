"""Where Milvus is: a server, ``milvus://HOST:PORT/DATABASE``, or the file of Milvus Lite, ``milvus:///PATH``.

The token is in the environment, and never in a URL.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from revector._secrets import Secret
from revector.errors import InvalidArgumentError

__all__ = ["TOKEN", "VECTOR_OPTION", "Place", "place_of", "token"]

TOKEN = "MILVUS_TOKEN"
"""The variable of the environment that holds the token, or ``USER:PASSWORD``."""
VECTOR_OPTION = "vector"
_PORT = 19530
_DATABASE = "default"
_EXPECTED = "expected milvus://HOST[:PORT][/DATABASE], milvus+https:// for TLS, or milvus:///PATH of a file"


@dataclass(frozen=True)
class Place:
    """A place of collections.

    Parameters
    ----------
    uri : str
        What the client connects to: ``http://HOST:PORT``, or the path of a file.
    database : str
        Of a server; empty for a file.
    vector : str
        The field that is searched, where collections have several vectors; empty for the first one.
    """

    uri: str
    database: str = ""
    vector: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of Milvus Lite."""
        return not self.database

    @property
    def url(self) -> str:
        """The place as it may be printed, and given again."""
        option = f"?{VECTOR_OPTION}={quote(self.vector)}" if self.vector else ""
        if self.is_file:
            return f"milvus://{quote(self.uri)}{option}"
        scheme, _, server = self.uri.partition("://")
        return f"milvus{'+https' if scheme == 'https' else ''}://{server}/{self.database}{option}"


def place_of(url: str) -> Place:
    """Return what a URL says.

    Raises
    ------
    InvalidArgumentError
        It is not such a URL, or holds a user or a password. The message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port, options = parts.port or _PORT, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:  # its message repeats a part of the URL
        raise InvalidArgumentError(f"this URL cannot be read; {_EXPECTED}") from None
    if parts.scheme not in ("milvus", "milvus+https") or options.keys() - {VECTOR_OPTION} or parts.fragment:
        raise InvalidArgumentError(f"this is not the URL of a Milvus server or file; {_EXPECTED}")
    if "@" in parts.netloc:
        raise InvalidArgumentError(f"the URL of Milvus holds a user or a token; take it out, and set {TOKEN}")
    vector = options.get(VECTOR_OPTION, "")
    if not parts.hostname:
        if parts.scheme != "milvus" or not Path(parts.path).name:
            raise InvalidArgumentError(f"the URL names neither a server nor a file; {_EXPECTED}")
        return Place(str(Path(unquote(parts.path)).absolute()), vector=vector)
    database = unquote(parts.path.strip("/")) or _DATABASE
    if not re.fullmatch(r"\w+", database):
        raise InvalidArgumentError(f"a database of Milvus has letters, digits and _ in its name; {_EXPECTED}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Place(f"http{'s' * (parts.scheme == 'milvus+https')}://{host}:{port}", database, vector)


def token() -> Secret | None:
    """Return the token that the environment holds, if it holds one."""
    found = os.environ.get(TOKEN)
    return Secret(found, name=TOKEN) if found else None
