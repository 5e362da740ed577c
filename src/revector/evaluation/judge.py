"""Judgements by a language model: it grades what either of two models finds, and is not told which one found it."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from revector._arguments import shown, whole_number
from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder
from revector.encoders.service.chat import ChatModel
from revector.encoders.service.parallel import run_bounded
from revector.errors import InvalidArgumentError
from revector.evaluation.agreement import Agreement, agreement_of
from revector.evaluation.grading import (
    DOCUMENTS_A_REQUEST,
    HIGHEST,
    AskedQuery,
    GradingSession,
    JudgeBudget,
    given_to,
    in_parts,
    tokens_at_most,
)
from revector.evaluation.metrics import Qrels, checked_qrels, checked_queries
from revector.evaluation.pools import pooled
from revector.formats.judgements import Judgements

__all__ = ["HIGHEST", "Foreseen", "JudgeBudget", "Judged", "Pools", "foresee_judging", "judge", "judge_found"]

INTERRUPTED = "it was interrupted"
"""Why grading has ended early, where it was by Ctrl-C."""

Pools = Mapping[str, Mapping[str, str]]
"""Query id -> document id -> text: what is graded for each query."""


@dataclass(frozen=True)
class Judged:
    """What a model has judged.

    Parameters
    ----------
    judgements : Judgements
        Of the queries all of whose documents were graded.
    agreement : Agreement or None
        With grades that people gave, if there are any.
    documents, requests, tokens : int
        Grades; what was sent; what was charged.
    spent : float or None
        ``None`` without a price.
    left_out : int
        Queries for which the model's answers could not be used.
    not_asked : int
        Queries that were not asked, or not to the end: `ended` says why.
    ended : str or None
        Why it stopped early.
    """

    judgements: Judgements
    agreement: Agreement | None
    documents: int
    requests: int
    tokens: int
    spent: float | None
    left_out: int
    not_asked: int
    ended: str | None


@dataclass(frozen=True)
class Foreseen:
    """What judging takes at most; `price` is ``None`` without a price."""

    requests: int
    tokens: int
    price: float | None


def judge(
    llm: ChatModel,
    queries: Mapping[str, str],
    pools: Pools,
    *,
    people: Qrels | None = None,
    budget: JudgeBudget | None = None,
    seed: int = 0,
) -> Judged:
    """Have a model grade documents from 0 to `HIGHEST`.

    The queries are asked in an order drawn at random, so that those that a budget allows are a sample; the documents of
    a query are shuffled, too.

    Parameters
    ----------
    llm : ChatModel
        Its price and spend cap hold.
    queries : mapping of str to str
        Query id to text.
    pools : mapping of str to mapping of str to str
        Query id to document id to text. A query without documents is left out.
    people : mapping of str to mapping of str to int, optional
        Grades that people gave to some of the documents: the model's agreement with them is measured.
    budget : JudgeBudget, optional
    seed : int
        Of the orders.

    Raises
    ------
    InvalidArgumentError
        There is nothing to grade, or an argument is something else.
    ServiceError, RateLimitedError, SpendCapError
        Nothing was graded, for this reason. Where something was, it is kept, and `Judged.ended` has the reason.
    KeyboardInterrupt
        Nothing was graded by then. Where something was, it is kept, and `Judged.ended` says so.
    """
    _require_llm(llm)
    texts, human = checked_queries(queries), checked_qrels(people or {})
    wanted = [query for query in texts if pools.get(query)]
    if not wanted:
        raise InvalidArgumentError("there is nothing to grade: none of the queries has documents")
    order = np.random.default_rng(whole_number(seed, "seed", least=0)).permutation(len(wanted)).tolist()
    session = GradingSession(llm, budget or JudgeBudget())
    items = [AskedQuery(texts[wanted[place]], pools[wanted[place]], (seed, place)) for place in order]
    graded: dict[int, dict[str, int]] = {}

    def grade(place: int, stop: threading.Event) -> None:
        if (grades := session.grade(items[place], stop)) is not None:
            graded[order[place]] = grades

    try:
        run_bounded(grade, range(len(items)), threads=llm.concurrency)
    except KeyboardInterrupt:
        if not graded:
            raise
        session.end(INTERRUPTED)  # what was paid for is kept
    kept = dict(graded)  # requests that were under way may still be answered
    qrels = {wanted[place]: kept[place] for place in sorted(kept)}
    if not qrels:
        raise session.error or next(
            iter(session.unusable), InvalidArgumentError(f"nothing was graded: {session.ended}")
        )
    both = any(document in qrels.get(query, ()) for query, grades in human.items() for document in grades)
    return _judged(session, texts, qrels, agreement_of(human, qrels) if both else None, len(wanted), bool(human))


def judge_found(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder,
    new_encoder: TextEncoder,
    llm: ChatModel,
    queries: Mapping[str, str],
    *,
    people: Qrels | None = None,
    k: int = 10,
    budget: JudgeBudget | None = None,
    max_documents: int = 20_000,
    seed: int = 0,
) -> Judged:
    """Have a model grade what two models find; see `judge` and `revector.evaluation.pools.pooled`.

    What is wrong with an argument is said before anything is embedded.
    """
    _require_llm(llm)
    k, max_documents = whole_number(k, "k", least=1), whole_number(max_documents, "max_documents", least=1)
    seed, texts, human = whole_number(seed, "seed", least=0), checked_queries(queries), checked_qrels(people or {})
    if not isinstance(budget, (JudgeBudget, type(None))):
        raise InvalidArgumentError(f"budget is {shown(budget)}, expected a JudgeBudget")
    pools = pooled(
        backend,
        generation,
        old_encoder,
        new_encoder,
        texts,
        k=k,
        max_documents=max_documents,
        people=human,
        seed=seed,
    )
    return judge(llm, texts, pools, people=human, budget=budget, seed=seed)


def _require_llm(llm: ChatModel) -> None:
    if not isinstance(llm, ChatModel):
        raise InvalidArgumentError(f"llm is {shown(llm)}, expected a ChatModel")


def foresee_judging(llm: ChatModel, queries: Sequence[str], texts: Sequence[str], documents: int) -> Foreseen:
    """Return what grading so many documents of each query takes at most; nothing is sent.

    Parameters
    ----------
    llm : ChatModel
    queries : sequence of str
        Their texts.
    texts : sequence of str
        Of some documents, drawn at random.
    documents : int
        To grade for each query: of two models' first k, 2k at most.
    """
    requests = len(queries) * math.ceil(documents / DOCUMENTS_A_REQUEST) if texts else 0
    if not requests:
        return Foreseen(0, 0, llm.price_of(0))
    longest = max(queries, key=len)
    mean = np.mean([tokens_at_most(llm, given_to(longest, part)) / len(part) for part in in_parts(texts)])
    tokens = math.ceil(float(mean) * len(queries) * documents)
    return Foreseen(requests, tokens, llm.price_of(tokens))


def _judged(
    session: GradingSession,
    queries: Mapping[str, str],
    qrels: dict[str, dict[str, int]],
    agreement: Agreement | None,
    wanted: int,
    has_people: bool,
) -> Judged:
    left_out, documents = len(session.unusable), sum(map(len, qrels.values()))
    not_asked = wanted - len(qrels) - left_out
    cost = "" if session.spent is None else f", at a price of {session.spent:.4g}"
    graded = f"{documents:,} documents of {len(qrels):,} queries graded by {session.model} from 0 to {HIGHEST}"
    unmeasured = "no document that people graded was graded: the agreement is not known" if has_people else None
    notes = [
        f"{graded}, in {session.requests:,} requests and {session.tokens:,} tokens{cost}",
        "what neither model returned was not judged, and counts as not relevant",
        f"agreement with people: {agreement}" if agreement else unmeasured or "its agreement with people is not known",
    ]
    if left_out:
        notes.append(
            f"{left_out:,} queries left out, for no answer could be used; the first one: {session.unusable[0]}"
        )
    if not_asked:
        notes.append(f"{not_asked:,} queries were not asked: {session.ended}")
    asked = {query: queries[query] for query in qrels}
    return Judged(
        Judgements(asked, qrels, f"a model: {session.model}", tuple(notes)),
        agreement,
        documents,
        session.requests,
        session.tokens,
        session.spent,
        left_out,
        not_asked,
        session.ended,
    )
