"""A judged collection out of the documentation of the user's own Python.

Each docstring of the standard library and of the installed packages is split in two: its first sentence becomes a
query, the rest becomes the document that answers it. Sources are parsed, never imported, and nothing is downloaded.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from revector.errors import InvalidArgumentError
from revector.formats.judgements import Corpus, fold_whitespace

SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "_vendor", "vendor", "idlelib", "lib2to3", "site-packages", "dist-packages", "turtledemo"}
)
SIGNATURE = re.compile(r"[\w.]+\(.*\)(\s*->.*)?")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`'\"*(\[])|:{1,2}(?=\s|$)")
MIN_DOCUMENT_CHARACTERS = 120
MAX_DOCUMENT_CHARACTERS = 500
"""The beginning of a text says what it is about, and two cores embed twice as many of this length."""
MIN_QUERY_WORDS = 4
MAX_QUERY_CHARACTERS = 200


@dataclass(frozen=True)
class Docstring:
    """One documented module, class or function: where it is, its first sentence and the rest."""

    id: str
    summary: str
    rest: str


def python_corpus(*, n_documents: int = 3_000, n_queries: int = 500, roots: Iterable[Path] | None = None) -> Corpus:
    """Build the collection of docstrings.

    Parameters
    ----------
    n_documents : int
        Documents wanted at most; source files are read in a fixed random order until there are enough.
    n_queries : int
        Queries wanted at most, drawn without replacement with a fixed seed; each has one judged document.
    roots : iterable of Path, optional
        Folders of importable source; by default those of the running interpreter (`source_roots`).

    Returns
    -------
    Corpus
        The same for the same interpreter and packages.

    Raises
    ------
    InvalidArgumentError
        The roots hold too little documentation to judge anything.
    """
    entries = _without_duplicates(_harvest(source_roots() if roots is None else roots), n_documents)
    counts = Counter(entry.summary.lower() for entry in entries)
    askable = [entry for entry in entries if counts[entry.summary.lower()] == 1 and _can_be_asked(entry.summary)]
    if not askable:
        raise InvalidArgumentError(
            "no documented Python source was found to make a collection of; give a docs/queries/qrels folder instead"
        )
    drawn = np.random.default_rng(0).permutation(len(askable))[:n_queries]
    asked = [askable[i] for i in sorted(drawn.tolist())]
    return Corpus(
        name=f"documentation of Python {sys.version.split()[0]} and its packages",
        documents={entry.id: entry.rest for entry in entries},
        queries={f"q:{entry.id}": entry.summary for entry in asked},
        qrels={f"q:{entry.id}": {entry.id: 1} for entry in asked},
    )


def source_roots() -> list[Path]:
    """Folders with the source of the standard library and of the installed packages, in import order."""
    paths = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    return list(dict.fromkeys(Path(path).resolve() for path in paths if path and Path(path).is_dir()))


def _harvest(roots: Iterable[Path]) -> Iterator[Docstring]:
    """Yield the docstrings of every module below the roots, modules in a fixed random order."""
    modules = {name: path for root in roots for name, path in _modules(root)}
    for name in sorted(modules, key=lambda name: hashlib.sha256(name.encode()).digest()):
        yield from _docstrings(name, modules[name])


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield (dotted name, file) of the modules below a root, without tests and vendored copies."""
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if _is_package_folder(name)]
        for file in files:
            path = Path(folder, file)
            if path.suffix == ".py" and not _is_test(path.stem):
                parts = path.relative_to(root).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _is_package_folder(name: str) -> bool:
    return name.isidentifier() and name not in SKIPPED_FOLDERS and not _is_test(name)


def _is_test(name: str) -> bool:
    return name in {"test", "tests", "testing", "conftest"} or name.startswith("test_") or name.endswith("_test")


def _docstrings(module: str, path: Path) -> Iterator[Docstring]:
    """Yield the usable docstrings of one source file; a file that is not valid Python has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code are not our user's concern
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    stack: list[tuple[str, ast.AST]] = [(module, tree)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            entry = _split(name, ast.get_docstring(node, clean=False))
            if entry is not None:
                yield entry
        stack.extend(
            (f"{name}.{child.name}", child)
            for child in reversed(getattr(node, "body", []))
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        )


def _split(name: str, docstring: str | None) -> Docstring | None:
    """Split a docstring into its first sentence and the rest; ``None`` where one of them is missing."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring or ""))
    if SIGNATURE.fullmatch(fold_whitespace(paragraphs[0])):  # C-style documentation opens with the signature
        paragraphs = paragraphs[1:]
    if not paragraphs:
        return None
    summary, *rest = SENTENCE_END.split(fold_whitespace(paragraphs[0]), maxsplit=1)
    text = fold_whitespace(" ".join([*rest, *paragraphs[1:]]))
    if len(text) < MIN_DOCUMENT_CHARACTERS or not summary:
        return None
    return Docstring(name, summary, _shorten(text))


def _shorten(text: str) -> str:
    """Keep whole words up to `MAX_DOCUMENT_CHARACTERS`."""
    if len(text) <= MAX_DOCUMENT_CHARACTERS:
        return text
    return text[: MAX_DOCUMENT_CHARACTERS + 1].rsplit(" ", 1)[0]


def _can_be_asked(summary: str) -> bool:
    return len(summary.split()) >= MIN_QUERY_WORDS and len(summary) <= MAX_QUERY_CHARACTERS


def _without_duplicates(entries: Iterable[Docstring], n_documents: int) -> list[Docstring]:
    """Keep the first of equal ids and of equal documents, `n_documents` at most, sorted by id."""
    kept: dict[str, Docstring] = {}
    texts: set[str] = set()
    for entry in entries:
        if entry.id not in kept and entry.rest.lower() not in texts:
            texts.add(entry.rest.lower())
            kept[entry.id] = entry
        if len(kept) == n_documents:
            break
    return [kept[key] for key in sorted(kept)]
