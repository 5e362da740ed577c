"""Judged collections: documents, queries, and which documents answer which query.

`load_corpus` reads a folder in the layout of BEIR (``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``) or the flat
one (``docs.jsonl``, ``queries.jsonl``, ``qrels.tsv``); `write_corpus` writes the flat one. Texts may be tables instead
(``.csv``, ``.tsv``), judgements ``qrels.csv`` or TREC's ``qrels.txt``, and every file may be packed (``.gz``).
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.formats.lines import BOM, read_lines
from revector.formats.rows import read_texts
from revector.formats.tables import DELIMITERS

__all__ = [
    "Corpus",
    "fold_whitespace",
    "load_corpus",
    "load_judged_queries",
    "read_qrels",
    "write_corpus",
]

QRELS_HEADER = frozenset({"query-id", "query_id", "qid", "query"})

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_RUN_COLUMNS = 6


@dataclass(frozen=True)
class Corpus:
    """A judged collection.

    Parameters
    ----------
    name : str
        Shown to people.
    documents, queries : dict of str to str
        Id to text.
    qrels : dict of str to dict of str to int
        Query id to document id to grade; a grade above zero is relevant.
    """

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def fold_whitespace(text: str) -> str:
    """Replace each run of white space by one space, and drop it at both ends."""
    return " ".join(text.split())


def load_corpus(folder: str | Path) -> Corpus:
    """Read a docs/queries/qrels folder.

    Queries without a judgement are left out: they cannot be scored.

    Raises
    ------
    InvalidArgumentError
        A file is missing, a line cannot be read (the message names file and line), or a judgement names an unknown
        document or query.
    """
    root = Path(folder)
    documents = read_texts(_texts_file(root, "docs.jsonl", "corpus.jsonl"))
    queries, qrels = load_judged_queries(root)
    _require_known(_qrels_file(root), "document", {doc for grades in qrels.values() for doc in grades}, documents)
    return Corpus(root.resolve().name, documents, queries, qrels)


def load_judged_queries(folder: str | Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Read queries and judgements of a folder, without its documents; see `load_corpus`."""
    root = Path(folder)
    queries = read_texts(_texts_file(root, "queries.jsonl"))
    judgements = _qrels_file(root)
    qrels = read_qrels(judgements)
    _require_known(judgements, "query", qrels, queries)
    if not any(grade > 0 for grades in qrels.values() for grade in grades.values()):
        raise InvalidArgumentError(f"{judgements} has no judgement with a grade above zero; nothing can be scored")
    return {key: queries[key] for key in qrels}, qrels


def write_corpus(corpus: Corpus, folder: str | Path) -> Path:
    """Write a collection as ``docs.jsonl``, ``queries.jsonl`` and ``qrels.tsv``; return the folder."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    for file, texts in (("docs.jsonl", corpus.documents), ("queries.jsonl", corpus.queries)):
        with (root / file).open("w", encoding="utf-8") as out:
            out.writelines(json.dumps({"id": key, "text": text}) + "\n" for key, text in texts.items())
    with (root / "qrels.tsv").open("w", encoding="utf-8") as out:
        out.writelines(f"{query}\t{doc}\t{n}\n" for query, row in corpus.qrels.items() for doc, n in row.items())
    return root


def read_qrels(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """Read judgements: query, document, grade (BEIR), or TREC's four columns; a header line is skipped.

    Columns stand between tabs, or else white space; in a file named ``.csv`` between commas.

    Raises
    ------
    InvalidArgumentError
        A line is not a judgement, or a document is judged twice, differently; the message names file and line.
    """
    qrels: dict[str, dict[str, int]] = {}
    lines = ((where, text) for where, text in read_lines(path) if text.strip())
    for number, (where, text) in enumerate(lines):
        cells = _cells(where, text, path)
        if number == 0 and cells[0].lower() in QRELS_HEADER and not _INTEGER.fullmatch(cells[-1]):
            continue
        query, document, grade = _judgement(where, cells)
        if qrels.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InvalidArgumentError(
                f"{where}: query {shown(query)} grades document {shown(document)} twice, "
                f"{qrels[query][document]} and {grade}; leave one of them out"
            )
    return qrels


def _cells(where: str, text: str, path: str | os.PathLike[str]) -> list[str]:
    line = text.removeprefix(BOM).strip("\r\n")
    if os.fspath(path).removesuffix(".gz").lower().endswith(".csv"):
        try:
            return [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error as error:
            raise InvalidArgumentError(f"{where}: not a row of a table ({error}); is a quote missing?") from error
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _judgement(where: str, cells: list[str]) -> tuple[str, str, int]:
    if len(cells) == _RUN_COLUMNS:
        raise InvalidArgumentError(f"{where}: six columns are a run of TREC; expected query, document, grade")
    if len(cells) not in (3, 4):
        raise InvalidArgumentError(f"{where}: {len(cells)} columns, expected query, document, grade")
    query, document, grade = cells[0], cells[-2], cells[-1]
    if not query or not document:
        raise InvalidArgumentError(f"{where}: the id of the {'document' if query else 'query'} is empty")
    if not _INTEGER.fullmatch(grade):
        raise InvalidArgumentError(
            f"{where}: query {shown(query)}, document {shown(document)}: grade {shown(grade)}, "
            "expected an integer of at most nine digits"
        )
    return query, document, int(grade)


def _qrels_file(root: Path) -> Path:
    return _first_file(root, "qrels.tsv", "qrels/test.tsv", also=("qrels.csv", "qrels.txt"))


def _texts_file(root: Path, *names: str) -> Path:
    return _first_file(root, *names, also=[f"{Path(name).stem}{suffix}" for name in names for suffix in DELIMITERS])


def _first_file(root: Path, *names: str, also: Iterable[str] = ()) -> Path:
    """Return the first file that is there, packed or not."""
    for name in [*names, *also]:
        for file in (root / name, root / f"{name}.gz"):
            if file.exists() and not file.is_dir():
                return file
    raise InvalidArgumentError(f"{root} has no {' or '.join(names)}; expected a docs/queries/qrels folder")


def _require_known(path: Path, what: str, judged: dict[str, dict[str, int]] | set[str], known: dict[str, str]) -> None:
    unknown = sorted(set(judged) - set(known))
    if unknown:
        raise InvalidArgumentError(
            f"{path} judges {len(unknown)} unknown {what} id(s), the first is {unknown[0]!r}; "
            f"ids must be those of the {what} file"
        )
