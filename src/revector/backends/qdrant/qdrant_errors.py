"""What errors of Qdrant's client mean, said without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from revector._secrets import Secret, redacted
from revector.errors import StoreError, StoreUnavailableError

__all__ = ["named"]

_NOW_AND_THEN = (429, 502, 503, 504)
_MOST_CHARACTERS = 300
_REFUSED = {
    401: "the key is missing or wrong: set QDRANT_API_KEY",
    403: "the key does not allow it: set QDRANT_API_KEY to one that may write",
    404: "there is no such collection; look at the names of those that are there",
}
# Local mode raises Python's own: of a collection that is not there, of vectors of another length, of a folder in use.
_OF_CLIENT = (ApiException, QdrantException, ValueError, RuntimeError, KeyError, AssertionError, OSError)


@contextmanager
def named(url: str, secret: Secret | None) -> Iterator[None]:
    """Raise what the client raises as an error of ours.

    Raises
    ------
    StoreUnavailableError
        The server cannot be reached, or is too busy; nothing is known of what it did.
    StoreError
        It refuses.
    """
    try:
        yield
    except StoreError:
        raise
    except _OF_CLIENT as error:
        said = redacted(_said(error), [] if secret is None else [secret])[:_MOST_CHARACTERS]
        if isinstance(error, ResponseHandlingException) or _status(error) in _NOW_AND_THEN:
            raise StoreUnavailableError(f"{url} cannot be reached, or is busy ({said}); try again") from None
        meaning = _REFUSED.get(_status(error), "")
        raise StoreError(f"{url} refused: {said}{'; ' * bool(meaning)}{meaning}") from None


def _status(error: BaseException) -> int:
    return int(error.status_code or 0) if isinstance(error, UnexpectedResponse) else 0


def _said(error: BaseException) -> str:
    """Return what an error says in one line."""
    source = error.source if isinstance(error, ResponseHandlingException) else error
    return " ".join(f"{type(source).__name__}: {source}".split())
