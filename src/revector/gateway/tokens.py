"""Who may ask: whoever brings the token."""

from __future__ import annotations

import hmac
import os

from revector._arguments import file_path
from revector._secrets import Secret
from revector.errors import InvalidArgumentError
from revector.gateway.failures import RequestError

__all__ = ["read_token", "require_token"]

_MOST_BYTES = 4096
_SCHEME = b"bearer "


def read_token(path: str | os.PathLike[str]) -> Secret:
    """Read a token from a file; white space around it is not part of it.

    Raises
    ------
    InvalidArgumentError
        The file is not there, or does not hold one short line of text. The message repeats nothing of it.
    """
    file = file_path(path, "the token file")
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"the token file cannot be read: {error}") from error
    try:
        text = raw.decode() if len(raw) <= _MOST_BYTES else ""
    except UnicodeDecodeError:
        text = ""
    if not text.strip():
        raise InvalidArgumentError(f"{file} holds no token, expected one line of at most {_MOST_BYTES:,} bytes")
    return Secret(text, name=f"the token in {file}")


def require_token(header: str | None, token: Secret) -> None:
    """Raise `RequestError` unless a header brings the token; how long that takes does not tell how much is right."""
    given = (header or "").encode("latin-1", "replace")
    is_bearer = given[: len(_SCHEME)].lower() == _SCHEME
    expected = token.reveal().encode("latin-1")
    if not hmac.compare_digest(given[len(_SCHEME) :].strip() if is_bearer else b"", expected):
        raise RequestError(
            "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'",
            status=401,
            code="invalid_api_key",
        )
