"""Topics of TREC: queries as ``id<TAB>text``, or in the classic form with ``<top>``, ``<num>`` and ``<title>``."""

from __future__ import annotations

import os
import re

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.formats.lines import BOM, read_lines

__all__ = ["read_topics"]

_TOPIC = re.compile(r"<top>(.*?)(?:</top>|(?=<top>)|\Z)", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]*)", re.IGNORECASE)


def read_topics(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read topics as id to text; of classic ones the text is the title.

    Raises
    ------
    InvalidArgumentError
        A topic has no id or no text, or an id occurs twice; the message names file and line.
    """
    lines = [(where, text.removeprefix(BOM)) for where, text in read_lines(path) if text.strip()]
    is_classic = any("<top>" in text.lower() for _, text in lines)
    topics: dict[str, str] = {}
    for where, key, text in _classic(path, lines) if is_classic else _plain(lines):
        if not key or not text:
            raise InvalidArgumentError(f"{where}: a topic without {'a text' if key else 'an id'}")
        if key in topics:
            raise InvalidArgumentError(f"{where}: topic {shown(key)} occurs twice; ids are unique in one file")
        topics[key] = text
    if not topics:
        raise InvalidArgumentError(f"{os.fspath(path)} is empty; expected topics of TREC")
    return topics


def _plain(lines: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    found = []
    for where, line in lines:
        key, tab, text = line.partition("\t")
        if not tab:
            raise InvalidArgumentError(f"{where}: {shown(line.strip())} has no tab; expected a topic's id, tab, text")
        found.append((where, key.strip(), text.strip()))
    return found


def _classic(path: str | os.PathLike[str], lines: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    whole = "".join(text for _, text in lines)
    parts = [(_NUMBER.search(topic[1]), _TITLE.search(topic[1])) for topic in _TOPIC.finditer(whole)]
    return [
        (f"{os.fspath(path)}, topic {place}", number[1] if number else "", " ".join(title[1].split()) if title else "")
        for place, (number, title) in enumerate(parts, 1)
    ]
