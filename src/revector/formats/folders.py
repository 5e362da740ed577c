"""A folder of text files as documents: one a file, its path inside the folder is the id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from revector.errors import InvalidArgumentError
from revector.formats.lines import read_lines

__all__ = ["SUFFIXES", "is_folder", "parse_folder"]

SUFFIXES = (".txt", ".md", ".rst", ".text")
"""What is read, packed with gzip (``.txt.gz``) or not; everything else is passed over, and so is what is hidden."""


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of that name."""
    try:
        return bool(os.fspath(path)) and Path(path).is_dir()
    except ValueError:  # a name with a NUL
        return False


def parse_folder(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, row) for each text file in a folder and those inside it, in the order of their paths.

    Raises
    ------
    InvalidArgumentError
        There is none, or one is not UTF-8 text.
    """
    root, found = Path(path), False
    for file in _files(root):
        found = True
        text = "".join(line.text for line in read_lines(file))
        yield str(file), {"id": file.relative_to(root).as_posix(), "text": text}
    if not found:
        raise InvalidArgumentError(f"{root} has no text files ({', '.join(SUFFIXES)}); name a file, or another folder")


def _files(root: Path) -> Iterator[Path]:
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if _is_text(name))


def _is_text(name: str) -> bool:
    return not name.startswith(".") and PurePath(name.removesuffix(".gz")).suffix.lower() in SUFFIXES
