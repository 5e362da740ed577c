"""Measure the alternatives to a migration on judged queries, for one candidate or several, and give the verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.canary import TOLERANCE, cosines
from revector.errors import InvalidArgumentError
from revector.evaluation import alternatives, holdout, metrics, pipeline, significance
from revector.evaluation.alternatives import REEMBED, STAY
from revector.evaluation.both import Side
from revector.evaluation.built import draw_built
from revector.evaluation.changed import changed
from revector.evaluation.compared import Candidate, Present, embedded, timed
from revector.evaluation.metrics import depth
from revector.evaluation.necessity import necessity
from revector.evaluation.question import Question
from revector.evaluation.separability import Separability, let_through, separability, threshold_of
from revector.evaluation.significance import CONFIDENCE, MIN_QUERIES, chance_of_lift, paired_lift
from revector.evaluation.slices import slices
from revector.evaluation.table import prices, rows_of, worth_keeping
from revector.evaluation.verdict import Assessment, QueryScore, Verdict
from revector.evaluation.weigh import weigh
from revector.formats.judgements import Judgements
from revector.planning.cost import Cost

__all__ = ["assess"]


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
    answered = gone if old_encoder is None else timed(old_encoder, asked)
    present = Present(old_encoder, *answered, backend.documents.count())
    # what is refused as a whole is refused before the dear part
    asked_of = [timed(encoder, asked) for encoder in new_encoders]
    confidence = 1 - (1 - CONFIDENCE) / len(new_encoders)
    scores = None if question.reranker is None else pipeline.RerankScores(question.reranker)
    found = [
        _assessed(present, generation, embedded(encoder, drawn, *known), judged, question, scores, confidence)
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


def _assessed(
    present: Present,
    generation: Generation,
    candidate: Candidate,
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
            for row in rows_of(drawn, stage, stages[stage], values, cost, (present, candidate), question)
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
            *prices(options, present, candidate),
            *worth_keeping(whole, options, question),
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


def _ground_truth(drawn: holdout.Holdout, n_documents: int, metric: str, stage: str) -> str:
    found = len(drawn.documents)
    whole = f" {stage}," if stage else ""
    searched = f"exact search of {found:,} of {n_documents:,} documents"
    return f"{len(drawn.queries):,} judged queries, {metric},{whole} {searched}"


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
