"""Searches of a collection, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, overload

from revector._arguments import function, number, shown, strings, valid_unicode
from revector.errors import InvalidArgumentError
from revector.migration.canaries import warn_of_another_model
from revector.migration.scales import note_scale
from revector.migration.signs import search_p50, search_p99
from revector.migration.strategies.base import Merging
from revector.rerank.base import DEFAULT_BUDGET, RerankBudget, Reranker
from revector.search.capture import (
    Capture,
    Scrub,
    captured_queries,
    forget_captured,
    without_numbers,
)
from revector.search.hits import Hit
from revector.search.replay import Replay, replay
from revector.search.request import Asked, Request
from revector.search.searcher import Rescored
from revector.search.thresholds import Threshold
from revector.spaces import EmbeddingSpace

if TYPE_CHECKING:
    from typing_extensions import Unpack

from revector.collection.opened import Opened

__all__ = ["Searching"]


class Searching(Opened):
    """Answers queries, in whatever phase a migration is."""

    @overload
    def search(self, query: str, k: int = 10, **asked: Unpack[Asked]) -> list[Hit]: ...

    @overload
    def search(self, query: list[str] | tuple[str, ...], k: int = 10, **asked: Unpack[Asked]) -> list[list[Hit]]: ...

    def search(
        self,
        query: str | list[str] | tuple[str, ...],
        k: int = 10,
        *,
        where: Mapping[str, Any] | None = None,
        rescore: int | None = None,
        write_through: bool | None = None,
        merge: Merging | None = None,
        explain: bool = False,
        threshold: float | Threshold | None = None,
        rerank: Reranker | None = None,
        rerank_budget: RerankBudget | None = None,
        key: str | None = None,
    ) -> list[Hit] | list[list[Hit]]:
        """Find the documents nearest to a query, right in every phase of a migration.

        Parameters
        ----------
        query : str, or list or tuple of str
            One text, or several.
        k : int
            Hits a query; fewer only where fewer documents match.
        where : mapping, optional
            What must hold for the documents' metadata: ``{"tenant": "a", "year": {">=": 2020}}``. Fields are compared
            by ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``contains`` and ``exists``; filters are joined by
            ``"and"``, ``"or"`` and ``"not"``. `revector.backends.filters` says it in full.
        rescore : int, optional
            While documents move: how many of the best hits that have not moved are embedded with the new model on the
            spot, however long that takes. By default the migration's strategy says, within a budget of milliseconds;
            what does not fit is left to `run`.
        write_through : bool, optional
            Whether those vectors are stored, so that each is paid for once; by default the strategy says (yes).
        merge : {"zscore", "calibrated", "minmax", "rrf"}, optional
            While two generations answer: how their scores become one (`revector.search.ranking.in_new_space`). By
            default the strategy says.
        explain : bool
            Whether every hit says how it came by its place (`Hit.explanation`).
        threshold : float or Threshold, optional
            Leave out hits whose score is below it. A number is in the scores of `threshold_space`, and lets through
            about as much before a cut-over as after it. ``Threshold(0.6, docs.serving_space)`` says its space itself.
        rerank : Reranker, optional
            Puts the best hits into another order: a `CrossEncoder`, an `LlmReranker`, or what else has their `score`.
            `Hit.score` stays what the vectors say; `Hit.rerank_score` is the re-ranker's.
        rerank_budget : RerankBudget, optional
            What it may take for each query: 50 documents and a second by default. What does not fit, and what the
            re-ranker fails on, keeps the order it had, and `Hit.degraded` says so.
        key : str, optional
            Who asks: a user, a session, a tenant. A `Rollout` answers the same key from the same arm, and the hits have
            a `query_id`, by which `record_feedback` knows them.

        Returns
        -------
        list of Hit, or list of list of Hit
            Best first; a list for each query where there are several.

        Raises
        ------
        EncoderError
            The collection's model is not at hand, nor another one with a map to its space; the message names it.
        InvalidArgumentError
            An argument is something else, `where` is not a filter; nothing is embedded.
        """
        budget = DEFAULT_BUDGET if rerank_budget is None else rerank_budget
        request = Request(k, where, rescore, write_through, merge, explain, threshold, rerank, budget, key)
        if isinstance(query, str):
            return self._searcher.search([valid_unicode(query, "query")], request)[0]
        if not isinstance(query, Iterable):
            raise InvalidArgumentError(f"query is {shown(query)}, expected a str, or a sequence of them")
        texts = [valid_unicode(text, f"query[{place}]") for place, text in enumerate(strings(query, "query"))]
        return self._searcher.search(texts, request)

    def capture(self, share: float = 0.01, *, scrub: Scrub = without_numbers) -> None:
        """Keep a sample of the queries that this object is asked from now on, for `replay` and for verdicts.

        At most 1,000 different queries are kept in the collection, later ones in place of earlier ones.

        Parameters
        ----------
        share : float
            Of the queries, from 0 (none any more) to 1 (all).
        scrub : callable
            The privacy filter: takes a query, returns what may be kept of it, or ``None``. One that raises keeps
            nothing. By default e-mail addresses, and numbers of six digits or more, are masked.

        Raises
        ------
        ReadOnlyError
            Nothing can be written.
        """
        if not 0 <= number(share, "share") <= 1:
            raise InvalidArgumentError(f"share is {shown(share)}, expected between 0 and 1")
        function(scrub, "scrub")
        self._backend.require_writable()
        self._searcher.capture = Capture(float(share), scrub)

    def captured_queries(self) -> list[str]:
        """Return the queries that `capture` has kept, the oldest first."""
        self._searcher.behind.flush()
        return captured_queries(self._backend)

    def forget_captured(self) -> None:
        """Forget the queries that `capture` has kept."""
        self._searcher.behind.flush()
        forget_captured(self._backend)

    def replay(self, queries: Iterable[str] | None = None, k: int = 10) -> Replay:
        """Ask queries of both generations of the migration, and compare what they find and how long they take.

        Parameters
        ----------
        queries : iterable of str, optional
            By default those that `capture` has kept.
        k : int
            Documents a query.

        Raises
        ------
        MigrationError
            The collection has one generation.
        InvalidArgumentError
            There are no queries.
        """
        asked = self.captured_queries() if queries is None else strings(queries, "queries")
        texts = [valid_unicode(text, f"queries[{place}]") for place, text in enumerate(asked)]
        return replay(self._backend, self._encoders, texts, k=k)

    def load_models(self) -> None:
        """Load the models of all generations that are live, so that no search or write has to.

        A search that can answer without the model that documents move to does not wait until it is loaded, nor does a
        write: it is loaded behind the first of them.
        """
        for generation in self._serving.read().live:
            if (encoder := self._encoders.find(generation)) is not None:
                warn_of_another_model(self._backend, self._encoders, generation, encoder)

    @property
    def rescored(self) -> Rescored:
        """How the searches of this object were answered while documents moved."""
        return self._searcher.rescored

    @property
    def search_p50(self) -> float:
        """The median of the slowest process that searches the collection, in milliseconds; 0 if nobody did lately."""
        return search_p50(self._backend)

    @property
    def search_p99(self) -> float:
        """The p99 of the slowest process that searches the collection, in milliseconds; 0 where nobody has lately."""
        return search_p99(self._backend)

    @property
    def spent(self) -> float:
        """Money that services have taken from this process for embedding, in the currency of their price."""
        return sum(getattr(encoder, "spent", 0.0) for encoder in self._encoders.loaded)

    @property
    def threshold_space(self) -> EmbeddingSpace:
        """The space in whose scores the thresholds of searches are read.

        That of the model before the first cut-over, until `thresholds_in_serving_space` says otherwise.
        """
        return self._searcher.thresholds.space(self._serving.read())

    def thresholds_in_serving_space(self) -> None:
        """Read thresholds in the scores of the space that serves now, from now on and through further migrations.

        For whoever has chosen new numbers by looking at its scores; all programs that search have to use those then.
        """
        self._backend.require_writable()
        with self._backend.transaction():
            note_scale(self._backend, self._serving.read().serving.space)
