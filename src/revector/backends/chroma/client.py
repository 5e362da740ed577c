"""Connections to Chroma: of a server, by HTTP, or of a folder that this process alone has open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from revector._optional import require
from revector._secrets import Secret
from revector.errors import InvalidArgumentError, RevectorError, StoreError, StoreUnavailableError

__all__ = ["Client", "open_client"]

KEY = "CHROMA_API_KEY"
"""The environment variable of the key that a server asks for; it is never in a URL."""
PATIENCE_SECONDS = 20.0
"""How long a call is repeated while the server is not there."""
ANSWER_SECONDS = 60.0
"""How long one answer is waited for."""
_PORT = 8000
_EXTRA, _PURPOSE = "chroma", "a collection in Chroma"

_T = TypeVar("_T")


class Client:
    """A client of Chroma whose errors are revector's.

    Parameters
    ----------
    url : str
        Where it is, without secrets.
    client : chromadb.ClientAPI
        Closed by `close`.
    secret : Secret, optional
        Cut out of every message.
    """

    def __init__(self, url: str, client: Any, secret: Secret | None = None) -> None:
        self.url, self.api, self._secret = url, client, secret
        # of a server: Chroma itself never closes them, and waits for an answer for ever
        servers = (client._server, client._admin_client._server)
        self._sessions = [server._session for server in servers if hasattr(server, "_session")]
        for session in self._sessions:
            session.timeout = ANSWER_SECONDS
        self._lost = require("httpx", extra=_EXTRA, purpose=_PURPOSE).TransportError
        errors = require("chromadb.errors", extra=_EXTRA, purpose=_PURPOSE)
        self.not_found: type[Exception] = errors.NotFoundError
        # Chroma checks arguments by ValueError and TypeError, and passes on what its core says as it came
        self._refused = (errors.ChromaError, ValueError, TypeError, RuntimeError)
        self._patience = Retrying(
            retry=retry_if_exception_type(self._lost),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            stop=stop_after_delay(PATIENCE_SECONDS),
            reraise=True,
        )

    def call(self, function: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        """Call a function of Chroma's, again and again while the server is not there: each may be repeated.

        Raises
        ------
        StoreUnavailableError
            The server did not come back.
        StoreError
            Chroma refuses.
        """
        with self.errors():
            return self._patience.copy()(function, *arguments, **named)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn Chroma's errors into revector's, without the key."""
        try:
            yield
        except RevectorError:
            raise
        except self._lost as error:
            raise StoreUnavailableError(
                f"{self.url} cannot be reached: {self._said(error)}; is the server running?"
            ) from error
        except self._refused as error:
            raise StoreError(f"{self.url}: {self._said(error)}") from error

    def close(self) -> None:
        """Release connections and files."""
        self.api.close()
        for session in self._sessions:
            session.close()

    def _said(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        return text if self._secret is None else self._secret.hide_in(text)


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
