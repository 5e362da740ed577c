"""Connections to Chroma: of a server, by HTTP, or of a folder that this process alone has open."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from revector._optional import require
from revector._secrets import Secret
from revector.backends.beside.calling import Calls
from revector.errors import InvalidArgumentError, RevectorError, StoreError, StoreUnavailableError

__all__ = ["Client", "open_client"]

KEY = "CHROMA_API_KEY"
"""The environment variable of the key that a server asks for; it is never in a URL."""
ANSWER_SECONDS = 60.0
"""How long one answer is waited for."""
_PORT = 8000
_EXTRA, _PURPOSE = "chroma", "a collection in Chroma"


class Client:
    """A client of Chroma, and how it is called.

    Parameters
    ----------
    url : str
        Where it is, without secrets.
    client : chromadb.ClientAPI
        Closed by `close`.
    secret : Secret, optional
        Cut out of every message.

    Attributes
    ----------
    call : Calls
        Calls a function of Chroma's, again and again while the server is not there: each may be repeated.
    not_found : type
        What Chroma raises of a collection that does not exist.
    """

    def __init__(self, url: str, client: Any, secret: Secret | None = None) -> None:
        self.url, self.api, self._secret = url, client, secret
        self._lost = require("httpx", extra=_EXTRA, purpose=_PURPOSE).TransportError
        errors = require("chromadb.errors", extra=_EXTRA, purpose=_PURPOSE)
        self.not_found: type[Exception] = errors.NotFoundError
        # Chroma checks arguments by ValueError and TypeError, and passes on what its core says as it came
        refused = (errors.ChromaError, ValueError, TypeError, RuntimeError)
        self.call = Calls(url, (self._lost, *refused), self._named)
        # of a server: Chroma itself never closes them, and waits for an answer for ever
        servers = (client._server, client._admin_client._server)
        self._sessions = [server._session for server in servers if hasattr(server, "_session")]
        for session in self._sessions:
            session.timeout = ANSWER_SECONDS

    def close(self) -> None:
        """Release connections and files."""
        if not self.call.is_closed:
            self.call.is_closed = True
            self.api.close()
            for session in self._sessions:
                session.close()

    def _named(self, error: Exception) -> RevectorError:
        said = str(error) or type(error).__name__
        said = said if self._secret is None else self._secret.hide_in(said)
        if isinstance(error, self._lost):
            return StoreUnavailableError(f"{self.url} cannot be reached: {said}; is the server running?")
        return StoreError(f"{self.url}: {said}")


def open_client(place: str) -> Client:
    """Connect to the Chroma of a URL: ``chroma://HOST:PORT``, ``chroma+https://HOST``, ``chroma:///FOLDER``.

    Raises
    ------
    InvalidArgumentError
        The URL has a user or a password, or is not well-formed.
    MissingExtraError
        chromadb is not installed.
    StoreUnavailableError
        Nobody answers there.
    """
    parts = _split(place)
    chromadb = require("chromadb", extra=_EXTRA, purpose=_PURPOSE)
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    if not parts.hostname:
        path = unquote(parts.path)
        try:
            return Client(f"chroma://{path}", chromadb.PersistentClient(path, settings=settings))
        except (ValueError, RuntimeError, OSError) as error:
            raise StoreError(f"the folder {path} cannot be opened as Chroma's: {error}") from error
    is_safe = parts.scheme.endswith("+https")
    port = parts.port or (443 if is_safe else _PORT)
    url = f"{parts.scheme}://{parts.hostname}:{port}"
    key = Secret(os.environ[KEY], name=KEY) if os.environ.get(KEY) else None
    headers = {} if key is None else {"X-Chroma-Token": key.reveal()}
    try:
        client = chromadb.HttpClient(parts.hostname, port, ssl=is_safe, headers=headers, settings=settings)
    except Exception as error:  # Chroma says ValueError of a server that is not there, and shows what it was given
        reason = str(error) if key is None else key.hide_in(str(error))
        raise StoreUnavailableError(f"{url} cannot be reached: {reason}") from None
    return Client(url, client, key)


def _split(place: str) -> SplitResult:
    parts = urlsplit(place)
    if parts.username is not None or parts.password is not None:
        raise InvalidArgumentError(f"a URL of Chroma holds no user or password; put the key into {KEY}")
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidArgumentError(
            "the port in the URL of Chroma is not a number; expected chroma://HOST:PORT"
        ) from error
    if not parts.hostname and (port or not parts.path.strip("/")):
        raise InvalidArgumentError("a URL of Chroma is chroma://HOST:PORT, or chroma:///FOLDER for one in a folder")
    return parts
