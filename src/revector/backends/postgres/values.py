"""What PostgreSQL holds of what documents are made of, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence

from revector._arguments import shown
from revector.backends.contracts import NewDocument
from revector.errors import InvalidArgumentError

LONGEST_ID = 2692
"""Bytes of UTF-8: a row of an index is at most a third of a page, less its header."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # not after a backslash that is itself escaped
_LARGE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[\d.]+e\+\d+')  # strings, and numbers that Python writes with an exponent


def require_storable(new: NewDocument) -> None:
    """Raise `InvalidArgumentError` if PostgreSQL cannot hold a document.

    It holds no NUL, neither in texts nor in jsonb, and finds no ids that are longer than `LONGEST_ID`.
    """
    if 4 * len(new.id) > LONGEST_ID and (size := len(new.id.encode())) > LONGEST_ID:
        raise InvalidArgumentError(
            f"the id {shown(new.id)} has {size:,} bytes of UTF-8, and PostgreSQL finds ids of at most {LONGEST_ID:,}; "
            "give it a shorter one, such as its hash"
        )
    if "\0" in new.text:
        raise _nul(f"the text of {new.id!r}", f" as character {new.text.index(chr(0)):,}")
    if new.metadata_json is not None and "\\u0000" in new.metadata_json and _NUL.search(new.metadata_json):
        raise _nul(f"the metadata of {new.id!r}")


def known_ids(ids: Sequence[str]) -> list[str]:
    """Return those of some ids that a document may have, as a parameter: no other ones can be sent."""
    return [id_ for id_ in ids if "\0" not in id_]


def exact_json(text: str) -> str:
    """Return JSON that Python wrote with every number in full: 1e+23 is 99999999999999991611392.0.

    jsonb would take it for the integer 10 ** 23, which is another number, and no float when it comes back. All numbers
    come back as they were, but that -0.0 comes back as 0.0.
    """
    return _LARGE.sub(_in_full, text) if "e+" in text else text


def _in_full(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else f"{float(found[0]):.1f}"


def _nul(what: str, where: str = "") -> InvalidArgumentError:
    return InvalidArgumentError(f"{what} has a NUL (U+0000){where}, which PostgreSQL cannot hold; remove it first")
