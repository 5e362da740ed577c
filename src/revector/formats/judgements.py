"""Judged queries: which documents answer which query, who says so, and in which files it stands.

`load_judgements` is the one front door. It reads

- a folder with queries (``queries.jsonl``, ``.csv``, ``.tsv``, or TREC's ``topics*``) and judgements (``qrels.tsv``,
  BEIR's ``qrels/test.tsv``, ``qrels.csv``, TREC's ``qrels*``), or with a log of clicks (``clicks.jsonl``, ``.csv``);
- a file of judgements alone, whose queries lie beside it or a folder above;
- a file with a row for each query and document, judged or a log (`revector.formats.asked`).

`load_corpus` reads the documents, too; `write_judgements` writes what `load_judgements` reads. Every file may be packed
(``.gz``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from revector._arguments import file_path, shown
from revector.errors import InvalidArgumentError
from revector.formats.asked import DOCUMENT, LOGGED, QUERY, RELEVANT, Asked, read_graded, read_reactions
from revector.formats.clicks import grades_of_clicks
from revector.formats.json_lines import parse_json_object
from revector.formats.lines import read_lines
from revector.formats.qrels import read_qrels
from revector.formats.queries import names_of, read_queries
from revector.formats.rows import read_texts
from revector.formats.tables import DELIMITERS

__all__ = [
    "CLICKS",
    "PEOPLE",
    "Corpus",
    "Judgements",
    "fold_whitespace",
    "load_corpus",
    "load_judgements",
    "write_corpus",
    "write_judgements",
]

PEOPLE = "people"
CLICKS = "clicks"

_JUDGED = "judged.json"
_QRELS = ("qrels.tsv", "qrels/test.tsv", "qrels.csv", "qrels.txt")
_TABLES = (".jsonl", *DELIMITERS)
_QUERIES = tuple(f"queries{suffix}" for suffix in _TABLES)
_LOGS = tuple(f"clicks{suffix}" for suffix in _TABLES)
_BREAKS = frozenset("\t\r\n")


@dataclass(frozen=True)
class Judgements:
    """Queries, and which documents answer them.

    Parameters
    ----------
    queries : dict of str to str
        Query id to text.
    qrels : dict of str to dict of str to int
        Query id to document id to grade; a grade above zero is relevant.
    judged_by : str
        Who says so: ``"people"``, ``"clicks"``, ``"pairs built from the documents"`` or ``"a model: NAME"``.
    notes : tuple of str
        What a reader of figures should know of the judgements.
    facets : dict of str to dict of str to str
        Name of a facet, such as language, to its value for each query id.
    doubt : float
        Standard deviation of the difference, in nDCG@10, between the lift on such judgements and that on judgements of
        people; 0 where it is not known.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    judged_by: str = PEOPLE
    notes: tuple[str, ...] = ()
    facets: dict[str, dict[str, str]] = field(default_factory=dict)
    doubt: float = 0.0


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


def load_judgements(path: str | os.PathLike[str]) -> Judgements:
    """Read judged queries, whatever their files are; queries without a judgement are left out.

    Parameters
    ----------
    path : str or Path
        A folder or a file; see the module.

    Raises
    ------
    InvalidArgumentError
        A file is missing, a line cannot be read (the message names file and line), a judgement names an unknown query,
        or nothing is relevant.
    """
    place = file_path(path)
    found = _of_folder(place) if place.is_dir() else _of_file(place)
    if not any(grade > 0 for grades in found.qrels.values() for grade in grades.values()):
        why = "".join(f" ({note})" for note in found.notes[:1])
        raise InvalidArgumentError(f"{place} has no judgement with a grade above zero; nothing can be scored{why}")
    return found


def load_corpus(folder: str | Path) -> Corpus:
    """Read a folder of documents, queries and judgements.

    Raises
    ------
    InvalidArgumentError
        As for `load_judgements`; besides, a judgement names an unknown document.
    """
    root = Path(folder)
    documents = read_texts(_required(root, [f"{stem}{suffix}" for stem in ("docs", "corpus") for suffix in _TABLES]))
    judged = load_judgements(root)
    _require_known(
        _qrels_file(root), "document", {doc for grades in judged.qrels.values() for doc in grades}, documents
    )
    return Corpus(root.resolve().name, documents, judged.queries, judged.qrels)


def write_corpus(corpus: Corpus, folder: str | Path) -> Path:
    """Write a collection as ``docs.jsonl``, ``queries.jsonl`` and ``qrels.tsv``; return the folder."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    for file, texts in (("docs.jsonl", corpus.documents), ("queries.jsonl", corpus.queries)):
        _write_rows(root / file, ({"id": key, "text": text} for key, text in texts.items()))
    _write_qrels(root / "qrels.tsv", corpus.qrels)
    return root


def write_judgements(judgements: Judgements, folder: str | os.PathLike[str]) -> Path:
    """Write judged queries as BEIR has them, with facets, and with who judged in ``judged.json``; return the folder.

    Ids with tabs, line ends or white space around them cannot stand in BEIR's table; they are left out, and counted in
    the notes.
    """
    root = file_path(folder)
    (root / "qrels").mkdir(parents=True, exist_ok=True)
    facets = judgements.facets.items()
    _write_rows(
        root / "queries.jsonl",
        (
            {"_id": key, "text": text, **{name: values[key] for name, values in facets if key in values}}
            for key, text in judgements.queries.items()
        ),
    )
    left_out = _write_qrels(root / "qrels" / "test.tsv", judgements.qrels, header="query-id\tcorpus-id\tscore\n")
    lost = f"{left_out:,} judgements of ids with tabs, line ends or white space around them are not in the file"
    notes = [*judgements.notes, *([lost] if left_out else [])]
    about = {"judged_by": judgements.judged_by, "notes": notes, "doubt": judgements.doubt}
    (root / _JUDGED).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return root


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def _write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]], header: str = "") -> int:
    """Write grades; return how many have ids that cannot stand in a table."""
    rows = [(query, document, grade) for query, grades in qrels.items() for document, grade in grades.items()]
    kept = [row for row in rows if all(id_ == id_.strip() and _BREAKS.isdisjoint(id_) for id_ in row[:2])]
    with path.open("w", encoding="utf-8") as out:
        out.writelines([header, *(f"{query}\t{document}\t{grade}\n" for query, document, grade in kept)])
    return len(rows) - len(kept)


def _of_folder(root: Path) -> Judgements:
    if _first_file(root, _LOGS) is not None and not _qrels_files(root):
        return _of_log(_required(root, _LOGS), root)
    file = _required(root, _QUERIES, "topics*")
    return _of_qrels(_qrels_file(root), file, root / _JUDGED)


def _of_file(path: Path) -> Judgements:
    names = set() if path.name.startswith("qrels") else names_of(path)
    if names & LOGGED:
        return _of_log(path, path.parent)
    if not names.isdisjoint(QUERY) and (RELEVANT in names or not names.isdisjoint(DOCUMENT)):
        asked = Asked({})
        qrels, facets = read_graded(path, asked)
        return Judgements(asked.texts, qrels, facets=facets)
    for root in (path.parent, path.parent.parent):
        if (file := _first_file(root, _QUERIES, "topics*")) is not None and file != path:
            return _of_qrels(path, file, root / _JUDGED)
    raise InvalidArgumentError(
        f"{path} has neither a column query, nor a queries file beside it; expected a folder of queries and "
        "judgements, or rows with query, document and grade, or a log with query, document and clicked"
    )


def _of_qrels(path: Path, queries: Path, about: Path) -> Judgements:
    qrels = read_qrels(path)
    texts, facets = read_queries(queries)
    _require_known(path, "query", qrels, texts)
    judged_by, notes, doubt = _read_about(about)
    asked = {key: texts[key] for key in qrels}
    return Judgements(asked, qrels, judged_by, notes, _facets_of(asked, facets), doubt)


def _of_log(path: Path, root: Path) -> Judgements:
    file = _first_file(root, _QUERIES, "topics*")
    known: dict[str, str] = {}
    facets: dict[str, dict[str, str]] = {}
    if file is not None:
        known, facets = read_queries(file)
    asked = Asked(known)
    qrels, notes = grades_of_clicks(read_reactions(path, asked))
    texts = {key: asked.texts[key] for key in qrels}
    return Judgements(texts, qrels, CLICKS, notes, _facets_of(texts, facets))


def _facets_of(queries: Iterable[str], facets: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the facets of some queries alone."""
    return {name: {key: of[key] for key in queries if key in of} for name, of in facets.items()}


def _read_about(path: Path) -> tuple[str, tuple[str, ...], float]:
    """Read what `write_judgements` wrote of who judged."""
    if not path.exists():
        return PEOPLE, (), 0.0
    found = parse_json_object(str(path), "".join(text for _, text in read_lines(path)))
    by, notes, doubt = found.get("judged_by", PEOPLE), found.get("notes", []), found.get("doubt", 0.0)
    is_sound = isinstance(by, str) and isinstance(notes, list) and all(isinstance(note, str) for note in notes)
    if not is_sound or type(doubt) not in (int, float) or doubt < 0:
        raise InvalidArgumentError(f"{path}: {shown(found)}, expected what `write_judgements` wrote")
    return by, tuple(notes), float(doubt)


def _qrels_files(root: Path) -> list[Path]:
    found = _first_file(root, _QRELS)
    return [found] if found else sorted(path for path in root.glob("qrels*") if path.is_file())


def _qrels_file(root: Path) -> Path:
    found = _qrels_files(root)
    if len(found) > 1:
        raise InvalidArgumentError(f"{root} has {', '.join(path.name for path in found)}; name the file that is meant")
    return found[0] if found else _required(root, _QRELS)


def _required(root: Path, names: Iterable[str], pattern: str = "") -> Path:
    found = _first_file(root, names, pattern)
    if found is None:
        usual = [name for name in names if name.endswith((".jsonl", "qrels.tsv", "test.tsv"))]
        raise InvalidArgumentError(
            f"{root} has no {' or '.join([*usual, *([pattern] if pattern else [])])}; "
            "expected a folder of queries and judgements, or a log of clicks"
        )
    return found


def _first_file(root: Path, names: Iterable[str], pattern: str = "") -> Path | None:
    """Return the first file that is there, packed or not."""
    named = chain.from_iterable((root / name, root / f"{name}.gz") for name in names)
    others = sorted(root.glob(pattern)) if pattern else []
    return next((file for file in chain(named, others) if file.exists() and not file.is_dir()), None)


def _require_known(path: Path, what: str, judged: Iterable[str], known: Mapping[str, str]) -> None:
    unknown = sorted(set(judged) - set(known))
    if unknown:
        raise InvalidArgumentError(
            f"{path} judges {len(unknown)} unknown {what} id(s), the first is {unknown[0]!r}; "
            f"ids must be those of the {what} file"
        )
