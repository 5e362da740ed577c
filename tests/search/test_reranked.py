"""`search(rerank=…)`: the re-ranker's order first, within a budget, and never an error for its sake."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import tiny_bert
from revector import CrossEncoder
from revector.collection import Collection
from revector.errors import InvalidArgumentError, ServiceError, ShapeError
from revector.rerank.base import RerankBudget
from revector.rerank.llm import LlmReranker
from revector.testing import HashEncoder
from services import KEY, Service, running, stalls

TEXTS = [f"text number {i}" for i in range(40)]
QUERY = "text number 3"


class Backwards:
    """Prefers the highest numbers."""

    def __init__(self, seconds_a_text: float = 0.0) -> None:
        self.seen: list[str] = []
        self._seconds = seconds_a_text

    def score(self, query: str, texts: Any) -> Any:
        self.seen += texts
        time.sleep(self._seconds * len(texts))
        return np.array([float(text.split()[-1]) for text in texts])


@pytest.fixture
def docs(places: Any) -> Any:
    with Collection.open(places / "docs.db", HashEncoder(16, seed=1)) as docs:
        docs.upsert(TEXTS, TEXTS)
        yield docs


@pytest.fixture
def service() -> Any:
    with running(Service()) as service:
        yield service


def ids(hits: Any) -> list[str]:
    return [hit.id for hit in hits]


def test_the_order_is_that_of_the_reranker(docs: Collection) -> None:
    hits = docs.search(QUERY, 5, rerank=Backwards())
    assert ids(hits) == [f"text number {i}" for i in range(39, 34, -1)]
    assert [hit.rerank_score for hit in hits] == [39, 38, 37, 36, 35]


def test_no_more_documents_are_shown_than_the_budget_has(docs: Collection) -> None:
    before, reranker = ids(docs.search(QUERY, 10)), Backwards()
    hits = docs.search(QUERY, 10, rerank=reranker, rerank_budget=RerankBudget(documents=4))
    assert reranker.seen == before[:4]
    assert ids(hits)[4:] == before[4:]


def test_what_does_not_fit_into_the_time_keeps_its_order(docs: Collection) -> None:
    before, budget = ids(docs.search(QUERY, 20)), RerankBudget(documents=20, milliseconds=100)
    hits = docs.search(QUERY, 20, rerank=Backwards(0.02), rerank_budget=budget)
    n = sum(hit.rerank_score is not None for hit in hits)
    assert 4 <= n < 10
    assert ids(hits)[n:] == before[n:]
    assert hits[0].degraded == f"{n} of 20 documents were re-ranked within the budget"


def test_several_queries_are_reranked_each(docs: Collection) -> None:
    assert [hits[0].id for hits in docs.search([QUERY, "text"], 1, rerank=Backwards())] == ["text number 39"] * 2


def test_a_language_model_reranks(docs: Collection, service: Service) -> None:
    judge = LlmReranker("a-model", base_url=service.url, api_key=KEY)
    assert docs.search(QUERY, 1, rerank=judge)[0].rerank_score == 30
    judge.close()


def test_a_cross_encoder_reranks(docs: Collection, tmp_path: Any) -> None:
    encoder = CrossEncoder.from_pretrained(tiny_bert.make(tmp_path / "model", labels=1))
    hits = docs.search(QUERY, 40, rerank=encoder, rerank_budget=RerankBudget(documents=40, milliseconds=None))
    scores = dict(zip(TEXTS, encoder.score(QUERY, TEXTS).tolist(), strict=True))
    assert [hit.rerank_score for hit in hits] == sorted(scores.values(), reverse=True)
    assert all(hit.rerank_score == scores[hit.id] for hit in hits)


def test_a_service_is_not_waited_for(docs: Collection, service: Service) -> None:
    service.otherwise = stalls(5)
    judge = LlmReranker("a-model", base_url=service.url, api_key=KEY)
    began = time.perf_counter()
    hits = docs.search(QUERY, 5, rerank=judge, rerank_budget=RerankBudget(milliseconds=50))
    assert time.perf_counter() - began < 2
    assert ids(hits) == ids(docs.search(QUERY, 5))
    assert "0 of 40 documents" in (hits[0].degraded or "")


def test_money_bounds_how_many_documents_are_shown(docs: Collection, service: Service) -> None:
    judge = LlmReranker("a-model", base_url=service.url, api_key=KEY, price_per_million_tokens=1000.0)
    budget = RerankBudget(money=0.75 * judge.cost(QUERY, TEXTS))
    hits = docs.search(QUERY, 10, rerank=judge, rerank_budget=budget)
    shown = len(service.exchanges[0].shown["documents"])
    assert 1 < shown < 40
    assert hits[0].degraded == f"{shown} of 40 documents were re-ranked within the budget"
    judge.close()


def test_a_budget_of_money_needs_a_price(docs: Collection, service: Service) -> None:
    judge = LlmReranker("a-model", base_url=service.url, api_key=KEY)
    with pytest.raises(InvalidArgumentError, match="has no price"):
        docs.search(QUERY, 5, rerank=judge, rerank_budget=RerankBudget(money=1.0))


def test_a_reranker_that_fails_does_not_fail_the_search(docs: Collection) -> None:
    class Failing:
        def score(self, query: str, texts: Any) -> Any:
            raise ServiceError("down for today")

    hits = docs.search(QUERY, 5, rerank=Failing())
    assert ids(hits) == ids(docs.search(QUERY, 5))
    assert hits[0].degraded == "not re-ranked: down for today"


def test_a_reranker_that_gives_something_else_than_scores_is_refused(docs: Collection) -> None:
    class Classifying:
        def score(self, query: str, texts: Any) -> Any:
            return np.zeros((len(texts), 3))

    with pytest.raises(ShapeError, match="one each"):
        docs.search(QUERY, 5, rerank=Classifying())


@pytest.mark.parametrize("asked", [{"rerank": "a-model"}, {"rerank_budget": 50}])
def test_something_else_is_refused(docs: Collection, asked: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(asked))):
        docs.search(QUERY, 5, **asked)
