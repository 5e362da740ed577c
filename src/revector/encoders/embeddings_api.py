"""One request to an OpenAI-compatible ``/embeddings`` endpoint, and what its answer must hold to be believed.

The HTTP library is httpx2: the maintained continuation of httpx, with typed errors that say whether a request was sent,
strict timeouts, the system's certificates and proxies, and a connection pool that threads can share. The service's own
package is not used: it retries and limits by rules of its own, which a spend cap could not see.
"""

from __future__ import annotations

import base64
import binascii
import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.errors import InvalidArgumentError, PortableError, ServiceError

__all__ = ["Answer", "Endpoint", "NotJsonError", "Reply", "UnansweredError", "read_answer"]

_EXCERPT_CHARACTERS = 200
_CONNECT_SECONDS = 10.0
_LEAST_SECRET = 4  # shorter header values ("1", "v2") are no secrets, and would blot out half of a message


class UnansweredError(PortableError):
    """A request got no answer; `sent` says whether the service may have worked for it."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class NotJsonError(PortableError):
    """The body of an answer is not JSON: cut off, or a page of something in between."""


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers (names in lower case), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """The rows of a request in the order of its texts, and what the service says of tokens and model.

    Attributes
    ----------
    rows : ndarray of float32, shape (number of texts, dimension)
        May hold NaN or infinity: that is one text's fault, and not the answer's.
    tokens : int or None
        ``None`` if the service does not say, or says what can not be.
    model : str or None
        ``None`` if the service does not say.
    """

    rows: NDArray[np.float32]
    tokens: int | None
    model: str | None


class Endpoint:
    """Sends requests to one address. Safe to share between threads.

    Parameters
    ----------
    base_url : str
        Up to the version, as services write it (``https://…/v1``).
    headers : mapping of str to str
        Of every request.
    timeout_seconds : float
        Longest silence of the service.
    connections : int
        Most requests under way at once.

    Raises
    ------
    InvalidArgumentError
        `base_url` is no HTTP address, or holds a password.
    ImportError
        The extra ``openai`` is not installed.
    """

    def __init__(self, base_url: str, *, headers: Mapping[str, str], timeout_seconds: float, connections: int) -> None:
        _require_plain(base_url)
        self.url = base_url.rstrip("/") + "/embeddings"
        self._http = require("httpx2", extra="openai", purpose="an encoder behind HTTP")
        self._secrets = [value.removeprefix("Bearer ") for value in headers.values() if len(value) >= _LEAST_SECRET]
        self._client = self._http.Client(
            headers=dict(headers),
            timeout=self._http.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
            limits=self._http.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        weakref.finalize(self, self._client.close)  # an encoder that nobody closes leaves no sockets behind

    def post(self, payload: Mapping[str, Any]) -> Reply:
        """Send a request.

        Raises
        ------
        UnansweredError
            There was no answer, or half of one.
        """
        try:
            response = self._client.post(self.url, json=payload)
        except (self._http.ConnectError, self._http.ConnectTimeout, self._http.PoolTimeout) as error:
            raise UnansweredError(f"{self.url} can not be reached: {self.redacted(str(error))}", sent=False) from error
        except self._http.RequestError as error:
            said = self.redacted(str(error)) or "no answer in time"
            raise UnansweredError(f"{self.url}: {type(error).__name__}: {said}", sent=True) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, response.content)

    def excerpt(self, body: bytes) -> str:
        """Return the beginning of a body on one line, without anything that was sent as a header."""
        text = " ".join(self.redacted(body[: 1 << 16].decode("utf-8", "replace")).split())
        return text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + " …"

    def redacted(self, text: str) -> str:
        """Return a text without the values of our headers: services repeat keys in their complaints."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _require_plain(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        host, secret = parts.hostname, parts.username is not None or parts.password is not None
    except ValueError:
        parts, host, secret = urlsplit(""), None, False
    if secret:  # the address is part of messages and of what a collection remembers
        raise InvalidArgumentError("base_url holds a user or a password; give them as headers=")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise InvalidArgumentError(f"base_url is {base_url!r}, expected an address like 'https://example.com/v1'")


def read_answer(body: bytes, *, n_texts: int, dimension: int | None) -> Answer:
    """Read the body of a successful answer.

    Parameters
    ----------
    body : bytes
    n_texts : int
        Texts that were sent.
    dimension : int or None
        Expected length of a row; ``None`` if it is not known yet.

    Raises
    ------
    NotJsonError
        The body is not JSON.
    ServiceError
        It is JSON, and can not be the answer to what was asked.
    """
    try:
        fields = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one
        raise NotJsonError(str(error)) from error
    data = fields.get("data") if isinstance(fields, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ServiceError("expected an object with a list 'data' of objects")
    rows = [_row(item.get("embedding")) for item in _in_order(data, n_texts)]
    lengths = sorted({len(row) for row in rows} | ({dimension} if dimension is not None else set()))
    if len(lengths) != 1 or lengths[0] < 1:
        expected = "one length" if dimension is None else f"{dimension} numbers each"
        raise ServiceError(f"rows have {_listed(sorted({len(row) for row in rows}))} numbers, expected {expected}")
    model = fields.get("model")
    return Answer(np.stack(rows), _tokens(fields.get("usage"), n_texts), model if isinstance(model, str) else None)


def _in_order(data: list[dict[str, Any]], n_texts: int) -> list[dict[str, Any]]:
    if len(data) != n_texts:
        raise ServiceError(f"{len(data)} rows for {n_texts} texts")
    if not any("index" in item for item in data):
        return data  # servers that leave the index out answer in order
    indices = [item.get("index") for item in data]
    by_index = {i: item for i, item in zip(indices, data, strict=True) if isinstance(i, int)}
    if sorted(by_index) != list(range(n_texts)):
        raise ServiceError(f"rows are numbered {_listed(indices)}, expected each of 0 to {n_texts - 1} once")
    return [by_index[i] for i in range(n_texts)]


def _row(embedding: Any) -> NDArray[np.float32]:
    """Read numbers, or base64 of little-endian float32, whichever the service chose to send."""
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
        if isinstance(embedding, list) and all(isinstance(number, (int, float)) for number in embedding):
            with np.errstate(over="ignore"):  # what does not fit becomes infinity, and is found as such
                return np.array(embedding, dtype=np.float64).astype(np.float32)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ServiceError(f"an embedding can not be read: {error}") from error
    raise ServiceError(f"an embedding is {type(embedding).__name__}, expected numbers or base64")


def _tokens(usage: Any, n_texts: int) -> int | None:
    if not isinstance(usage, dict):
        return None
    tokens = usage.get("total_tokens", usage.get("prompt_tokens"))
    # No text is less than a token: a service that says so does not count, and a budget must not believe it.
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= n_texts else None


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, values[:8]))
    return shown + (", …" if len(values) > 8 else "") if values else "no"
