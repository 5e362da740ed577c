"""What a collection finds once its model is gone, insured with another one: nDCG@10 of `Collection.search`.

Models come from ``$REVECTOR_BENCH_MODELS`` (the old one, then the new one), collections from
``$REVECTOR_BENCH_COLLECTIONS``; by default the models of the demo and this Python's docstrings. Each text is embedded
once and looked up afterwards, so what is measured is what is found, not how fast a model is. Queries that the insurance
is measured with are not those that are asked afterwards.

Asserted of each collection: with 50 re-scored, at least .95 of what the old model found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import Report
from embedded import Looked
from judged import named, read_collection
from revector import Collection
from revector.demo.docstrings import python_corpus
from revector.evaluation.metrics import per_query
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model

METRIC, PAIRS, ASKED = "nDCG@10", 2_000, 1_000
RESCORED = (0, 10, 50)
LEAST = 0.95


def ndcg(collection: Collection, corpus: Corpus, queries: Sequence[str], rescore: int | None = None) -> float:
    """Ask every query by itself and score what is found."""
    run = {
        query: [hit.id for hit in collection.search(corpus.queries[query], 10, rescore=rescore, write_through=False)]
        for query in queries
    }
    qrels = {query: corpus.qrels[query] for query in queries}
    return float(np.mean(list(per_query(run, qrels, METRIC).values())))


def measure(report: Report, corpus: Corpus, old: Looked, new: Looked, folder: Path) -> None:
    """Insure a collection, take its model away, and ask."""
    order = np.random.default_rng(0).permutation(list(corpus.queries)).tolist()
    asked, given = order[:ASKED], order[ASKED : 2 * ASKED] or order
    place = folder / f"{corpus.name}.db"
    with Collection.open(place, old) as collection:
        collection.upsert(list(corpus.documents), list(corpus.documents.values()))
        collection.prepare()
        before = ndcg(collection, corpus, asked)
        made = collection.insure(new, queries=[corpus.queries[query] for query in given], documents=PAIRS)
    with Collection.open(place, new) as collection:
        found = {rescore: ndcg(collection, corpus, asked, rescore) for rescore in RESCORED}
    with Collection.open(folder / f"{corpus.name}-new.db", new) as collection:
        collection.upsert(list(corpus.documents), list(corpus.documents.values()))
        collection.prepare()
        after = ndcg(collection, corpus, asked)
    title = f"{old.space.model} → {new.space.model}, {corpus.name}, {made.pairs} pairs, {len(asked)} queries"
    shares = {f"{rescore} re-scored, share of old": value / before for rescore, value in found.items()}
    figures = {"old": before, "new": after, **shares, "mapped, share of new": found[0] / after}
    report.note(title, **figures, top_10=made.top, within_50=made.within)
    assert found[50] >= LEAST * before, f"{found[50]:.3f} of {before:.3f}"


def main() -> None:
    """Measure every collection."""
    report = Report.from_arguments("insurance", rounds=1)
    models = named("REVECTOR_BENCH_MODELS") or [fetch_model("wordllama"), fetch_model("minilm")]
    collections = [read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")]
    if report.smoke or not collections:
        collections = [python_corpus(n_documents=300 if report.smoke else 5_000, n_queries=100)]
    old, new = models[:2]
    for corpus in collections:
        with tempfile.TemporaryDirectory() as folder:
            measure(report, corpus, Looked(Path(old), corpus), Looked(Path(new), corpus), Path(folder))
    report.finish()


if __name__ == "__main__":
    main()
