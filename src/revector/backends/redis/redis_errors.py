"""What the errors of a Redis server mean, in words that say what to do."""

from __future__ import annotations

from typing import Any

from revector.backends.redis.places import PASSWORD
from revector.errors import ReadOnlyError, RevectorError, StoreError, StoreUnavailableError

__all__ = ["named"]

_REFUSED = "the password was not accepted, or none was given; set {}"
_MEANINGS = {
    "noauth": _REFUSED.format(PASSWORD),
    "authentication": _REFUSED.format(PASSWORD),
    "wrongpass": _REFUSED.format(PASSWORD),
    "invalid username": _REFUSED.format(PASSWORD),
    "noperm": "permission is missing; docs/stores-redis.md says what the user needs",
    "no permissions": "permission is missing; docs/stores-redis.md says what the user needs",
    "unknown command": "the server cannot search; load RediSearch 2.10 or newer, or take Redis 8",
    "oom command": "its memory is full, and nothing was written; raise maxmemory and try again",
    "out of memory": "its memory is full, and nothing was written; raise maxmemory and try again",
    "misconf": "it cannot write to its disk, and takes no writes; mend that and try again",
    "timeout limit": "the search took too long; try again, or search for fewer points",
}
"""What is found in the messages of a server, in lower case."""
_LOST = "the connection failed or was lost, or the server is starting; is it running, and can it be reached?"


def named(redis: Any, url: str, error: Exception) -> RevectorError:
    """Return what an error of the client means to a user.

    Parameters
    ----------
    redis : module
        The client's package.
    url : str
        Of the server, without secrets.
    error : exception
        Of the client.
    """
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    meaning = next((meaning for part, meaning in _MEANINGS.items() if part in said.lower()), "")
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return ReadOnlyError(url, f"the server is a replica ({said})")
    if isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)) and not meaning:
        return StoreUnavailableError(f"{url}: {_LOST} ({said})")
    return StoreError(f"{url}: {meaning} ({said})" if meaning else f"{url}: {said}")
