"""Measure the alternatives (stay, map, re-embed) on judged queries, and give the verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector._arguments import flag, number, whole_number
from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation import holdout, metrics, significance
from revector.evaluation.both import Side, keep_both
from revector.evaluation.exact import Keys, Matrix, topk
from revector.evaluation.metrics import Qrels, depth
from revector.evaluation.significance import MIN_QUERIES, mean_interval, paired_lift
from revector.evaluation.verdict import Row, Verdict, decide
from revector.planning.cost import Cost
from revector.spaces import EmbeddingSpace

NEIGHBOURS = 10
NEIGHBOUR_SAMPLE = 500
TEXTS_A_BATCH = 256
QUERIES_TIMED = 5
RESCORED = 50
"""Best documents by the map that are ranked anew by their true vectors."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """What is asked of an assessment.

    Parameters
    ----------
    metric : str
        What quality is measured by (see `revector.evaluation.metrics.depth`).
    min_lift : float
        The lift above which a migration is worth it.
    relative : bool
        Whether `min_lift` is a share of the present quality.
    max_documents : int
        How many documents are embedded for the comparison, if no more are judged.
    seed : int
        Of everything drawn at random.
    """

    metric: str = "nDCG@10"
    min_lift: float = 0.0
    relative: bool = False
    max_documents: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        depth(self.metric)
        number(self.min_lift, "min_lift")
        flag(self.relative, "relative")
        whole_number(self.max_documents, "max_documents", least=1)
        whole_number(self.seed, "seed", least=0)


@dataclass(frozen=True)
class _Embedded:
    """The candidate's vectors, the speed at which they came, and what a query took."""

    documents: Matrix
    queries: Matrix
    documents_per_second: float
    query_seconds: float


@dataclass(frozen=True)
class _Measured:
    """The metric of every query under each alternative, and the weight of the old model where both are kept."""

    per_query: dict[str, Values]
    old_weight: float


def assess(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder,
    new_encoder: TextEncoder,
    queries: Mapping[str, str],
    qrels: Qrels,
    question: Question,
) -> Verdict:
    """Compare staying, mapping and re-embedding on the same documents and judged queries.

    Parameters
    ----------
    backend : Backend
        Holds the documents and the old vectors, which are used as they are stored.
    generation : Generation
        The serving generation.
    old_encoder, new_encoder : TextEncoder
        Encoders of the queries, and of the documents' new vectors.
    queries : mapping of str to str
        Query id to text.
    qrels : mapping of str to mapping of str to int
        Query id to document id to grade; above 0 is relevant.
    question : Question
        What is asked.

    Raises
    ------
    InvalidArgumentError
        Fewer than two queries can be used, or an argument is something else; nothing is embedded.
    MissingExtraError
        The extra ``eval`` is not installed; nothing is embedded.
    EncoderError
        A model failed, or gave something else than a finite row for each query, or for every document.
    NumericalError
        A relative lift is asked for, and the old model scores 0 on every query.
    """
    metrics.require_library()  # what is missing or wrong is said before anything is embedded
    significance.require_library()
    queries, qrels = metrics.checked_queries(queries), metrics.checked_qrels(qrels)
    space_of(new_encoder, "new_encoder")
    generation.space.require(old_encoder.space, purpose="the present model's queries")
    drawn = holdout.draw(
        backend, generation.id, queries, qrels, max_documents=question.max_documents, seed=question.seed
    )
    if len(drawn.queries) < MIN_QUERIES:
        raise InvalidArgumentError(f"one judged query cannot tell models apart; judge {MIN_QUERIES}, better 100")
    asked = list(drawn.queries.values())
    old_queries, old_seconds = _timed(old_encoder, asked)
    new_queries, new_seconds = _timed(new_encoder, asked)
    drawn, new = _embed(new_encoder, drawn, new_queries, new_seconds)  # the dear part, after what is refused as a whole
    measured = _measure(drawn, Side(generation.space, old_queries, drawn.old_vectors), new_encoder.space, new, question)
    return _verdict(
        backend.documents.count(), drawn, generation.space, new_encoder.space, new, measured, old_seconds, question
    )


def _timed(encoder: TextEncoder, queries: list[str]) -> tuple[Matrix, float]:
    """Return the vectors of queries, and the seconds that one of them took alone."""
    vectors = encode_checked(encoder, queries, kind="query")
    few = queries[:QUERIES_TIMED]
    start = time.perf_counter()
    for query in few:
        encode_checked(encoder, [query], kind="query")
    return vectors, (time.perf_counter() - start) / len(few)


def _embed(
    encoder: TextEncoder, drawn: holdout.Holdout, queries: Matrix, query_seconds: float
) -> tuple[holdout.Holdout, _Embedded]:
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
    return holdout.without(drawn, refused), _Embedded(vectors, queries, len(texts) / seconds, query_seconds)


def _measure(
    drawn: holdout.Holdout, old: Side, new_space: EmbeddingSpace, new: _Embedded, question: Question
) -> _Measured:
    """Score every query under each alternative; those with a map are missing where none could be fitted."""
    metric = question.metric
    found = {"stay": holdout.scores(drawn, old.space, old.queries, old.documents, metric)}
    mapped = holdout.cross_fitted(old.documents, new.documents, seed=question.seed)
    if mapped is not None:
        found["map"] = holdout.scores(drawn, new_space, new.queries, mapped, metric)
        anew = holdout.rescored(new_space, new.queries, mapped, new.documents, max(RESCORED, depth(metric)))
        found["map + re-score"] = holdout.scores_of(drawn, anew, metric)
    found["re-embed"] = holdout.scores(drawn, new_space, new.queries, new.documents, metric)
    if old.space.fingerprint == new_space.fingerprint:
        return _Measured(found, 0.0)
    side = Side(new_space, new.queries, new.documents)

    def score(rankings: list[Keys]) -> Values:
        return holdout.scores_of(drawn, rankings, metric)

    both = keep_both(old, side, score, depth(metric), seed=question.seed)
    found["keep both"] = both.values
    return _Measured(found, both.old_weight)


def _verdict(
    n_documents: int,
    drawn: holdout.Holdout,
    old_space: EmbeddingSpace,
    new_space: EmbeddingSpace,
    new: _Embedded,
    measured: _Measured,
    old_query_seconds: float,
    question: Question,
) -> Verdict:
    per_query = measured.per_query
    lift = paired_lift(per_query["stay"], per_query["re-embed"], relative=question.relative, seed=question.seed)
    same = old_space.fingerprint == new_space.fingerprint
    decision, reason, needed = decide(lift, question.min_lift, relative=question.relative, same_space=same)
    cost = Cost.of(n_documents, old_space, new_space, new.documents_per_second)
    return Verdict(
        decision=decision,
        reason=reason,
        metric=question.metric,
        ground_truth=_ground_truth(drawn, n_documents, question.metric),
        rows=_rows(per_query, cost, new, len(drawn.documents), old_query_seconds, question.seed),
        lift=lift,
        min_lift=question.min_lift,
        relative=question.relative,
        queries_needed=needed,
        notes=(
            *_necessity(drawn, old_space, new_space, new, question.seed),
            *_prices(measured.per_query, old_query_seconds, new.query_seconds),
            *_worth_keeping(measured, question),
            *drawn.notes,
        ),
        cost=cost,
        old_weight=measured.old_weight,
    )


def _ground_truth(drawn: holdout.Holdout, n_documents: int, metric: str) -> str:
    found = len(drawn.documents)
    return f"{len(drawn.queries):,} judged queries, {metric}, exact search of {found:,} of {n_documents:,} documents"


def _rows(
    per_query: dict[str, Values], cost: Cost, new: _Embedded, n_pairs: int, old_query_seconds: float, seed: int
) -> tuple[Row, ...]:
    """Build the table; a map costs the pairs it is fitted on, and a generation of mapped vectors."""
    pairs = n_pairs / new.documents_per_second
    price: dict[str, tuple[float, int, int, float]] = {
        "stay": (0.0, 0, 0, old_query_seconds),
        "map": (pairs, cost.target_bytes, 0, new.query_seconds),
        "map + re-score": (pairs, cost.target_bytes, RESCORED, new.query_seconds),
        "re-embed": (cost.seconds, cost.target_bytes, 0, new.query_seconds),
        "keep both": (cost.seconds, cost.target_bytes, 0, old_query_seconds + new.query_seconds),
    }
    best = float(per_query["re-embed"].mean())
    return tuple(
        Row(name, mean_interval(values, seed=seed), float(values.mean()) / best if best else None, *price[name])
        for name, values in per_query.items()
    )


def _prices(per_query: Mapping[str, Values], old_seconds: float, new_seconds: float) -> tuple[str, ...]:
    """Say what a query takes."""
    old, new = (f"{1000 * seconds:.2g} ms" for seconds in (old_seconds, new_seconds))
    encoding = f"a query is encoded in {old} by the old model, {new} by the new one"
    if "map + re-score" not in per_query:
        return (encoding,)
    rescoring = f"the best {RESCORED} documents of a query are embedded on the spot, each once where vectors are kept"
    return (encoding, f"map + re-score: {rescoring}")


def _worth_keeping(measured: _Measured, question: Question) -> tuple[str, ...]:
    """Say whether both generations together find more than the new one alone."""
    if "keep both" not in measured.per_query or not measured.old_weight:
        return ()
    gain = paired_lift(measured.per_query["re-embed"], measured.per_query["keep both"], seed=question.seed)
    ends = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over the new model alone"
    price = "the old vectors and the old model are kept for good, and every query is encoded by both"
    how = f"start --strategy 'background,dual-index?weight_of_old={measured.old_weight:g}&after_cutover=true'"
    return (f"keep both, the old model with a weight of {measured.old_weight:g}: {ends}; {price} ({how})",)


def _necessity(
    drawn: holdout.Holdout, old: EmbeddingSpace, new: EmbeddingSpace, embedded: _Embedded, seed: int
) -> tuple[str, ...]:
    """List what changes with the model beside its quality."""
    if old.fingerprint == new.fingerprint:
        return ("the contracts of the two encoders are the same; only the backend changes",)
    notes = [
        f"neighbourhoods: {_overlap(drawn, old, new, embedded, seed):.0%} of the {NEIGHBOURS} nearest documents stay"
    ]
    if old.dimension != new.dimension:
        notes.append(f"dimension changes from {old.dimension} to {new.dimension}: new storage and a new index")
    if old.metric != new.metric:
        notes.append(f"metric changes from {old.metric} to {new.metric}: thresholds on scores have to be set anew")
    return tuple(notes)


def _overlap(drawn: holdout.Holdout, old: EmbeddingSpace, new: EmbeddingSpace, embedded: _Embedded, seed: int) -> float:
    """Share of the nearest documents that both models agree on, averaged over a sample of documents."""
    n = len(drawn.documents)
    sample = np.random.default_rng(seed).choice(n, size=min(n, NEIGHBOUR_SAMPLE), replace=False)
    _, before = topk(old, drawn.old_vectors[sample], drawn.old_vectors, NEIGHBOURS + 1)
    _, after = topk(new, embedded.documents[sample], embedded.documents, NEIGHBOURS + 1)
    shares = [
        len(set(a.tolist()) & set(b.tolist()) - {i}) / max(1, len(set(a.tolist()) - {i}))
        for i, a, b in zip(sample.tolist(), before, after, strict=True)
    ]
    return float(np.mean(shares))
