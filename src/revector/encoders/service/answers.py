"""What the answer of an OpenAI-compatible ``/embeddings`` endpoint must hold to be believed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.errors import PortableError, ServiceError

__all__ = [
    "Answer",
    "NotJsonError",
    "RefusalInAnswerError",
    "answer_of",
    "is_used_up",
    "read_answer",
    "read_fields",
    "tokens_charged",
]

# What services that put an error into a successful answer call it, beside a status.
_USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_STATUS_OF_WORDS = (
    (re.compile(r"rate.?limit|too.?many.?requests|throttl", re.IGNORECASE), 429),
    (re.compile(r"invalid.?request|bad.?request|context.?length", re.IGNORECASE), 400),
)


class NotJsonError(PortableError):
    """The body of an answer is not JSON: cut off, or a page of something in between."""


class RefusalInAnswerError(PortableError):
    """A successful answer holds an error; `status` is what should have been its status, 200 if it does not say."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an error with status 200, which stands for {status}")
        self.status = status


@dataclass(frozen=True)
class Answer:
    """The rows of a request in the order of its texts, and what the service says of tokens and model.

    Attributes
    ----------
    rows : ndarray of float32, shape (number of texts, dimension)
        May hold NaN or infinity: that is one text's fault, and not the answer's.
    tokens : int or None
        ``None`` if the service does not say, or says what cannot be.
    model : str or None
        ``None`` if the service does not say.
    """

    rows: NDArray[np.float32]
    tokens: int | None
    model: str | None


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
    RefusalInAnswerError
        It is an error.
    ServiceError
        It is JSON, and cannot be the answer to what was asked.
    """
    return answer_of(read_fields(body, "data"), n_texts=n_texts, dimension=dimension)


def answer_of(fields: dict[str, Any], *, n_texts: int, dimension: int | None) -> Answer:
    """Return the answer that an object is; raise `ServiceError` if it is not one. See `read_answer`."""
    data = fields.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ServiceError("expected an object with a list 'data' of objects")
    rows = [_row(item.get("embedding")) for item in _in_order(data, n_texts)]
    lengths = sorted({len(row) for row in rows} | ({dimension} if dimension is not None else set()))
    if len(lengths) != 1 or lengths[0] < 1:
        expected = "one length" if dimension is None else f"{dimension} numbers each"
        raise ServiceError(f"rows have {_listed(sorted({len(row) for row in rows}))} numbers, expected {expected}")
    model = fields.get("model")
    return Answer(np.stack(rows), tokens_charged(fields, least=n_texts), model if isinstance(model, str) else None)


def read_fields(body: bytes, wanted: str) -> dict[str, Any]:
    """Read the object that an answer is, which may or may not have the field that is wanted.

    Raises
    ------
    NotJsonError
        The body is not JSON.
    RefusalInAnswerError
        It is an error, and has nothing of what is wanted.
    """
    fields = _parsed(body)
    if not isinstance(fields, dict):
        return {}
    if not fields.get(wanted) and _says_error(fields):
        raise RefusalInAnswerError(_status(fields))
    return fields


def tokens_charged(fields: dict[str, Any], *, least: int) -> int | None:
    """Return the tokens that an answer says it was charged; ``None`` if it does not say, or says less than can be.

    No text is less than a token: a service that says so does not count, and a budget must not believe it.
    """
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    tokens = usage.get("total_tokens", usage.get("prompt_tokens"))
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= least else None


def is_used_up(body: bytes) -> bool:
    """Whether an error says that a quota is used up: it comes like a limit, and no waiting helps."""
    try:
        error = json.loads(body)["error"]
        return not _USED_UP.isdisjoint({str(error.get("code")), str(error.get("type"))})
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return False


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise NotJsonError(str(error)) from error


def _says_error(fields: dict[str, Any]) -> bool:
    return bool(fields.get("error") or fields.get("errors")) or fields.get("object") == "error"


def _status(fields: dict[str, Any]) -> int:
    """Return the status that an error stands for, from its number, or else from its words."""
    error = fields.get("error") or fields.get("errors") or fields
    if isinstance(error, list):
        error = error[0]
    if isinstance(error, dict):
        for name in ("code", "status", "status_code"):
            number = str(error.get(name))
            if len(number) == 3 and number.isdecimal() and "400" <= number < "600":
                return int(number)
    words = json.dumps(error)
    return next((status for pattern, status in _STATUS_OF_WORDS if pattern.search(words)), 200)


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
        if isinstance(embedding, list) and all(type(number) in (int, float) for number in embedding):
            with np.errstate(over="ignore"):  # what does not fit becomes infinity, and is found as such
                return np.array(embedding, dtype=np.float64).astype(np.float32)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ServiceError(f"an embedding cannot be read: {error}") from error
    raise ServiceError(f"an embedding is {type(embedding).__name__}, expected numbers or base64")


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, values[:8]))
    return shown + (", …" if len(values) > 8 else "") if values else "no"
