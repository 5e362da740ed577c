"""What the errors of Milvus mean, in words that say what to do."""

from __future__ import annotations

from revector.backends.milvus.places import TOKEN
from revector.errors import RevectorError, StoreBusyError, StoreError, StoreUnavailableError

__all__ = ["named"]

_LOST = "the connection failed or was lost; is the server running, and can it be reached?"
_LOADING = "the collection is not loaded: the server has started and still loads it, or it was released; load it"
_AWAY = {
    1: _LOST,
    2: _LOST,
    101: _LOADING,
    103: _LOADING,
    401: _LOADING,
    503: _LOADING,
    901: _LOADING,
    902: _LOADING,
    "UNAVAILABLE": _LOST,
    "DEADLINE_EXCEEDED": "the server did not answer in time; try again",
}
"""By the code of an error: those after which the same call may succeed."""
_BUSY_CODES = (8, 9)
_NOT_READY = ("not ready", "not healthy", "unavailable", "failed to connect", "fail connecting", "retry timeout")
_MEANINGS = {
    "auth check failure": f"the token was not accepted, or none was given; set {TOKEN}",
    "authenticat": f"the token was not accepted, or none was given; set {TOKEN}",
    "permission": "permission is missing; docs/stores-milvus.md says what the user needs",
    "privilege": "permission is missing; docs/stores-milvus.md says what the user needs",
    "database not found": "there is no such database; create it first",
    "max length": "a value is longer than Milvus takes: 65,535 bytes for a text, and for all fields without a schema",
    "memory quota": "its memory is full, and nothing was written; make room and try again",
    "opened by another": "another process has the file open, and Milvus Lite serves one; run a server for several",
}
"""What is found in the messages of a server, in lower case."""


def named(url: str, error: Exception) -> RevectorError:
    """Return what an error of the client means to a user.

    Parameters
    ----------
    url : str
        Of the server or file, without secrets.
    error : exception
        Of the client.
    """
    said = _said(error)
    if meaning := next((meaning for part, meaning in _MEANINGS.items() if part in said.lower()), ""):
        return StoreError(f"{url}: {meaning} ({said})")
    code = getattr(error, "code", 0)
    away = _AWAY.get(getattr(code, "name", code), "")  # the client puts a status of gRPC where a number is otherwise
    if away and (code != 1 or any(part in said.lower() for part in _NOT_READY)):  # Lite gives many errors the code 1
        return StoreUnavailableError(f"{url}: {away} ({said})")
    if code in _BUSY_CODES:
        return StoreBusyError(f"{url}: the server takes no more for now; try again ({said})", waited_seconds=0.0)
    return StoreError(f"{url}: {said}")


def _said(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
