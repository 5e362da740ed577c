"""Verdicts where the truth is known: wrong moves, the coverage of intervals, what "n more queries" is worth.

Differences are those of real models on judged queries: ``$REVECTOR_BENCH_MODELS`` in the order in which one moves from
one to the next, ``$REVECTOR_BENCH_COLLECTIONS``; by default the models of the demo and this Python's docstrings. All
judged queries of a collection are the population, whose lift is the truth; queries are drawn from it.

- A/A: which of the two models is the old one is drawn for each query, so that the true lift is 0; what both reach
  together is taken to be no better either. The verdict must not be to move in more than 5 % of the trials.
- A drop of .03 is planted: the verdict is never to move.
- Coverage: of the intervals of 95 %, 93 to 97 % hold the truth, at 50 to 500 queries.
- Power: a verdict on 100 queries that is not settled says how many more would settle it; so many are drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import Report
from embedded import embed
from judged import named, read_collection
from revector import Encoder
from revector.backends.contracts import Document
from revector.demo.docstrings import python_corpus
from revector.evaluation import alternatives, significance
from revector.evaluation.alternatives import BOTH, REEMBED, STAY
from revector.evaluation.both import Side
from revector.evaluation.holdout import Holdout, scores_of
from revector.evaluation.question import Question
from revector.evaluation.significance import paired_lift
from revector.evaluation.verdict import Decision
from revector.evaluation.weigh import weigh
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model

METRIC, DROP, MIN_LIFT, ASKED, SIZES = "nDCG@10", 0.03, 0.02, 200, (50, 100, 200, 500)
LIFTS = (0.0, 0.01, 0.02, 0.04, 0.07, 0.1)
FIRST, MOST_ASKED = 100, 50_000
RESAMPLES = 2_000
"""Of each interval, a fifth of those of a verdict: there are tens of thousands of intervals."""

Values = NDArray[np.float64]


def scored(corpus: Corpus, folders: tuple[Path, Path]) -> dict[str, Values]:
    """Return the metric of every judged query under each alternative to a move between two models."""
    old, new = (
        Side(Encoder.from_pretrained(folder).space, rows.queries, rows.documents)
        for folder, rows in ((folder, embed(folder, corpus)) for folder in folders)
    )
    documents = [Document(id_, text, {}, "", 0.0, key) for key, (id_, text) in enumerate(corpus.documents.items())]
    drawn = Holdout(corpus.queries, corpus.qrels, documents, old.documents, ())
    found = alternatives.find(drawn, old, new, METRIC, 50, seed=0).found
    return {name: scores_of(drawn, rankings, METRIC) for name, rankings in found.items()}


def at(values: Mapping[str, Values], rows: NDArray[np.int64]) -> dict[str, Values]:
    """Return what some queries have."""
    return {name: each[rows] for name, each in values.items()}


def shifted(values: Mapping[str, Values], lift: float) -> dict[str, Values]:
    """Return values of the same differences about another lift; both models together reach no more."""
    stay, new = values[STAY], values[REEMBED]
    both = values.get(BOTH, new)
    return {
        STAY: stay,
        REEMBED: new - (new - stay).mean() + lift,
        BOTH: both - (both - stay).mean() + min(lift, 0.0),
    }


def swapped(values: Mapping[str, Values], rng: np.random.Generator) -> dict[str, Values]:
    """Return values in which the models change places on half of the queries, so that neither is better."""
    signs = rng.choice([-1.0, 1.0], len(values[STAY]))
    centred = shifted(values, 0.0)
    return {
        STAY: values[STAY],
        REEMBED: values[STAY] + signs * (values[REEMBED] - values[STAY]),
        BOTH: centred[BOTH],
    }


def moves(values: Mapping[str, Values], min_lift: float = 0.0) -> bool:
    """Whether the verdict is to move."""
    return weigh(values, Question(min_lift=min_lift))[1].decision.moves


def bench(report: Report, title: str, values: dict[str, Values], trials: int) -> None:
    """Draw queries of one pair of models, and count what verdicts on them say."""
    rng, n = np.random.default_rng(0), len(values[STAY])

    def draw(size: int) -> NDArray[np.int64]:
        return rng.integers(0, n, size)

    lift, decided = weigh(values, Question())
    report.note(f"{title}: all {n} queries", lift=str(lift), verdict=decided.decision.value, reason=decided.reason)
    asked = weigh(values, Question(min_lift=MIN_LIFT))[1]
    report.note(f"{title}: asked for above {MIN_LIFT}", verdict=asked.decision.value, reason=asked.reason)
    wrong = sum(moves(at(swapped(values, rng), draw(ASKED))) for _ in range(trials))
    dropped = sum(moves(at(shifted(values, -DROP), draw(ASKED))) for _ in range(trials))
    shares = {"A/A": wrong / trials, f"a drop of {DROP}": dropped / trials}
    report.note(f"{title}: share of {trials} verdicts on {ASKED} queries that are to move", **shares)
    truth = float((values[REEMBED] - values[STAY]).mean())
    covered = {}
    for size in SIZES:
        held = 0
        for _ in range(trials):
            some = at(values, draw(size))
            found = paired_lift(some[STAY], some[REEMBED])
            held += found.low <= truth <= found.high
        covered[f"{size} queries"] = held / trials
    report.note(f"{title}: share of intervals of 95 % that hold the truth", **covered)
    power(report, title, values, max(trials // 2, 1), draw)
    if not report.smoke:
        assert wrong <= 0.05 * trials, f"{wrong} of {trials} A/A verdicts are to move"
        assert dropped == 0, f"a drop was recommended {dropped} times"
        few = 1.96 * np.sqrt(0.05 * 0.95 / trials)  # what is drawn has an error, too
        assert all(0.93 - few <= share <= 0.97 + few for share in covered.values()), covered


def power(
    report: Report, title: str, values: dict[str, Values], trials: int, draw: Callable[[int], NDArray[np.int64]]
) -> None:
    """Ask as many queries more as an unsettled verdict says, and count how often that settles it."""
    rows = []
    for lift in LIFTS:
        population = {name: each for name, each in shifted(values, lift).items() if name != BOTH}
        asked, settled, unsettled, never = [], 0, 0, 0
        for _ in range(trials):
            first = draw(FIRST)
            decided = weigh(at(population, first), Question())[1]
            if decided.decision is not Decision.INCONCLUSIVE:
                continue
            unsettled += 1
            if decided.queries_needed is None or decided.queries_needed > MOST_ASKED:
                never += 1
                continue
            asked.append(decided.queries_needed)
            again = np.concatenate([first, draw(decided.queries_needed)])
            settled += weigh(at(population, again), Question())[1].decision is not Decision.INCONCLUSIVE
        rows.append(
            {
                "true lift": lift,
                "settled at once": 1 - unsettled / trials,
                f"asked for over {MOST_ASKED}": never,
                "asked for, median": float(np.median(asked)) if asked else 0.0,
                "then settled": settled / len(asked) if asked else float("nan"),
                "trials": len(asked),
            }
        )
    report.table(f"{title}: {FIRST} queries, then as many more as the verdict says", rows)


def main() -> None:
    """Measure every pair of successive models on every collection."""
    report = Report.from_arguments("verdict", rounds=1)
    models = named("REVECTOR_BENCH_MODELS") or [fetch_model("wordllama"), fetch_model("minilm")]
    collections = [read_collection(folder) for folder in named("REVECTOR_BENCH_COLLECTIONS")]
    corpora = collections or [python_corpus(n_documents=2_000, n_queries=200)]
    trials = 10 if report.smoke else 400
    kept, significance.RESAMPLES = significance.RESAMPLES, RESAMPLES
    try:
        for corpus in corpora:
            for pair in itertools.pairwise(models):
                title = f"{corpus.name}, {pair[0].name} -> {pair[1].name}"
                bench(report, title, scored(corpus, pair), trials)
    finally:
        significance.RESAMPLES = kept
    report.finish()


if __name__ == "__main__":
    main()
