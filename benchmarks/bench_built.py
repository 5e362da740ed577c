"""How far the lift on pairs built from documents is from the lift on queries that people judged.

Every pair of models of ``$REVECTOR_BENCH_MODELS`` (folders, see `judged`), on each of ``$REVECTOR_BENCH_COLLECTIONS``.
The figures are in docs/judgements.md; `DOUBT` of `revector.evaluation.built` is what they come to.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedded import Rows, embed, embed_texts
from judged import named, read_collection
from revector import Encoder, cosine_topk
from revector.backends.contracts import Document
from revector.evaluation.built import build_pairs
from revector.evaluation.metrics import as_array, per_query
from revector.evaluation.significance import Interval, paired_lift
from revector.formats.judgements import Corpus

METRICS = ("nDCG@10", "MRR@10", "recall@10")
WAYS = ("people", "built", "left in")
PAIRS = 1_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """The lift of one model over another by people's queries, by built pairs, and by pairs left in their documents."""

    models: str
    collection: str
    metric: str
    people: Interval
    built: Interval
    left_in: Interval

    @property
    def value(self) -> float:
        """Built less people."""
        return self.built.value - self.people.value

    @property
    def variance(self) -> float:
        """Of the gap, by chance alone: queries were drawn for both."""
        return sum(each.deviation**2 / each.n_queries for each in (self.people, self.built))


def scores(corpus: Corpus, queries: Rows, documents: Rows, metric: str) -> Values:
    """Search exactly, and score every query."""
    ids = np.array(list(corpus.documents), dtype=object)
    found = cosine_topk(queries, documents, 10)[1]
    run = {query: ids[rows].tolist() for query, rows in zip(corpus.queries, found, strict=True)}
    return as_array(per_query(run, corpus.qrels, metric))


def measured(folder: Path, models: list[Path], pairs: int) -> list[Gap]:
    """Measure one collection."""
    corpus = read_collection(folder)
    texts = corpus.documents.items()
    documents = [Document(id_, text, {}, "", 0.0, key) for key, (id_, text) in enumerate(texts)]
    built = build_pairs(documents, most=pairs)
    places = {document.id: document.key for document in documents}
    left = np.array([places[id_] for id_ in built.documents])
    asked = Corpus(corpus.name, corpus.documents, built.judgements.queries, built.judgements.qrels)
    values: dict[tuple[str, str, str], Values] = {}
    for model in models:
        encoder, whole = Encoder.from_pretrained(model), embed(model, corpus)
        reduced = whole.documents.copy()
        key = f"{model.name}-{corpus.name}-built-{pairs}"
        reduced[left] = embed_texts(key, encoder, [each.text for each in built.documents.values()], "document")
        queries = embed_texts(key, encoder, list(asked.queries.values()), "query")
        for metric in METRICS:
            values[model.name, "people", metric] = scores(corpus, whole.queries, whole.documents, metric)
            values[model.name, "built", metric] = scores(asked, queries, reduced, metric)
            values[model.name, "left in", metric] = scores(asked, queries, whole.documents, metric)
    return [
        Gap(
            f"{old.name} → {new.name}",
            corpus.name,
            metric,
            *(paired_lift(values[old.name, by, metric], values[new.name, by, metric]) for by in WAYS),
        )
        for old, new in combinations(models, 2)
        for metric in METRICS
    ]


def doubt(gaps: list[Gap]) -> float:
    """Return the standard deviation of gaps beyond chance (the method of moments of DerSimonian and Laird)."""
    return float(np.sqrt(max(0.0, np.mean([gap.value**2 - gap.variance for gap in gaps]))))


def main() -> None:
    """Print a table and the doubt of each metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    models = named("REVECTOR_BENCH_MODELS")
    gaps = [gap for each in named("REVECTOR_BENCH_COLLECTIONS") for gap in measured(each, models, options.pairs)]
    print("| models | collection | metric | people's queries | built pairs | gap | sentence left in |")
    print("|---|---|---|---:|---:|---:|---:|")
    for gap in gaps:
        lifts = f"{gap.people} | {gap.built} | {gap.value:+.4f} | {gap.left_in}"
        print(f"| {gap.models} | {gap.collection} | {gap.metric} | {lifts} |")
    for metric in METRICS:
        print(metric, f"doubt {doubt([gap for gap in gaps if gap.metric == metric]):.4f}")
    if options.json:
        rows = [
            {**vars(gap), "people": vars(gap.people), "built": vars(gap.built), "left_in": vars(gap.left_in)}
            for gap in gaps
        ]
        options.json.write_text(json.dumps({"pairs": options.pairs, "gaps": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
