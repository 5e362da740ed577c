"""What `plan` and `pilot` say of a migration beside what it takes: time of the embedding, index, storage.

Models come from ``$REVECTOR_BENCH_MODELS``; the collection is served with the first one and moves to each of the
others, and to the first one from the second. Collections come from ``$REVECTOR_BENCH_COLLECTIONS``; by default the
models of the demo and this Python's docstrings. ``--documents N`` takes the first N of each. The present model's rows
are looked up, so that a run begins with a collection that is there; the new model works.

Asserted, but for smoke: the time of the embedding lies within 15 % of the plan, and within 8 % of the pilot.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import Report
from embedded import embed
from judged import named, read_collection
from revector import Collection, Encoder
from revector.demo.docstrings import python_corpus
from revector.encoders.base import Kind
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model

WITHIN_PLAN, WITHIN_PILOT = 0.15, 0.08
FORETOLD_SECONDS = 60.0
"""A shorter migration differs by more than that from one time to the next."""


class Looked:
    """A model whose rows of a collection's documents are known."""

    source: str | None = None

    def __init__(self, folder: Path, corpus: Corpus) -> None:
        self._model = Encoder.from_pretrained(folder)
        self.space = self._model.space
        rows = embed(folder, corpus).documents
        self._rows = dict(zip(corpus.documents.values(), rows, strict=True))

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Return the rows of documents; queries, and other texts, are embedded."""
        if kind == "document" and all(text in self._rows for text in texts):
            return np.stack([self._rows[text] for text in texts])
        return self._model.encode(texts, kind=kind)


def measure(report: Report, corpus: Corpus, old: Path, new: Path, place: Path) -> None:
    """Plan, pilot and migrate the first documents of a collection."""
    present, documents = Looked(old, corpus), dict(islice(corpus.documents.items(), report.options.documents))
    with Collection.open(place, present) as docs:
        docs.upsert(list(documents), list(documents.values()))
        docs.prepare()
    with Collection.open(place, present) as docs:
        before = docs._backend.stored_bytes()
        plan = docs.plan(Encoder.from_pretrained(new))
        pilot = docs.pilot(Encoder.from_pretrained(new))
        migration = docs.migrate(Encoder.from_pretrained(new))  # a model that has met no word yet
        began = time.perf_counter()
        migration.start()
        migration.run()
        seconds = time.perf_counter() - began
        verification = migration.verify()
        grown = docs._backend.stored_bytes() - before
    index = float(verification.details["index_seconds"])
    planned, piloted = plan.cost.seconds / seconds - 1, pilot.plan.cost.seconds / seconds - 1
    report.note(
        f"{old.name} → {new.name}, {len(documents):,} documents of {corpus.name}",
        seconds=seconds,
        planned=plan.cost.seconds,
        piloted=pilot.plan.cost.seconds,
        plan_off=planned,
        pilot_off=piloted,
        rate=len(documents) / seconds,
        probed=plan.measured.filled and plan.measured.filled.documents,
        piloted_on=pilot.documents,
        index_seconds=index,
        index_planned=plan.index_seconds,
        bytes=grown,
        bytes_planned=plan.cost.target_bytes + plan.map_bytes,
        tokens=plan.texts.tokens,
        precisions={each.precision: round(each.documents_per_second, 1) for each in plan.precisions},
    )
    if seconds >= FORETOLD_SECONDS and not report.smoke:
        assert abs(planned) <= WITHIN_PLAN, f"the plan is {planned:+.1%} off"
        assert abs(piloted) <= WITHIN_PILOT, f"the pilot is {piloted:+.1%} off"


def options(parser: argparse.ArgumentParser) -> None:
    """Add what this benchmark can be told."""
    parser.add_argument("--documents", type=int, help="take the first so many of each collection")


def main() -> None:
    """Measure every pair of models on every collection."""
    report = Report.from_arguments("plan", rounds=1, more=options)
    models = [Path(each) for each in named("REVECTOR_BENCH_MODELS") or map(fetch_model, ("wordllama", "minilm"))]
    collections = [read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")]
    if report.smoke or not collections:
        collections = [python_corpus(n_documents=300 if report.smoke else 5_000, n_queries=20)]
    for corpus in collections:
        for number, (old, new) in enumerate([*((models[0], other) for other in models[1:]), models[1::-1]]):
            with tempfile.TemporaryDirectory() as folder:
                measure(report, corpus, old, new, Path(folder) / f"{number}.db")
    report.finish()


if __name__ == "__main__":
    main()
