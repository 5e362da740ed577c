"""What every encoder asks of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from revector._arguments import strings
from revector.encoders.base import Kind
from revector.errors import EncoderError, InvalidArgumentError

__all__ = ["invalid_text", "listed_texts", "numbered", "require_kind", "unicode_error"]


def listed_texts(texts: Sequence[str]) -> list[str]:
    """Return texts as a list; raise `InvalidArgumentError` unless they are a sequence of str."""
    return strings(texts, "texts")


def require_kind(kind: Kind) -> None:
    """Raise `InvalidArgumentError` unless `kind` is one."""
    if kind not in ("document", "query"):
        raise InvalidArgumentError(f"kind is {kind!r}, expected 'document' or 'query'")


def numbered(texts: Iterable[str], first: int = 0) -> Iterator[tuple[str, str]]:
    """Yield texts with the names they have in errors; ``first`` is the number of the first one."""
    return ((f"text {i}", text) for i, text in enumerate(texts, first))


def invalid_text(named: Iterable[tuple[str, str]]) -> EncoderError:
    """Return the error that names the first text which is not valid Unicode, of texts behind their names."""
    for name, text in named:
        if error := unicode_error(text):
            return EncoderError(f"{name} is not valid Unicode ({error}); clean it first")
    return EncoderError("a text cannot be tokenised")


def unicode_error(text: str) -> UnicodeEncodeError | None:
    """Return why a text is not valid Unicode (it holds half of a surrogate pair); ``None`` if it is valid."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error
    return None
