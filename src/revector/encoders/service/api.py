"""One request to an OpenAI-compatible endpoint, such as ``/embeddings``.

The HTTP library is httpx2: the maintained continuation of httpx, with typed errors that say whether a request was sent,
strict timeouts, the system's certificates and proxies, and a connection pool that threads can share. The service's own
package is not used: it retries and limits by rules of its own, which a spend cap could not see.

No error that leaves this module has one of the library's behind it: their tracebacks hold the headers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import ssl
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import IO, Any
from urllib.parse import urlsplit

from revector._forks import keep_for_ever, renew_in_child
from revector._optional import require
from revector._secrets import Secret, redacted
from revector.errors import InvalidArgumentError, PortableError, ServiceError

__all__ = [
    "Endpoint",
    "Reply",
    "Request",
    "UnansweredError",
    "address_of_environment",
    "request_headers",
    "require_fields",
    "service_address",
    "service_key",
]

_BASE_URL = "https://api.openai.com/v1"
_EXCERPT_CHARACTERS = 200
_EXCERPT_BYTES = 1 << 16
_CONNECT_SECONDS = 10.0
_LONGEST_SECONDS = 1e6  # longer than any wait, and no clock overflows
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f]")
_PROXIES = ("all_proxy", "https_proxy", "http_proxy")


class UnansweredError(PortableError):
    """A request got no answer; `sent` says whether the service may have worked for it."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers (names in lower case), body. Services repeat keys, so its repr shows neither."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Request:
    """What is asked of a service.

    Attributes
    ----------
    method, url : str
    content : mapping
        What the HTTP library is given besides: ``json``, ``params``, ``files`` and ``data``.
    into : binary file, optional
        Where the body of a successful answer is written, for one that memory may not hold.
    """

    method: str
    url: str
    content: Mapping[str, Any] = field(repr=False)
    into: IO[bytes] | None = None


class Endpoint:
    """Sends requests to one address. Safe to share between threads.

    Parameters
    ----------
    address : str
        What `service_address` returned.
    key : Secret or None
        Sent as ``Authorization: Bearer …``, unless `headers` has an ``authorization``.
    headers : mapping of str to Secret
        Of every request, by names in lower case.
    timeout_seconds : float
        Longest silence of the service.
    connections : int
        Most requests under way at once.
    path : str
        What is asked of the service.

    Raises
    ------
    InvalidArgumentError
        A variable of the environment that names a proxy or certificates cannot be used.
    ImportError
        The extra ``openai`` is not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        key: Secret | None,
        headers: Mapping[str, Secret],
        timeout_seconds: float,
        connections: int,
        path: str = "/embeddings",
    ) -> None:
        self.address, self.url = address, address + path
        self._http = require("httpx2", extra="openai", purpose="a model behind HTTP")
        self._key, self._headers = key, dict(headers)
        self._secrets = [*self._headers.values(), *([] if key is None else [key])]
        self._timeout, self._connections = min(timeout_seconds, _LONGEST_SECONDS), connections
        self._closed = False
        self._connecting = threading.Lock()
        self._client: Any = None
        self._connected()
        renew_in_child(self._leave_to_parent)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                self._client = _client(self._http, self._timeout, self._connections)
                # an encoder that nobody closes leaves no sockets behind
                self._closing = weakref.finalize(self, self._client.close)
            return self._client

    def _leave_to_parent(self) -> None:
        """Forget the connections of a parent: those who share one get each other's answers."""
        self._closing.detach()
        keep_for_ever(self._client)
        self._client, self._connecting = None, threading.Lock()

    def post(self, payload: Mapping[str, Any], *, most_bytes: int) -> Reply:
        """Send a request with a payload as JSON to `url`; errors as for `send`."""
        return self.send(Request("POST", self.url, {"json": payload}), most_bytes=most_bytes)

    def send(self, request: Request, *, most_bytes: int) -> Reply:
        """Send a request.

        Parameters
        ----------
        request : Request
        most_bytes : int
            No more than that and one piece of an answer is read.

        Raises
        ------
        UnansweredError
            There was no answer, or half of one.
        ServiceError
            The request cannot be sent as it is, or the endpoint is closed.
        """
        if self._closed:
            raise ServiceError("the encoder is closed; make a new one")
        outcome = self._outcome(request, most_bytes)
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    def _outcome(self, request: Request, most_bytes: int) -> Reply | BaseException:
        """Return the reply, or an error that remembers nothing of the request."""
        http, url = self._http, request.url
        try:
            return self._reply(request, most_bytes)
        except (http.ConnectError, http.ConnectTimeout, http.PoolTimeout) as error:
            return UnansweredError(f"{url} cannot be reached: {self.shown(str(error))}{_by_proxy()}", sent=False)
        except (http.LocalProtocolError, http.UnsupportedProtocol) as error:
            return self._unsendable(url, error)
        except http.RequestError as error:
            said = self.shown(str(error)) or "no answer in time"
            return UnansweredError(f"{url}: {type(error).__name__}: {said}", sent=True)
        except Exception as error:  # of the request or of the library: it would come again
            return self._unsendable(url, error)
        except BaseException as error:  # Ctrl-C
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)

    def _reply(self, request: Request, most_bytes: int) -> Reply:
        headers = {} if self._key is None else {"authorization": f"Bearer {self._key.reveal()}"}
        headers |= {name: value.reveal() for name, value in self._headers.items()}
        sent = {name: value.encode("latin-1") for name, value in headers.items()}
        with self._connected().stream(request.method, request.url, headers=sent, **request.content) as response:
            into, body, n_bytes = request.into if response.is_success else None, bytearray(), 0
            for chunk in response.iter_bytes():
                body.extend(chunk) if into is None else into.write(chunk)
                n_bytes += len(chunk)
                if n_bytes > most_bytes:
                    break
            came = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, came, bytes(body))

    def _unsendable(self, url: str, error: Exception) -> ServiceError:
        said = f"{type(error).__name__}: {self.shown(str(error))}"
        if self._closed:
            return ServiceError(f"the encoder was closed during a request ({said})")
        return ServiceError(f"a request to {url} cannot be sent: {said}")

    def shown(self, said: str | bytes) -> str:
        """Return the beginning of what somebody said, on one line, without anything that was sent as a header."""
        text = said if isinstance(said, str) else said[:_EXCERPT_BYTES].decode("utf-8", "replace")
        text = " ".join(redacted(text[:_EXCERPT_BYTES], self._secrets).split())
        if len(said) > _EXCERPT_BYTES and len(text) <= _EXCERPT_CHARACTERS:
            return "a long text"  # which may end within a secret
        return text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + " …"

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self._closing()


def request_headers(headers: Mapping[str, str | Secret]) -> dict[str, Secret]:
    """Return headers by their names in lower case.

    Raises
    ------
    InvalidArgumentError
        A name or a value cannot be sent. The message repeats no value, and no name that is not one.
    """
    try:
        if not isinstance(headers, Mapping):
            raise InvalidArgumentError(f"headers is {type(headers).__name__}, expected a mapping of str to str")
        names = [_header_name(name, place) for place, name in enumerate(headers)]
        if len(set(names)) < len(names):
            raise InvalidArgumentError(f"headers names one twice: {', '.join(sorted(names))}")
        given = zip(names, headers, strict=True)
        return {lower: Secret(headers[name], name=f"headers[{lower!r}]") for lower, name in given}
    finally:
        del headers  # or a traceback with its locals would show them


def _header_name(name: object, place: int) -> str:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):  # it may be a value: it is not repeated
        raise InvalidArgumentError(f"headers: name {place} is not the name of a header (letters, digits and hyphens)")
    return name.lower()


def require_fields(name: str, fields: object) -> None:
    """Raise `InvalidArgumentError` unless these are further fields of a request, or none."""
    if fields is not None and not isinstance(fields, Mapping):
        raise InvalidArgumentError(f"{name} is {type(fields).__name__}, expected a mapping")
    try:
        json.dumps(dict(fields or {}), allow_nan=False, ensure_ascii=False, sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{name} cannot be sent as JSON: {error}") from error


def service_key(api_key: str | Secret | None) -> Secret | None:
    """Return the key that is given, or that of the environment.

    Raises
    ------
    InvalidArgumentError
        It cannot be sent. The message does not repeat it.
    """
    try:
        if api_key is None:
            value = os.environ.get("OPENAI_API_KEY")
            return Secret(value, name="the environment's OPENAI_API_KEY") if value else None
        return Secret(api_key, name="api_key")
    finally:
        api_key = value = None  # or a traceback with its locals would show it


def address_of_environment() -> str:
    """Return ``$OPENAI_BASE_URL``, or the address of OpenAI; raise `InvalidArgumentError` if it is not one."""
    return service_address(os.environ.get("OPENAI_BASE_URL") or _BASE_URL, "the environment's OPENAI_BASE_URL")


def service_address(base_url: str, name: str) -> str:
    """Return the address of a service without white space around it and slashes behind.

    Parameters
    ----------
    base_url : str
        Up to the version, as services write it (``https://…/v1``).
    name : str
        What errors call it.

    Raises
    ------
    InvalidArgumentError
        It is not an HTTP address, or has a place for secrets: a user, a query, a fragment. The message does not repeat
        it.
    """
    if not isinstance(base_url, str):
        raise InvalidArgumentError(f"{name} is {type(base_url).__name__}, expected str")
    url = base_url.strip()
    del base_url
    problem = _problem_of_address(url)
    if problem:
        del url  # it may hold a secret
        raise InvalidArgumentError(f"{name} {problem}; expected an address like 'https://example.com/v1'")
    return url.rstrip("/")


def _problem_of_address(url: str) -> str | None:
    if _UNPRINTABLE.search(url):
        return "holds white space or a control character"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "cannot be taken apart"
    if "@" in parts.netloc:  # the address is part of messages and of what a collection remembers
        return "holds a user or a password (give them as headers=)"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if "?" in url or "#" in url:
        return "has a query or a fragment (give a key as api_key= or headers=)"
    return None if host else "names no host"


def _client(http: ModuleType, timeout: float, connections: int) -> Any:
    """Make a client of the HTTP library, which reads the environment: proxies and certificates."""
    try:
        return http.Client(
            timeout=http.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            limits=http.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
    except Exception as error:
        kind = type(error).__name__  # its words may hold the password of a proxy
    raise InvalidArgumentError(_problem_of_environment(http) or f"the HTTP client cannot be made ({kind})")


def _by_proxy() -> str:
    """Return which variables may send requests elsewhere; their values may hold passwords."""
    names = [name for name, value in os.environ.items() if value and name.lower() in _PROXIES]
    return f" (check the proxy in the environment's {', '.join(names)})" if names else ""


def _problem_of_environment(http: ModuleType) -> str | None:
    for name, value in os.environ.items():
        if value and name.lower() in _PROXIES and (problem := _problem_of_proxy(http, value)):
            return f"the environment's {name} {problem}; correct it, or unset it"
        if value and name in ("SSL_CERT_FILE", "SSL_CERT_DIR") and not _holds_certificates(name, value):
            return f"the environment's {name} is {value!r}, which holds no certificates; correct it, or unset it"
    return None


def _problem_of_proxy(http: ModuleType, value: str) -> str | None:
    try:
        proxy = http.Proxy(value if "://" in value else f"http://{value}")
    except Exception:
        return "is not the address of a proxy, like 'http://host:3128'"
    if proxy.url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "names a SOCKS proxy, which needs another package: pip install 'httpx2[socks]'"
    return None


def _holds_certificates(name: str, value: str) -> bool:
    try:
        ssl.create_default_context(**{"cafile" if name == "SSL_CERT_FILE" else "capath": value})  # type: ignore[arg-type]
    except (OSError, ValueError):
        return False
    return True
