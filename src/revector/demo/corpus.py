"""Judged collections: documents, queries, and which documents answer which query.

`load_corpus` reads a folder in the layout of BEIR (``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``) or the flat
one (``docs.jsonl``, ``queries.jsonl``, ``qrels.tsv``); `write_corpus` writes the flat one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revector.errors import InvalidArgumentError

QRELS_HEADER = frozenset({"query-id", "query_id", "qid", "query"})


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

    Queries without a judgement are left out: they can not be scored.

    Raises
    ------
    InvalidArgumentError
        A file is missing, a line can not be read (the message names file and line), or a judgement names an unknown
        document or query.
    """
    root = Path(folder)
    documents = read_texts(_first_file(root, "docs.jsonl", "corpus.jsonl"))
    queries, qrels = load_judged_queries(root)
    _require_known(_qrels_file(root), "document", {doc for grades in qrels.values() for doc in grades}, documents)
    return Corpus(root.resolve().name, documents, queries, qrels)


def load_judged_queries(folder: str | Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Read queries and judgements of a folder, without its documents; see `load_corpus`."""
    root = Path(folder)
    queries = read_texts(_first_file(root, "queries.jsonl"))
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


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("file:line", object) for each line that is not blank.

    Raises
    ------
    InvalidArgumentError
        A line is not a JSON object, or the file can not be read.
    """
    for where, line in _lines(path):
        yield where, parse_json_object(where, line)


def parse_json_object(where: str, line: str) -> dict[str, Any]:
    """Parse one line of JSON lines; `where` names it in the error."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(f"{where}: not JSON ({error}); expected one object a line") from error
    if not isinstance(row, dict):
        raise InvalidArgumentError(f"{where}: got a JSON {type(row).__name__}, expected an object")
    return row


def text_of_row(where: str, row: dict[str, Any]) -> tuple[str, str]:
    """Return id and text of a row: ``id`` or ``_id``; ``text``, after the ``title`` where there is one."""
    key = row.get("id", row.get("_id"))
    if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
        raise InvalidArgumentError(f"{where}: the row's 'id' (or '_id') is {key!r}, expected a string or an integer")
    title, text = row.get("title") or "", row.get("text")
    if not isinstance(text, str) or not isinstance(title, str):
        raise InvalidArgumentError(f"{where}: row {key!r} needs 'text' (and 'title', where given) as strings")
    return str(key), f"{title}\n{text}".strip() if title else text


def read_texts(path: Path) -> dict[str, str]:
    """Read a JSON-lines file of texts as id to text."""
    texts: dict[str, str] = {}
    for where, row in read_json_lines(path):
        key, text = text_of_row(where, row)
        if key in texts:
            raise InvalidArgumentError(f"{where}: id {key!r} occurs twice; ids are unique in one file")
        texts[key] = text
    if not texts:
        raise InvalidArgumentError(f"{path} is empty; expected one JSON object a line")
    return texts


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgements: query, document, grade, or TREC's four columns; a header line is skipped."""
    qrels: dict[str, dict[str, int]] = {}
    for number, (where, line) in enumerate(_lines(path)):
        fields = line.split("\t") if "\t" in line else line.split()
        if number == 0 and fields[0].strip().lower() in QRELS_HEADER:
            continue
        if len(fields) not in (3, 4):
            raise InvalidArgumentError(f"{where}: {len(fields)} columns, expected query, document, grade")
        qrels.setdefault(fields[0].strip(), {})[fields[-2].strip()] = _grade(where, fields[-1])
    return qrels


def _grade(where: str, field: str) -> int:
    try:
        return int(field)
    except ValueError as error:
        raise InvalidArgumentError(f"{where}: grade {field.strip()!r}, expected an integer") from error


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ("file:line", line) for each line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path}:{number}", line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"{path} can not be read as UTF-8 text: {error}") from error


def _qrels_file(root: Path) -> Path:
    return _first_file(root, "qrels.tsv", "qrels/test.tsv")


def _first_file(root: Path, *names: str) -> Path:
    for name in names:
        if (root / name).is_file():
            return root / name
    raise InvalidArgumentError(f"{root} has no {' or '.join(names)}; expected a docs/queries/qrels folder")


def _require_known(path: Path, what: str, judged: dict[str, dict[str, int]] | set[str], known: dict[str, str]) -> None:
    unknown = sorted(set(judged) - set(known))
    if unknown:
        raise InvalidArgumentError(
            f"{path} judges {len(unknown)} unknown {what} id(s), the first is {unknown[0]!r}; "
            f"ids must be those of the {what} file"
        )
