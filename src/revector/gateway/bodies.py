"""Bodies of requests: read within bounds, parsed strictly, their fields checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.requests import ClientDisconnect, Request

from revector._arguments import shown, strings, valid_unicode
from revector.formats.json_lines import parse_json_object
from revector.gateway.failures import RequestError, TooBusyError
from revector.gateway.limits import Limits

__all__ = ["Bodies", "Held", "known_fields", "texts_of"]

_JSON = "application/json"
_PARSED_AT_ONCE = 1 << 16  # what is larger is parsed in a thread, beside other requests
_RETRY_SECONDS = 1.0


class Held:
    """What one request holds of the memory for bodies."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self._held = bodies, 0

    def grow(self, size: int) -> None:
        """Hold more; raise `TooBusyError` if all requests together hold too much."""
        if self._bodies.held + size > self._bodies.limits.held_bytes:
            raise TooBusyError("too many large requests at once; try again later", retry_after_seconds=_RETRY_SECONDS)
        self._bodies.held += size
        self._held += size

    def release(self) -> None:
        """Give it back."""
        self._bodies.held -= self._held
        self._held = 0


class Bodies:
    """Reads the bodies of requests.

    Parameters
    ----------
    limits : Limits

    Attributes
    ----------
    held : int
        Bytes of the bodies of all requests that are under way.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits, self.held = limits, 0

    @contextmanager
    def holding(self) -> Iterator[Held]:
        """Yield what keeps account of one request, until it is answered."""
        held = Held(self)
        try:
            yield held
        finally:
            held.release()

    async def read(self, request: Request, held: Held) -> dict[str, Any]:
        """Return the JSON object that a request brings.

        Raises
        ------
        RequestError
            It is not said to be JSON, is too large, or does not arrive in time; 429 if other requests hold too much.
        InvalidArgumentError
            It is not one JSON object.
        """
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if said != _JSON:  # a page in a browser can send anything else to any address, without asking
            raise RequestError(
                f"the content type is {shown(said)}, expected {_JSON}", status=415, code="unsupported_media_type"
            )
        try:
            body = await asyncio.wait_for(self._received(request, held), self.limits.body_seconds)
        except asyncio.TimeoutError as error:
            seconds = f"{self.limits.body_seconds:g} s"
            raise RequestError(
                f"the body has not arrived within {seconds}", status=408, code="request_timeout"
            ) from error
        except ClientDisconnect as error:
            raise RequestError("the client went away", code="client_disconnected") from error
        return await asyncio.to_thread(_parsed, body) if len(body) > _PARSED_AT_ONCE else _parsed(body)

    async def _received(self, request: Request, held: Held) -> bytes:
        said = request.headers.get("content-length", "")
        self._require_size(int(said) if said.isascii() and said.isdecimal() else 0)
        body = bytearray()
        async for chunk in request.stream():
            self._require_size(len(body) + len(chunk))
            held.grow(len(chunk))
            body += chunk
        return bytes(body)

    def _require_size(self, size: int) -> None:
        if size > self.limits.body_bytes:
            raise RequestError(
                f"the body is larger than {self.limits.body_bytes:,} bytes; send it in parts",
                status=413,
                code="body_too_large",
            )


def known_fields(body: Mapping[str, Any], *names: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a body without those that are null.

    Raises
    ------
    RequestError
        A name is not known, or one that is needed is missing.
    """
    for name in body:
        if name not in names:
            expected = ", ".join(map(repr, names))
            raise RequestError(f"the field {shown(name)} is not known; there are {expected}", param=str(name)[:80])
    fields = {name: value for name, value in body.items() if value is not None}
    for name in needed:
        if name not in fields:
            raise RequestError(f"the field {name!r} is missing", param=name)
    return fields


def texts_of(value: Any, name: str, most: int) -> list[str]:
    """Return one text, or a list of them, as a list.

    Raises
    ------
    RequestError
        There is none, or too many, or they are lists of tokens.
    InvalidArgumentError
        One is not a text.
    """
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise RequestError(f"{name} is {shown(value)}, expected a text, or a list of at least one", param=name)
    require_few(listed, name, most)
    if isinstance(listed[0], (int, list)):
        raise RequestError(
            f"{name} holds tokens, expected texts: models do not share a tokenizer; turn off what counts tokens in "
            "your client (in LangChain: check_embedding_ctx_length=False)",
            param=name,
        )
    texts = strings(listed, name)
    return [valid_unicode(text, f"{name}[{place}]") for place, text in enumerate(texts)]


def require_few(listed: Sequence[Any], name: str, most: int) -> None:
    """Raise `RequestError` if a list is too long for one request."""
    if len(listed) > most:
        raise RequestError(f"{name} has {len(listed):,} entries, expected at most {most:,}; ask in parts", param=name)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 (byte {error.start}); send JSON in UTF-8") from error
    return parse_json_object("the body", text, expected="one JSON object")
