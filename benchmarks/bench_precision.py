"""What a precision costs in retrieval: nDCG@10 of exact search over a judged collection, beside float32.

Collections and models are the folders that `judged` reads; by default the documentation of this Python and
all-MiniLM-L6-v2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import Report
from judged import named, read_collection
from revector import Encoder, cosine_topk
from revector.demo.docstrings import python_corpus
from revector.evaluation.metrics import as_array, per_query
from revector.evaluation.significance import paired_lift
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model

LARGEST_LOSS = {"bfloat16": 0.001, "int8": 0.005}
METRIC = "nDCG@10"

Rows = NDArray[np.float32]


def search(corpus: Corpus, documents: Rows, queries: Rows) -> dict[str, list[str]]:
    """Rank the ten nearest documents of each query."""
    names = list(corpus.documents)
    _, found = cosine_topk(queries, documents, 10)
    return {query: [names[i] for i in row] for query, row in zip(corpus.queries, found, strict=True)}


def measure(report: Report, folder: Path, name: str, corpus: Corpus) -> None:
    """Encode the collection in each precision; assert and record what is lost."""
    exact, scores = None, None
    for precision in ("float32", "bfloat16", "int8"):
        encoder = Encoder.from_pretrained(folder, precision=precision)
        documents = encoder.encode(list(corpus.documents.values()))
        queries = encoder.encode(list(corpus.queries.values()), kind="query")
        found = as_array(per_query(search(corpus, documents, queries), corpus.qrels, METRIC))
        figures = {METRIC: float(found.mean())}
        if exact is None:
            exact, scores = documents, found
        else:
            cosines = np.einsum("ij,ij->i", exact, documents)
            lift = paired_lift(scores, found)
            figures |= {"lift": lift.value, "lift_low": lift.low, "lift_high": lift.high}
            figures |= {"cosine_mean": float(cosines.mean()), "cosine_min": float(cosines.min())}
            if not report.smoke:  # a handful of queries says nothing
                assert lift.value >= -LARGEST_LOSS[precision], f"{precision} loses {-lift.value:.4f} {METRIC}"
        report.note(f"{folder.name} in {precision} on {name}, {len(documents)} documents", **figures)


def main() -> None:
    """Measure every model on every collection."""
    report = Report.from_arguments("precision", rounds=1)
    models = named("REVECTOR_BENCH_MODELS") or [fetch_model("minilm")]
    collections = {path.name: read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")}
    if report.smoke or not collections:
        n = 24 if report.smoke else 2000
        collections = {"docstrings": python_corpus(n_documents=n, n_queries=n // 4)}
    for folder in models:
        for name, corpus in collections.items():
            measure(report, folder, name, corpus)
    report.finish()


if __name__ == "__main__":
    main()
