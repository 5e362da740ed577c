"""Values that must not be seen: API keys, and what else is sent as a header."""

from __future__ import annotations

import base64
import binascii
import hmac
import html.entities
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, SupportsIndex

from revector.errors import InvalidArgumentError

__all__ = ["Secret", "redacted"]

HIDDEN = "[secret]"
_LEAST_CHARACTERS = 4  # shorter values ("1", "v2") are not secrets, and would blot out half of a message
_LEAST_BASE64 = 8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BYTE_ORDER_MARK = "\ufeff"


class Secret:
    """A text that nothing shows: neither printing, formatting, logging, pickling nor a traceback with its locals.

    Parameters
    ----------
    value : str, or Secret
        White space around it, as at the end of a file, is not part of it.
    name : str
        What errors call it.

    Raises
    ------
    InvalidArgumentError
        It cannot be sent as the value of a header. The message does not repeat it.
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, value: str | Secret, *, name: str) -> None:
        problem = None if isinstance(value, Secret) else _problem(value)
        if problem:
            del value  # or a traceback with its locals would show it
            raise InvalidArgumentError(f"{name} {problem}")
        kept = value.reveal() if isinstance(value, Secret) else _stripped(value)
        self._reveal = lambda: kept  # in no attribute, so that nothing that walks through objects comes by it

    def reveal(self) -> str:
        """Return the text. For the one place that sends it."""
        return self._reveal()

    def hide_in(self, text: str) -> str:
        """Return a text without this one, in whatever way it is written there."""
        return re.sub("|".join(_patterns(self._reveal())) or r"(?!)", HIDDEN, text, flags=re.IGNORECASE)

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._reveal().encode(), other._reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would tell secrets apart

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise InvalidArgumentError("a secret is not pickled, for that would write it down")


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without any of some secrets."""
    for secret in secrets:
        text = secret.hide_in(text)
    return text


def _stripped(value: str) -> str:
    return str(value).strip().strip(_BYTE_ORDER_MARK).strip()


def _problem(value: object) -> str | None:
    """Return why a value cannot be sent, without repeating it."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, expected str"
    sent = _stripped(value)
    if not sent:
        return "holds nothing but white space" if value else "is empty"
    if _CONTROL.search(sent):
        return "holds a line break or another control character, which cannot be sent in a header"
    if not all(ord(character) < 256 for character in sent):
        return "holds a character that cannot be sent in a header (beyond Latin-1)"
    return None


def _patterns(value: str) -> Iterator[str]:
    """Yield patterns of all the ways to write a header's value, or the part of it that counts."""
    for part in sorted(_parts(value), key=len, reverse=True):
        yield "".join(map(_spelled, part))
        for written in (*_base64(part.encode()), part.encode().hex()):
            yield "".join(map(_spelled, written))


def _parts(value: str) -> set[str]:
    """Return a value, what follows its scheme (``Bearer …``), and the password that ``Basic …`` holds."""
    _, _, credentials = value.partition(" ")
    parts = {value, credentials}
    if value[:6].lower() == "basic ":
        try:
            pair = base64.b64decode(credentials, validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            pair = ""
        parts |= {pair, pair.partition(":")[2]}
    return {part for part in parts if len(part) >= _LEAST_CHARACTERS}


def _spelled(character: str) -> str:
    """Return a pattern of a character as Python, JSON, URLs and HTML write it, escaped a few times over.

    Repetitions are bounded, so that no answer makes the search slow.
    """
    code = ord(character)
    plain = re.escape(character)
    forms = [
        plain if character.isalnum() else rf"\\{{0,8}}{plain}",
        rf"%(?:25){{0,4}}{code:02x}",
        rf"\\{{1,8}}(?:x|u00){code:02x}",
        rf"&(?:amp;){{0,4}}#(?:0{{0,4}}{code}|x0{{0,4}}{code:x});",
    ]
    if code in html.entities.codepoint2name:
        forms.append(rf"&(?:amp;){{0,4}}{html.entities.codepoint2name[code]};")
    if character == "'":
        forms.append("&(?:amp;){0,4}apos;")
    if character == " ":
        forms.append(r"\+|\s{1,8}")
    if code > 127:  # in UTF-8, or in an encoding that was mistaken for another
        forms.append(r"[^\x00-\x7f]{1,4}|(?:\\{1,8}x[0-9a-f]{2}){2}|(?:%(?:25){0,4}[0-9a-f]{2}){2}")
    return f"(?:{'|'.join(forms)})"


def _base64(value: bytes) -> Iterator[str]:
    """Yield what base64 makes of bytes, in whatever place of a longer text they stand."""
    for before in range(3):
        written = base64.b64encode(bytes(before) + value).decode()
        own = written[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
        if len(own) >= _LEAST_BASE64:
            yield own
            yield own.replace("+", "-").replace("/", "_")
