"""Mixed embedding spaces told from vectors alone: rows attributed rightly, and false alarms on pure samples.

Collections and models are the folders that `judged` reads; two models of one dimension make a mixture. By default the
documentation of this Python, wordllama, and its rotation as the second space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report
from judged import named, read_collection
from revector import Encoder
from revector.demo.docstrings import python_corpus
from revector.evaluation import detect_mixture
from revector.formats.named_models import fetch_model

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
BOUND_FROM = 0.05
LEAST_RIGHT = 0.99
LEAST_RIGHT_OF_FEW = 0.95
"""Of the 600 docstrings of a smoke run, which differ with what is installed: over 30 samples the least was 0.98."""
PURE_SAMPLES = 100
TOPICS = 4

Rows = NDArray[np.float32]
Spaces = dict[str, dict[str, Rows]]


@dataclass(frozen=True)
class Answer:
    """What `detect_mixture` said of one mixture: rows attributed rightly, and rows of the smaller part among them."""

    mixed: bool
    tie: float
    right: float
    found: float


def embed(folders: list[Path], collections: dict[str, list[str]]) -> Spaces:
    """Encode every collection with every model."""
    spaces: Spaces = {}
    for folder in folders:
        encoder = Encoder.from_pretrained(folder, precision="auto")
        spaces[folder.name] = {name: encoder.encode(texts) for name, texts in collections.items()}
    return spaces


def rotated(rows: dict[str, Rows]) -> dict[str, Rows]:
    """Return the same model in another frame: nothing but the directions tells the two apart."""
    d = next(iter(rows.values())).shape[1]
    turn = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0].astype(np.float32)
    return {name: vectors @ turn for name, vectors in rows.items()}


def ask(old: Rows, new: Rows, share: float, n: int, seed: int) -> Answer:
    """Mix rows of different documents, and compare the answer with the truth."""
    rng = np.random.default_rng(seed)
    n_new = round(share * n)
    order = rng.permutation(min(len(old), len(new)))  # when both hold the same texts, none is in both parts
    rows = np.concatenate([old[order[: n - n_new]], new[order[n - n_new : n]]])
    of_new = np.arange(n) >= n - n_new
    shuffled = rng.permutation(n)
    report = detect_mixture(rows[shuffled], seed=seed)
    truth = of_new[shuffled]
    label = max((0, 1), key=lambda one: float(np.mean((report.labels == one) == truth)))
    right = np.where(truth, report.labels == label, report.labels == 1 - label)
    return Answer(report.mixed, report.tie, float(right.mean()), float(right[truth].mean()) if report.mixed else 0.0)


def bench_pair(report: Report, title: str, old: dict[str, Rows], new: dict[str, Rows], n: int, least: float) -> None:
    """Mix two spaces in every share, over every two collections; assert what is promised."""
    for share in SHARES[-2:] if report.smoke else SHARES:
        answers = [ask(old[a], new[b], share, n, seed) for seed, (a, b) in enumerate(product(old, new))]
        worst = min(answer.right for answer in answers)
        report.note(
            f"{title}, {share:.0%} of {n} rows",
            mixtures=len(answers),
            seen=sum(answer.mixed for answer in answers),
            right_mean=float(np.mean([answer.right for answer in answers])),
            right_least=worst,
            found_least=min(answer.found for answer in answers),
            tie_most=max(answer.tie for answer in answers),
        )
        if share >= BOUND_FROM:
            assert worst >= least, f"{title}: {worst:.4f} of the rows are right at a share of {share:.0%}"


def skewed(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Take a few topics only, in unequal parts: the rows nearest to a few of them."""
    sizes = 1 + rng.multinomial(n, rng.dirichlet(np.ones(TOPICS)))
    anchors = rows[rng.choice(len(rows), TOPICS, replace=False)]
    near = [np.argsort(-(rows @ anchor))[:size] for anchor, size in zip(anchors, sizes, strict=True)]
    return rows[np.unique(np.concatenate(near))]


def of_two(first: Rows, second: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Take two collections in any shares."""
    n_second = round(n * rng.choice([0.02, 0.05, 0.2, 0.5, 0.8, 0.95]))
    return np.concatenate([rng.choice(first, n - n_second, replace=False), rng.choice(second, n_second, replace=False)])


def pure_samples(collections: dict[str, Rows], rng: np.random.Generator) -> Iterator[tuple[str, Rows]]:
    """Yield samples of one space without end: all topics, few topics, two collections."""
    smallest = min(len(rows) for rows in collections.values())
    while True:
        for name, rows in collections.items():
            n = int(rng.integers(min(500, smallest // 2), smallest))
            yield "any texts", rng.choice(rows, n, replace=False)
            yield "few topics", skewed(rows, n, rng)
            for other, others in collections.items():
                if other != name:
                    yield "two collections", of_two(rows, others, n, rng)


def bench_pure(report: Report, model: str, collections: dict[str, Rows], count: int) -> int:
    """Count the alarms on samples of one space."""
    samples = pure_samples(collections, np.random.default_rng(1))
    ties: dict[str, list[float]] = {}
    alarms = 0
    for kind, rows in (next(samples) for _ in range(count)):
        found = detect_mixture(rows)
        alarms += found.mixed
        ties.setdefault(kind, []).append(found.tie)
    least = {f"tie_least of {kind}": min(values) for kind, values in ties.items()}
    report.note(f"pure samples of {model}", samples=count, alarms=alarms, **least)
    return alarms


def main() -> None:
    """Measure every model, every pair of one dimension, and every model beside its rotation."""
    report = Report.from_arguments("mixture", rounds=3)
    n = 600 if report.smoke else 5000
    folders = named("REVECTOR_BENCH_MODELS") or [fetch_model("wordllama")]
    collections = {path.name: read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")}
    if report.smoke or not collections:
        folders, collections = folders[:1], {"docstrings": python_corpus(n_documents=n, n_queries=n // 4)}
    rng = np.random.default_rng(4)
    texts = {name: [*corpus.documents.values()] for name, corpus in collections.items()}
    spaces = embed(folders, {name: [all_[i] for i in rng.permutation(len(all_))[:n]] for name, all_ in texts.items()})

    alarms = sum(bench_pure(report, model, rows, 5 if report.smoke else PURE_SAMPLES) for model, rows in spaces.items())
    assert alarms == 0, f"{alarms} false alarms"
    for old, new in permutations(spaces, 2):
        if spaces[old][next(iter(texts))].shape[1] == spaces[new][next(iter(texts))].shape[1]:
            bench_pair(report, f"{new} in {old}", spaces[old], spaces[new], n, LEAST_RIGHT)
    for model, rows in spaces.items():
        bench_pair(
            report, f"rotated {model} in {model}", rows, rotated(rows), n, LEAST_RIGHT_OF_FEW if report.smoke else 0.0
        )
    every = np.concatenate([*spaces[folders[-1].name].values(), *rotated(spaces[folders[-1].name]).values()])
    report.contest(f"detect_mixture of {every.shape[0]} x {every.shape[1]}", {OURS: lambda: detect_mixture(every)})
    report.finish()


if __name__ == "__main__":
    main()
