"""The code on a page of docs, by the word that follows its language: tests run what a page shows."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```\w+ ([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(page):
    """Return the named blocks of a page, in their order."""
    found = _BLOCK.findall((_DOCS / page).read_text(encoding="utf-8"))
    named = dict(found)
    assert len(named) == len(found), f"{page} gives two blocks the same name"
    return named
