"""What every encoder asks of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from revector.encoders.base import Kind
from revector.errors import InvalidArgumentError

__all__ = ["listed_texts", "require_kind"]


def listed_texts(texts: Sequence[str]) -> list[str]:
    """Return texts as a list; raise `InvalidArgumentError` unless they are a sequence of str."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        kind = type(texts).__name__
        raise InvalidArgumentError(f"texts is {kind}, expected a sequence of str; a single text is written as [text]")
    listed = list(texts)
    if set(map(type, listed)) <= {str}:  # far faster than a loop
        return listed
    for i, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"texts[{i}] is {type(text).__name__}, expected str")
    return listed


def require_kind(kind: Kind) -> None:
    """Raise `InvalidArgumentError` unless `kind` is one."""
    if kind not in ("document", "query"):
        raise InvalidArgumentError(f"kind is {kind!r}, expected 'document' or 'query'")
