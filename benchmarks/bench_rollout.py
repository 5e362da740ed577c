"""Simulated rollouts: false stops, a planted regression, and the events that interleaving needs beside an A/B test.

Rankings are real: a model searches the documentation of this Python, whole or with some of its dimensions. Readers are
simulated by the dependent click model (F. Guo, C. Liu, Y. Wang, "Efficient Multiple-Click Models in Web Search", WSDM
2009) in its "navigational" form (K. Hofmann, S. Whiteson, M. de Rijke, "Fidelity, Soundness, and Efficiency of
Interleaved Comparison Methods", ACM TOIS 31(4), 2013): they read from the top, click what looks relevant, and go on or
not. They ask what the whole model answers among its first ten. Every rollout is looked at after each of its events.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import Report
from revector import Encoder, cosine_topk, normalize
from revector.demo.docstrings import python_corpus
from revector.formats.named_models import fetch_model
from revector.rollout import Arm, Evidence, Moments, Outcome, Ramp, decide, in_new_arm, preference, team_draft
from revector.rollout.sequential import NEAR_HALF, Counts, mean_difference

K = 10
CLICKS_IF_RELEVANT, CLICKS_IF_NOT = 0.95, 0.05
STOPS_IF_RELEVANT, STOPS_IF_NOT = 0.9, 0.2
DEGRADED = 0.1
"""The share of queries whose results the planted regression shuffles."""
POWER, ALPHA = 0.8, 0.05
RAMP = Ramp((0.25, 0.5), min_events=200)
INTERLEAVED = 0.5
MOST_EVENTS = 100_000
FEWER_DIMENSIONS = (192, 64)

Ranking = list[int]
Pair = tuple[Ranking, Ranking]


@dataclass(frozen=True)
class World:
    """What a model finds for each query, by its first dimensions and by all, and the document that answers it."""

    reduced: dict[int, list[Ranking]]
    whole: list[Ranking]
    answers: list[int]


def searched(n_documents: int, n_queries: int) -> World:
    """Let wordllama search, and keep the queries that it answers."""
    corpus = python_corpus(n_documents=n_documents, n_queries=n_queries)
    encoder = Encoder.from_pretrained(fetch_model("wordllama"))
    documents = encoder.encode(list(corpus.documents.values()))
    queries = encoder.encode(list(corpus.queries.values()), kind="query")
    places = {document: place for place, document in enumerate(corpus.documents)}
    answers = [places[next(iter(corpus.qrels[query]))] for query in corpus.queries]

    def best(dimension: int) -> list[Ranking]:
        rows = [normalize(np.ascontiguousarray(part[:, :dimension])) for part in (queries, documents)]
        return cosine_topk(*rows, K)[1].tolist()

    whole = best(documents.shape[1])
    answered = [query for query, answer in enumerate(answers) if answer in whole[query]]

    def kept(rankings: Sequence[Any]) -> list[Any]:
        return [rankings[query] for query in answered]

    return World({d: kept(best(d)) for d in FEWER_DIMENSIONS}, kept(whole), kept(answers))


def clicks(ranking: Sequence[int], answer: int, rng: np.random.Generator) -> list[int]:
    """Return the places that a reader clicks."""
    clicked = []
    for place, draws in enumerate(rng.random((len(ranking), 2))):
        relevant = ranking[place] == answer
        if draws[0] < (CLICKS_IF_RELEVANT if relevant else CLICKS_IF_NOT):
            clicked.append(place)
            if draws[1] < (STOPS_IF_RELEVANT if relevant else STOPS_IF_NOT):
                break
    return clicked


def shuffled(ranking: Ranking, rng: np.random.Generator) -> Ranking:
    return [ranking[place] for place in rng.permutation(len(ranking))]


def regressed(world: World, seed: int) -> list[Pair]:
    """Pair the better model with itself where some queries' results are shuffled."""
    rng = np.random.default_rng(seed)
    broken = set(rng.permutation(len(world.answers))[: round(DEGRADED * len(world.answers))].tolist())
    return [(found, shuffled(found, rng) if query in broken else found) for query, found in enumerate(world.whole)]


def jittered(ranking: Ranking, rng: np.random.Generator) -> Ranking:
    """Exchange neighbours at random: another model that is as good."""
    order = np.argsort(np.arange(len(ranking)) + rng.uniform(0, 2, len(ranking)))
    return [ranking[place] for place in order]


def search(ranking: Ranking, answer: int, rng: np.random.Generator) -> Arm:
    """Return what one answered search adds to its arm; one in a hundred fails, one in fifty finds nothing."""
    if rng.random() < 0.01:
        return Arm(1, errors=1)
    found = clicks(ranking, answer, rng)
    seen = Arm.search(float(rng.lognormal(3, 0.5)), empty=rng.random() < 0.02)
    return seen + Arm(reward=Moments.of(1 / (1 + found[0]) if found else 0.0))


def roll_out(world: World, new: Callable[[int], Pair], seed: int) -> tuple[Outcome, int]:
    """Go through the ramp with a look after each event; return how it ended, and after how many searches."""
    rng, at, evidence = np.random.default_rng(seed), 0, Evidence()
    for event in range(MOST_EVENTS):
        query, user = int(rng.integers(len(world.answers))), str(rng.integers(1_000_000))
        step, answer = RAMP.steps[at], world.answers[query]
        old, changed = new(query)
        shown = old if step.same else changed
        if not in_new_arm(user, str(seed), step.share):
            evidence += Evidence(old=search(old, answer, rng))
        elif in_new_arm(user, f"{seed} interleaved", INTERLEAVED):
            merged = team_draft(old, shown, K, f"{seed} {event}")
            if clicked := clicks(merged.documents, answer, rng):
                evidence = evidence.clicked(preference(merged.teams, clicked))
        else:
            evidence += Evidence(new=search(shown, answer, rng))
        decision = decide(RAMP, at, evidence, alpha=ALPHA)
        if decision.outcome in (Outcome.STOP, Outcome.DONE):
            return decision.outcome, event + 1
        if decision.outcome is Outcome.NEXT:
            at, evidence = at + 1, Evidence()
    return Outcome.CONTINUE, MOST_EVENTS


def bench_false_stops(report: Report, world: World, rollouts: int) -> None:
    """Roll out what is as good as before: another one with neighbours exchanged, drawn for each query and rollout."""
    ends = []
    for seed in range(rollouts):
        rng = np.random.default_rng(seed)
        ends.append(
            roll_out(world, lambda q, rng=rng: (jittered(world.whole[q], rng), jittered(world.whole[q], rng)), seed)
        )
    stopped = sum(end is Outcome.STOP for end, _ in ends)
    done = [events for end, events in ends if end is Outcome.DONE]
    report.note(f"{rollouts} rollouts of an equal", stopped=stopped, done=len(done), searches=float(np.median(done)))
    assert stopped <= ALPHA * rollouts, f"{stopped} of {rollouts} rollouts were stopped without a reason"


def bench_regression(report: Report, world: World, rollouts: int) -> None:
    """Roll out a model that shuffles the results of one query in ten."""
    ends = []
    for seed in range(rollouts):
        ends.append(roll_out(world, regressed(world, seed).__getitem__, seed))
    events = [events for _, events in ends]
    stopped = sum(end is Outcome.STOP for end, _ in ends)
    figures = {"searches_median": float(np.median(events)), "searches_most": max(events)}
    report.note(f"{rollouts} rollouts of a regression in {DEGRADED:.0%} of the queries", stopped=stopped, **figures)
    assert stopped == rollouts, f"{rollouts - stopped} of {rollouts} rollouts did not stop"


def events_of(world: World, pairs: list[Pair], seed: int) -> Iterator[tuple[list[int], int, np.random.Generator]]:
    rng = np.random.default_rng(seed)
    for event in range(MOST_EVENTS):
        query = int(rng.integers(len(pairs)))
        yield [query, event], world.answers[query], rng


def until_interleaving_tells(world: World, pairs: list[Pair], seed: int) -> int:
    """Return after how many searches the preference for one of two rankings is sure."""
    preferred = Counts()
    for (query, event), answer, rng in events_of(world, pairs, seed):
        shown = team_draft(*pairs[query], K, f"{seed} {event}")
        sign = preference(shown.teams, clicks(shown.documents, answer, rng))
        if sign:
            preferred += Counts(int(sign > 0), 1)
            share = preferred.share(ALPHA, NEAR_HALF)
            if not share.low <= 0.5 <= share.high:
                return event + 1
    return MOST_EVENTS


def until_an_ab_test_tells(world: World, pairs: list[Pair], seed: int) -> int:
    """Return after how many searches, one half each, the mean reciprocal rank of the first click differs for sure."""
    arms = [Moments(), Moments()]
    for (query, event), answer, rng in events_of(world, pairs, seed):
        arm = int(rng.random() < 0.5)
        found = clicks(pairs[query][arm], answer, rng)
        arms[arm] += Moments.of(1 / (1 + found[0]) if found else 0.0)
        difference = mean_difference(*arms, ALPHA)
        if not difference.low <= 0 <= difference.high:
            return event + 1
    return MOST_EVENTS


def bench_events(report: Report, title: str, world: World, pairs: list[Pair], rollouts: int) -> float:
    """Compare the searches that both tests need for the same power; return the ratio."""
    ways = {"interleaving": until_interleaving_tells, "A/B": until_an_ab_test_tells}
    needed = {
        name: int(np.quantile([way(world, pairs, seed) for seed in range(rollouts)], POWER, method="higher"))
        for name, way in ways.items()
    }
    ratio = needed["A/B"] / needed["interleaving"]
    report.note(f"{title}: searches until {POWER:.0%} of {rollouts} tests tell", **needed, ratio=ratio)
    return ratio


def main() -> None:
    """Simulate; assert what a rollout promises."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rollouts", type=int, default=200)

    report = Report.from_arguments("rollout", more=more)
    rollouts = 2 if report.smoke else report.options.rollouts
    world = searched(3_000, 1_000)
    contests = {f"results of {DEGRADED:.0%} of the queries shuffled": regressed(world, 0)} | {
        f"{d} of 256 dimensions": list(zip(rankings, world.whole, strict=True)) for d, rankings in world.reduced.items()
    }
    for title, pairs in ({} if report.smoke else contests).items():
        ratio = bench_events(report, title, world, pairs, min(rollouts, 50))
        assert ratio >= 10 or "64" in title, f"{title}: interleaving needs one event for {ratio:.1f} of an A/B test"
    bench_regression(report, world, min(rollouts, 50))
    bench_false_stops(report, world, rollouts)
    report.finish()


if __name__ == "__main__":
    main()
