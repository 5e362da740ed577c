"""Where a Redis server is: ``redis://HOST:PORT/0``. The password is in the environment, and never in a URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from revector._secrets import Secret
from revector.errors import InvalidArgumentError

__all__ = ["PASSWORD", "VECTOR_OPTION", "Place", "password", "place_of"]

PASSWORD = "REDIS_PASSWORD"
"""The variable of the environment that holds the password."""
VECTOR_OPTION = "vector"
_PORT = 6379
_EXPECTED = "expected redis://[USER@]HOST[:PORT][/0], or rediss:// for TLS"


@dataclass(frozen=True)
class Place:
    """A server's place.

    Parameters
    ----------
    host : str
    port : int
    user : str
        Empty for the server's default user.
    tls : bool
    vector : str
        The vector that is searched, where indexes have several; empty for the first one.
    """

    host: str
    port: int = _PORT
    user: str = ""
    tls: bool = False
    vector: str = ""

    @property
    def url(self) -> str:
        """The place as it may be printed, and given again."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        option = f"?{VECTOR_OPTION}={quote(self.vector)}" if self.vector else ""
        return f"redis{'s' * self.tls}://{user}{host}:{self.port}/0{option}"


def place_of(url: str) -> Place:
    """Return what a URL says.

    Raises
    ------
    InvalidArgumentError
        It is not such a URL, or holds a password. The message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port, options = parts.port or _PORT, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:  # its message repeats a part of the URL
        raise InvalidArgumentError(f"this URL cannot be read; {_EXPECTED}") from None
    if (
        parts.scheme not in ("redis", "rediss")
        or not parts.hostname
        or options.keys() - {VECTOR_OPTION}
        or parts.fragment
    ):
        raise InvalidArgumentError(f"this is not the URL of a Redis server; {_EXPECTED}")
    if parts.password is not None:
        raise InvalidArgumentError(f"the URL of a Redis server holds a password; take it out, and set {PASSWORD}")
    if parts.path.strip("/") not in ("", "0"):
        raise InvalidArgumentError(f"only database 0 of a Redis server can be searched; {_EXPECTED}")
    vector = options.get(VECTOR_OPTION, "")
    return Place(parts.hostname, port, unquote(parts.username or ""), parts.scheme == "rediss", vector)


def password() -> Secret | None:
    """Return the password that the environment holds, if it holds one."""
    found = os.environ.get(PASSWORD)
    return Secret(found, name=PASSWORD) if found else None
