"""Measure the alternatives to a migration on judged queries, for one candidate or several, and give the verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.canary import TOLERANCE, cosines
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation import alternatives, holdout, metrics, pipeline, significance
from revector.evaluation.alternatives import (
    BOTH,
    MAP,
    QUERY_MODEL,
    REEMBED,
    RESCORED,
    RESCORED_MAP,
    STAY,
    Alternatives,
    Rankings,
)
from revector.evaluation.both import Side
from revector.evaluation.built import draw_built
from revector.evaluation.changed import changed
from revector.evaluation.decide import OTHERS_CONFIDENCE, Decided, decide
from revector.evaluation.exact import Matrix
from revector.evaluation.metrics import depth
from revector.evaluation.necessity import necessity
from revector.evaluation.question import Question
from revector.evaluation.separability import Separability, let_through, separability, threshold_of
from revector.evaluation.significance import (
    CONFIDENCE,
    MIN_QUERIES,
    Interval,
    chance_of_lift,
    mean_interval,
    paired_lift,
    widened,
)
from revector.evaluation.slices import slices
from revector.evaluation.verdict import Assessment, QueryScore, Row, Verdict
from revector.formats.judgements import Judgements
from revector.planning.cost import Cost

__all__ = ["assess", "weigh"]

TEXTS_A_BATCH = 256
QUERIES_TIMED = 5

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Candidate:
    """A model that may be moved to: its vectors, the speed at which they came, and what a query took."""

    encoder: TextEncoder
    drawn: holdout.Holdout
    side: Side
    documents_per_second: float
    query_seconds: float


@dataclass(frozen=True)
class _Present:
    """The model that serves, ``None`` if it is gone, and what a query takes by it."""

    encoder: TextEncoder | None
    queries: Matrix
    query_seconds: float
    n_documents: int


def assess(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder | None,
    new_encoders: Sequence[TextEncoder],
    judged: Judgements | None,
    question: Question,
) -> Assessment:
    """Compare staying, mapping and re-embedding on the same documents and judged queries.

    Parameters
    ----------
    backend : Backend
        Holds the documents and the old vectors, which are used as they are stored.
    generation : Generation
        The serving generation.
    old_encoder : TextEncoder or None
        Encodes the queries. Without it, staying answers nothing, and the candidates are compared with each other.
    new_encoders : sequence of TextEncoder
        The candidates: encode queries, and the documents anew.
    judged : Judgements or None
        Queries, and which documents answer them; with none, pairs are built from the documents.
    question : Question
        What is asked.

    Raises
    ------
    InvalidArgumentError
        Fewer than two queries can be used, what is asked takes the old model, and there is none, or an argument is
        something else; nothing is embedded.
    MissingExtraError
        The extra ``eval`` is not installed; nothing is embedded.
    EncoderError
        A model failed, or gave something else than a finite row for each query, or for every document.
    NumericalError
        A relative lift is asked for, and the old model scores 0 on every query.
    """
    metrics.require_library()  # what is missing or wrong is said before anything is embedded
    significance.require_library()
    if not new_encoders:
        raise InvalidArgumentError("no candidate is given; name at least one model")
    for encoder in new_encoders:
        space_of(encoder, "new_encoder")
    if old_encoder is not None:
        generation.space.require(old_encoder.space, purpose="the present model's queries")
    judged, drawn = _drawn(backend, generation, old_encoder, judged, question)
    if len(drawn.queries) < MIN_QUERIES:
        raise InvalidArgumentError(f"one judged query cannot tell models apart; judge {MIN_QUERIES}, better 100")
    asked = list(drawn.queries.values())
    gone = np.zeros((len(asked), generation.space.dimension), np.float32), 0.0
    timed = gone if old_encoder is None else _timed(old_encoder, asked)
    present = _Present(old_encoder, *timed, backend.documents.count())
    # what is refused as a whole is refused before the dear part
    asked_of = [_timed(encoder, asked) for encoder in new_encoders]
    confidence = 1 - (1 - CONFIDENCE) / len(new_encoders)
    scores = None if question.reranker is None else pipeline.RerankScores(question.reranker)
    found = [
        _assessed(present, generation, _embedded(encoder, drawn, *known), judged, question, scores, confidence)
        for encoder, known in zip(new_encoders, asked_of, strict=True)
    ]
    return _chosen(found, question)


def _drawn(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder | None,
    judged: Judgements | None,
    question: Question,
) -> tuple[Judgements, holdout.Holdout]:
    """Return the judgements, checked or built, and the documents that are searched."""
    most, seed = question.max_documents, question.seed
    if old_encoder is None:
        _require_no_old_model(generation, judged, question)
    if judged is None:
        assert old_encoder is not None
        return draw_built(backend, generation, old_encoder, max_documents=most, seed=seed)
    queries, qrels = metrics.checked_queries(judged.queries), metrics.checked_qrels(judged.qrels)
    drawn = holdout.draw(backend, generation.id, queries, qrels, max_documents=most, seed=seed)
    return judged, replace(drawn, notes=(*judged.notes, *drawn.notes))


def _require_no_old_model(generation: Generation, judged: Judgements | None, question: Question) -> None:
    """Refuse what takes the old model."""
    asked = {"pairs built from the documents": judged is None, "threshold": question.threshold is not None}
    asked["relative"] = question.relative
    if takes := [name for name, is_asked in asked.items() if is_asked]:
        raise InvalidArgumentError(
            f"the model of {generation.space} is not at hand, which {' and '.join(takes)} would take; give judged "
            "queries, and compare the candidates with each other"
        )


def _timed(encoder: TextEncoder, queries: list[str]) -> tuple[Matrix, float]:
    """Return the vectors of queries, and the seconds that one of them took alone."""
    vectors = encode_checked(encoder, queries, kind="query")
    few = queries[:QUERIES_TIMED]
    start = time.perf_counter()
    for query in few:
        encode_checked(encoder, [query], kind="query")
    return vectors, (time.perf_counter() - start) / len(few)


def _embedded(encoder: TextEncoder, drawn: holdout.Holdout, queries: Matrix, query_seconds: float) -> _Candidate:
    """Embed the documents; those that the model refuses are left out of every alternative."""
    texts = [encoder.space.text_of(document.text, document.metadata) for document in drawn.documents]
    start = time.perf_counter()
    outcomes = [
        outcome
        for at in range(0, len(texts), TEXTS_A_BATCH)
        for outcome in encode_each(encoder, texts[at : at + TEXTS_A_BATCH])
    ]
    seconds = max(time.perf_counter() - start, 1e-9)
    refused = {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, EncoderError)}
    if len(refused) == len(texts):
        raise EncoderError(f"{encoder.space} refuses all {len(texts):,} documents, the first one so: {refused[0]}")
    vectors = np.stack([outcome for outcome in outcomes if not isinstance(outcome, EncoderError)])
    side = Side(encoder.space, queries, vectors)
    return _Candidate(encoder, holdout.without(drawn, refused), side, len(texts) / seconds, query_seconds)


def _assessed(
    present: _Present,
    generation: Generation,
    candidate: _Candidate,
    judged: Judgements,
    question: Question,
    scores: pipeline.RerankScores | None,
    confidence: float,
) -> Verdict:
    """Measure every alternative that a candidate offers, and decide."""
    drawn, new = candidate.drawn, candidate.side
    old = Side(generation.space, present.queries, drawn.old_vectors)
    answers = present.encoder is not None
    options = alternatives.find(drawn, old, new, question.metric, _deep(question), seed=question.seed, answers=answers)
    stages = pipeline.stages(drawn, options.found, question, scores)
    scored = {
        stage: {name: holdout.scores_of(drawn, rankings, question.metric) for name, rankings in found.items()}
        for stage, found in stages.items()
    }
    whole, last = scored[list(stages)[-1]], stages[list(stages)[-1]]
    cost = Cost.of(present.n_documents, old.space, new.space, candidate.documents_per_second)
    lift, decided = weigh(
        whole,
        question,
        same_space=_is_one_space(old, new),
        seconds=cost.seconds,
        confidence=confidence,
        doubt=judged.doubt,
    )
    worse, better = changed(drawn, whole[STAY], whole[REEMBED], (last[STAY], last[REEMBED]))
    return Verdict(
        model=str(new.space.model),
        decision=decided.decision,
        reason=decided.reason,
        metric=question.metric,
        ground_truth=_ground_truth(drawn, present.n_documents, question.metric, list(stages)[-1]),
        judged_by=judged.judged_by,
        rows=tuple(
            row
            for stage, values in scored.items()
            for row in _rows(drawn, stage, stages[stage], values, cost, (present, candidate), question)
        ),
        lift=lift,
        p_value=chance_of_lift(
            whole[STAY], whole[REEMBED], question.min_lift, relative=question.relative, seed=question.seed
        ),
        min_lift=question.min_lift,
        relative=question.relative,
        queries_needed=decided.queries_needed,
        notes=(
            *necessity(drawn, old, new, (present.encoder, candidate.encoder), question.seed),
            *_prices(options, present, candidate),
            *_worth_keeping(whole, options, question),
            *drawn.notes,
        ),
        cost=cost,
        old_weight=options.old_weight,
        slices=slices(drawn, whole[STAY], whole[REEMBED], judged.facets, question),
        queries=tuple(
            QueryScore(id_, text, before, after)
            for (id_, text), before, after in zip(
                drawn.queries.items(), whole[STAY].tolist(), whole[REEMBED].tolist(), strict=True
            )
        ),
        worse=worse,
        better=better,
        separability=_separability(drawn, old, new, question.threshold),
    )


def weigh(
    values: Mapping[str, Values],
    question: Question,
    *,
    same_space: bool = False,
    seconds: float = 0.0,
    confidence: float = CONFIDENCE,
    doubt: float = 0.0,
) -> tuple[Interval, Decided]:
    """Return the lift of re-embedding, and what to do.

    Parameters
    ----------
    values : mapping of str to ndarray of float64, shape (n_queries,)
        The metric of every query under each alternative, by name.
    question : Question
        Says what is worth a migration.
    same_space, seconds
        As `revector.evaluation.decide.decide` takes them.
    confidence : float
        Of the interval of the lift.
    doubt : float
        Of the judgements: see `Judgements.doubt`.
    """
    lift = _lift(values, REEMBED, question, confidence, doubt)
    others = {
        name: _lift(values, name, question, OTHERS_CONFIDENCE, doubt)
        for name in (RESCORED_MAP, BOTH, QUERY_MODEL)
        if name in values
    }
    decided = decide(
        lift,
        question.min_lift,
        relative=question.relative,
        same_space=same_space,
        others=others,
        over_query_model=_over_query_model(values, question),
        seconds=seconds,
        doubt=doubt,
    )
    return lift, decided


def _deep(question: Question) -> int:
    """Return how many documents a ranking has to hold."""
    fused = pipeline.FUSED if question.bm25 else 0
    shown = question.rerank_documents if question.reranker is not None else 0
    return max(depth(question.metric), metrics.TABLE_DEPTH, fused, shown)


def _is_one_space(old: Side, new: Side) -> bool:
    """Whether both models give the same vectors, whatever their contracts are called."""
    if old.space.fingerprint == new.space.fingerprint:
        return True
    if (old.space.dimension, old.space.metric) != (new.space.dimension, new.space.metric):
        return False
    return float(cosines(old.documents, new.documents).min()) >= 1 - TOLERANCE


def _lift(values: Mapping[str, Values], name: str, question: Question, confidence: float, doubt: float) -> Interval:
    """Return what an alternative gains over staying."""
    lift = paired_lift(
        values[STAY], values[name], relative=question.relative, confidence=confidence, seed=question.seed
    )
    return widened(lift, doubt / float(values[STAY].mean()) if question.relative else doubt)


def _over_query_model(values: Mapping[str, Values], question: Question) -> Interval | None:
    if QUERY_MODEL not in values:
        return None
    return paired_lift(values[QUERY_MODEL], values[REEMBED], seed=question.seed)


def _ground_truth(drawn: holdout.Holdout, n_documents: int, metric: str, stage: str) -> str:
    found = len(drawn.documents)
    whole = f" {stage}," if stage else ""
    searched = f"exact search of {found:,} of {n_documents:,} documents"
    return f"{len(drawn.queries):,} judged queries, {metric},{whole} {searched}"


def _rows(
    drawn: holdout.Holdout,
    stage: str,
    found: Mapping[str, Rankings],
    values: Mapping[str, Values],
    cost: Cost,
    models: tuple[_Present, _Candidate],
    question: Question,
) -> list[Row]:
    """Build the table of a stage; a map costs the pairs it is fitted on, and a generation of mapped vectors."""
    old, new = (model.query_seconds for model in models)
    pairs = len(drawn.documents) / models[1].documents_per_second
    price: dict[str, tuple[float, int, int, float]] = {
        STAY: (0.0, 0, 0, old),
        MAP: (pairs, cost.target_bytes, 0, new),
        RESCORED_MAP: (pairs, cost.target_bytes, RESCORED, new),
        REEMBED: (cost.seconds, cost.target_bytes, 0, new),
        BOTH: (cost.seconds, cost.target_bytes, 0, old + new),
        QUERY_MODEL: (0.0, 0, 0, new),
    }
    best, scores_of = float(values[REEMBED].mean()), partial(holdout.scores_of, drawn)
    return [
        Row(
            name,
            mean_interval(each, seed=question.seed),
            float(each.mean()) / best if best else None,
            *price[name],
            pipeline=stage,
            metrics={
                metric: float((each if metric == question.metric else scores_of(found[name], metric)).mean())
                for metric in metrics.TABLE
            },
        )
        for name, each in values.items()
    ]


def _prices(options: Alternatives, present: _Present, candidate: _Candidate) -> tuple[str, ...]:
    """Say what a query takes."""
    old, new = (f"{1000 * model.query_seconds:.2g} ms" for model in (present, candidate))
    encoding = f"a query is encoded in {old} by the old model, {new} by the new one"
    if present.encoder is None:
        encoding = f"the old model is not at hand: staying finds nothing; a query is encoded in {new} by the new one"
    if RESCORED_MAP not in options.found:
        return (encoding,)
    rescoring = f"the best {RESCORED} documents of a query are embedded on the spot, each once where vectors are kept"
    return (encoding, f"map + re-score: {rescoring}")


def _worth_keeping(values: Mapping[str, Values], options: Alternatives, question: Question) -> tuple[str, ...]:
    """Say whether both generations together find more than the new one alone."""
    if BOTH not in values or not options.old_weight:
        return ()
    gain = paired_lift(values[REEMBED], values[BOTH], seed=question.seed)
    ends = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over the new model alone"
    price = "the old vectors and the old model are kept for good, and every query is encoded by both"
    how = f"start --strategy 'background,dual-index?weight_of_old={options.old_weight:g}&after_cutover=true'"
    return (f"keep both, the old model with a weight of {options.old_weight:g}: {ends}; {price} ({how})",)


def _separability(drawn: holdout.Holdout, old: Side, new: Side, threshold: float | None) -> dict[str, Separability]:
    """Measure the application's threshold, and the one of the new model that lets as many hits through."""
    if threshold is None:
        return {}
    translated = threshold_of(new, let_through(old, threshold))
    return {"old": separability(drawn, old, threshold), "new": separability(drawn, new, translated)}


def _chosen(found: Sequence[Verdict], question: Question) -> Assessment:
    """Choose among the candidates that are worth it: the best, or the cheapest that is no worse beyond chance."""
    measured_at = time.time()
    worth = [place for place, verdict in enumerate(found) if verdict.decision.moves]
    if not worth:
        return Assessment(tuple(found), None, "no candidate is worth a migration", measured_at)
    best = max(worth, key=lambda place: found[place].lift.value)
    equal = [place for place in worth if place == best or not _is_worse(found[place], found[best], question)]
    chosen = min(equal, key=lambda place: found[place].cost.seconds)
    reason = f"{found[chosen].model}: {found[chosen].decision.value}"
    if chosen != best:
        reason += f"; {found[best].model} is not better beyond chance, and takes longer"
    return Assessment(tuple(found), chosen, reason, measured_at)


def _is_worse(one: Verdict, other: Verdict, question: Question) -> bool:
    """Whether a candidate is worse than another one beyond chance, on the queries that both answered."""
    scores = {each.id: each.new for each in other.queries}
    both = [(each.new, scores[each.id]) for each in one.queries if each.id in scores]
    ours, theirs = np.array(both).T
    return paired_lift(ours, theirs, seed=question.seed).low > 0
