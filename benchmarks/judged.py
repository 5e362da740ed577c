"""The judged collections that ``$REVECTOR_BENCH_COLLECTIONS`` and the models that ``$REVECTOR_BENCH_MODELS`` name."""

from __future__ import annotations

import os
from pathlib import Path

from revector.formats.judgements import Corpus, load_judgements
from revector.formats.rows import read_documents

__all__ = ["named", "read_collection"]


def named(variable: str) -> list[Path]:
    """Return the folders that a variable of the environment lists, separated as in ``$PATH``."""
    return [Path(path).expanduser() for path in os.environ.get(variable, "").split(os.pathsep) if path]


def read_collection(folder: Path) -> Corpus:
    """Read ``docs.jsonl``, ``queries.jsonl`` and ``qrels.tsv``.

    Of documents with one id the first stays: Debian's lists of several architectures describe some packages twice.
    """
    documents: dict[str, str] = {}
    for row in read_documents(folder / "docs.jsonl"):
        documents.setdefault(row.id, row.text)
    judged = load_judgements(folder)
    return Corpus(folder.resolve().name, documents, judged.queries, judged.qrels)
