"""Errors as OpenAI's clients understand them: a status, and one JSON object."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from revector.errors import (
    EncoderError,
    InvalidArgumentError,
    NumericalError,
    RateLimitedError,
    ReadOnlyError,
    RefusedDocumentsError,
    RefusedTextsError,
    RevectorError,
    ServiceError,
    ShapeError,
    SpaceMismatchError,
    SpendCapError,
    StoreBusyError,
    StoreUnavailableError,
    UnknownDocumentError,
)

__all__ = ["RequestError", "TooBusyError", "answer_to"]

_log = logging.getLogger(__name__)


class RequestError(RevectorError):
    """A request that is refused, as HTTP says it.

    Attributes
    ----------
    status : int
        Of the answer.
    code : str
        What a program can react to.
    param : str or None
        The field that is wrong.
    """

    def __init__(
        self, message: str, *, status: int = 400, code: str = "invalid_request", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class TooBusyError(RequestError):
    """So much waits already that no more is taken.

    Attributes
    ----------
    retry_after_seconds : float
        When it is worth another try.
    """

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message, status=429, code="too_busy")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class _Kind:
    """How errors of a type are answered; the first one that fits an error counts."""

    of: type[BaseException] | tuple[type[BaseException], ...]
    status: int
    code: str


_RETRY_SECONDS = 1.0
_RETRIED = (429, 503)
_KINDS = (
    _Kind(UnknownDocumentError, 404, "unknown_document"),
    _Kind((RefusedTextsError, RefusedDocumentsError), 422, "refused_by_the_model"),
    _Kind(ReadOnlyError, 403, "read_only"),
    _Kind((StoreBusyError, StoreUnavailableError), 503, "store_unavailable"),
    _Kind(SpendCapError, 429, "insufficient_quota"),
    _Kind(RateLimitedError, 429, "rate_limit_exceeded"),
    _Kind(ServiceError, 502, "model_service_failed"),
    _Kind(EncoderError, 503, "model_unavailable"),
    _Kind((InvalidArgumentError, SpaceMismatchError, ShapeError, NumericalError), 400, "invalid_request"),
)
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def answer_to(error: Exception) -> Response:
    """Return the answer to a request that failed.

    What is wrong with the request is said in full. What is wrong behind it goes to the log: it may name files and
    hosts that are nothing to a client.
    """
    if isinstance(error, RequestError):
        return _answer(error.status, error.code, str(error), error.param, retry=_pause(error))
    kind = next((each for each in _KINDS if isinstance(error, each.of)), _Kind(Exception, 500, "internal_error"))
    if kind.status < 500:
        return _answer(kind.status, kind.code, str(error), retry=_pause(error))
    _log.error("a request failed: %s: %s", type(error).__name__, error, exc_info=None if _is_ours(error) else error)
    said = f"the gateway cannot answer just now ({type(error).__name__}); its log says why"
    return _answer(kind.status, kind.code, said, retry=_RETRY_SECONDS)


def _answer(status: int, code: str, message: str, param: str | None = None, *, retry: float) -> Response:
    type_ = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    headers = {"Retry-After": str(max(1, math.ceil(retry)))} if status in _RETRIED else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    error = {"message": message, "type": type_, "param": param, "code": code}
    return JSONResponse({"error": error}, status, headers)


def _pause(error: Exception) -> float:
    return getattr(error, "retry_after_seconds", None) or _RETRY_SECONDS


def _is_ours(error: Exception) -> bool:
    return isinstance(error, RevectorError)
