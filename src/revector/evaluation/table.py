"""The table of a verdict: every alternative with its quality and its price, and what there is to say of prices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from revector.evaluation import holdout, metrics
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
from revector.evaluation.compared import Candidate, Present
from revector.evaluation.question import Question
from revector.evaluation.significance import mean_interval, paired_lift
from revector.evaluation.verdict import Row
from revector.evaluation.weigh import Values
from revector.planning.cost import Cost

__all__ = ["prices", "rows_of", "worth_keeping"]


def rows_of(
    drawn: holdout.Holdout,
    stage: str,
    found: Mapping[str, Rankings],
    values: Mapping[str, Values],
    cost: Cost,
    models: tuple[Present, Candidate],
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


def prices(options: Alternatives, present: Present, candidate: Candidate) -> tuple[str, ...]:
    """Say what a query takes."""
    old, new = (f"{1000 * model.query_seconds:.2g} ms" for model in (present, candidate))
    encoding = f"a query is encoded in {old} by the old model, {new} by the new one"
    if present.encoder is None:
        encoding = f"the old model is not at hand: staying finds nothing; a query is encoded in {new} by the new one"
    if RESCORED_MAP not in options.found:
        return (encoding,)
    rescoring = f"the best {RESCORED} documents of a query are embedded on the spot, each once where vectors are kept"
    return (encoding, f"map + re-score: {rescoring}")


def worth_keeping(values: Mapping[str, Values], options: Alternatives, question: Question) -> tuple[str, ...]:
    """Say whether both generations together find more than the new one alone."""
    if BOTH not in values or not options.old_weight:
        return ()
    gain = paired_lift(values[REEMBED], values[BOTH], seed=question.seed)
    ends = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over the new model alone"
    price = "the old vectors and the old model are kept for good, and every query is encoded by both"
    how = f"start --strategy 'background,dual-index?weight_of_old={options.old_weight:g}&after_cutover=true'"
    return (f"keep both, the old model with a weight of {options.old_weight:g}: {ends}; {price} ({how})",)
