"""What a service says of a batch job, and the lines of the file that answers it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from revector.encoders.batching import BatchState, LineAnswer
from revector.encoders.service.answers import answer_of, read_fields, tokens_charged
from revector.encoders.service.asking import unit_rows
from revector.errors import ServiceError

__all__ = ["HANDLE", "Said", "read_batch", "read_batches", "read_id", "read_line"]

HANDLE = "revector"
"""The key of our name for a job among its metadata."""
_TOO_MUCH = "token_limit_exceeded"

T = TypeVar("T")


@dataclass(frozen=True)
class Said(Generic[T]):
    """What an answer was read as. To ask costs no tokens."""

    value: T
    tokens: int | None = 0


def read_id(body: bytes) -> Said[str]:
    """Read what the service calls a file; errors as for `revector.encoders.service.answers.read_answer`."""
    return Said(_name(read_fields(body, "id"), "id"))


def read_batch(body: bytes) -> Said[BatchState]:
    """Read a job; errors as for `revector.encoders.service.answers.read_answer`."""
    return Said(_state(read_fields(body, "id")))


def read_batches(body: bytes) -> Said[tuple[list[BatchState], str | None]]:
    """Read a page of the list of jobs, and what the next page begins after; ``None`` if it is the last one."""
    fields = read_fields(body, "data")
    data = fields.get("data")
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise ServiceError("expected an object with a list 'data' of objects")
    found = [_state(each) for each in data]
    return Said((found, found[-1].id if found and fields.get("has_more") is True else None))


def read_line(line: bytes, *, dimension: int, require_model: Callable[[str | None], None]) -> LineAnswer | None:
    """Read a line of a file of answers or errors; ``None`` if it is none, as where the file was cut off.

    Parameters
    ----------
    line : bytes
    dimension : int
        Of the model.
    require_model : callable
        Raises `ServiceError` if the answer is of another model.
    """
    try:
        said = json.loads(line)
        name = said["custom_id"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(name, str):
        return None
    response = said.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(body, dict) or response.get("status_code") != 200:
        return LineAnswer(name, None, 0, _reason(said.get("error") or body or response))
    tokens = tokens_charged(body, least=1)
    try:
        answer = answer_of(body, n_texts=1, dimension=dimension)
        require_model(answer.model)
    except ServiceError as error:
        return LineAnswer(name, None, tokens, str(error))
    if not np.isfinite(answer.rows).all():
        return LineAnswer(name, None, tokens, "the service returned NaN or infinity")
    return LineAnswer(name, unit_rows(answer.rows)[0], tokens)


def _state(fields: dict[str, Any]) -> BatchState:
    counts, metadata, usage = (_object(fields.get(name)) for name in ("request_counts", "metadata", "usage"))
    errors = _object(fields.get("errors")).get("data")
    files = (fields.get(name) for name in ("output_file_id", "error_file_id"))
    charged = {"usage": {"total_tokens": usage.get("total_tokens")}}
    return BatchState(
        id=_name(fields, "id"),
        status=_name(fields, "status"),
        handle=str(metadata.get(HANDLE) or ""),
        requests=_count(counts, "total"),
        completed=_count(counts, "completed"),
        failed=_count(counts, "failed"),
        files=tuple(name for name in files if isinstance(name, str) and name),
        tokens=tokens_charged(charged, least=max(1, _count(counts, "completed"))),
        error="" if not errors else _reason(errors),
        is_too_much=_TOO_MUCH in json.dumps(errors),
    )


def _name(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ServiceError(f"expected an object with a text {name!r}")
    return value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _reason(error: Any) -> str:
    """Return the words of an error, in whatever way it is wrapped."""
    while isinstance(error, (dict, list)) and error:
        inner = error[0] if isinstance(error, list) else error.get("error") or error.get("message") or error.get("code")
        if inner is None:
            break
        error = inner
    return error if isinstance(error, str) and error else f"the service gave no answer: {json.dumps(error)}"
