"""What a migration of a collection takes, tried before it, and insurance against a model that goes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from revector._arguments import flag, strings, valid_unicode, whole_number
from revector._arguments import share as share_of
from revector.collection.searching import Searching
from revector.encoders.base import TextEncoder, space_of
from revector.evaluation.map_trials import LEAST_PAIRS
from revector.evaluation.metrics import Qrels
from revector.evaluation.question import judgements_of
from revector.formats.judgements import Judgements
from revector.migration.filling.filling import OnProgress
from revector.migration.insurance import DOCUMENTS, Insurance, insurance_of, insure
from revector.migration.rehearsal import Rehearsal, rehearse
from revector.planning.move import Move
from revector.planning.plan import Plan, Wanted
from revector.planning.planner import kept_plan, make_plan
from revector.planning.prices import Prices

if TYPE_CHECKING:
    from revector.planning.pilot import Pilot

__all__ = ["Preparing"]


class Preparing(Searching):
    """Plans, tries and insures."""

    def plan(
        self,
        new_encoder: TextEncoder,
        *,
        workers: int = 1,
        deadline: str | date | None = None,
        prices: Prices | None = None,
        writes_per_day: float = 0.0,
        sla_ms: float | None = None,
        try_store: bool = True,
        called: str | None = None,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
    ) -> Plan:
        """Measure what a migration to another model takes here: time, storage, money; and say how to go about it.

        A worker embeds a random sample for ten seconds into a generation beside the one that serves, an index of some
        thousand vectors is built, and both are thrown away. Searches and writes go on.

        Parameters
        ----------
        new_encoder : TextEncoder
            The model to move to. Of a service, which is paid, only 65 documents are embedded.
        workers : int
            That will run, each on a machine like this one.
        deadline : str, date or datetime, optional
            When it has to be done, in ISO 8601.
        prices : Prices, optional
            What tokens, or machines, cost; `revector.planning.prices.read_prices` reads a file of them.
        writes_per_day : float
            Documents that are written while both generations are kept.
        sla_ms : float, optional
            What a search may take, in milliseconds.
        try_store : bool
            Whether the store is tried; otherwise the encoder alone is measured, and nothing is written.
        called : str, optional
            What the model is called in commands; by default its source.
        on_progress, stop
            As in `rehearse`.

        Returns
        -------
        Plan
            It is kept, and is `last_plan` from then on.

        Raises
        ------
        MigrationError
            The collection is in that space already.
        EncoderError
            The model embeds nothing of the sample.
        CancelledError
            It was called off; nothing of it is left.
        """
        wanted = Wanted(workers, deadline, prices or Prices(), writes_per_day, sla_ms)
        move = self._move_to(new_encoder, called)
        return make_plan(move, wanted, try_store=flag(try_store, "try_store"), on_progress=on_progress, stop=stop)

    @property
    def last_plan(self) -> Plan | None:
        """What `plan` has measured last, or `pilot` has revised; ``None`` if there is no plan."""
        return kept_plan(self._backend)

    def pilot(
        self,
        new_encoder: TextEncoder,
        *,
        share: float = 0.02,
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
        called: str | None = None,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
    ) -> Pilot:
        """Embed a share of the documents for real, beside what serves, and hold the plan against what that took.

        What it embeds is thrown away; what it found stays, and the plan is revised by it.

        Parameters
        ----------
        new_encoder : TextEncoder
            The model to move to. If there is no plan for it yet, one is made first.
        share : float
            Of the documents, above 0 to 1; 1,000 of them at least, and what takes eight seconds by the plan.
        queries, qrels : optional
            As in `assess`: then all judged documents are among them, and quality is measured as well.
        called, on_progress, stop
            As in `plan`.

        Raises
        ------
        MigrationError
            A migration is under way, or the collection is in that space already.
        InvalidArgumentError
            There are no documents, or no query can be used.
        EncoderError
            The model embeds nothing, or `queries` are given and the present model is not at hand.
        CancelledError
            It was called off; nothing of it is left.
        """
        from revector.planning.pilot import Judged, pilot

        share, judged, given = share_of(share, "share"), None, judgements_of(queries, qrels)
        move = self._move_to(new_encoder, called)
        if given is not None:
            present = self._encoders.require(move.serving, purpose="judging the pilot")
            judged = Judged(given.queries, given.qrels, present)
        return pilot(move, share=share, judged=judged, on_progress=on_progress, stop=stop)

    def _move_to(self, new_encoder: TextEncoder, called: str | None) -> Move:
        space_of(new_encoder, "new_encoder")
        return Move(self._backend, self._serving.read().serving, new_encoder, called or new_encoder.source or "MODEL")

    def rehearse(
        self,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
        *,
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
    ) -> Rehearsal:
        """Embed the whole collection again by its own model, beside what serves, compare, and throw it away.

        Searches and writes go on. It takes as long, and as much room, as a migration to a model of the same kind.

        Parameters
        ----------
        on_progress : callable, optional
            Called with `Progress` after each batch.
        stop : threading.Event, optional
            Calls it off after the batch in hand.
        queries, qrels : optional
            As in `assess`: then one model is judged against itself, and the verdict must not be to move.

        Returns
        -------
        Rehearsal
            Whether all vectors are equal and searches the same, and what it took beside what was expected.

        Raises
        ------
        EncoderError
            The collection's model is not at hand.
        MigrationError
            A migration is under way, or another rehearsal.
        CancelledError
            It was called off; nothing of it is left.
        """
        serving = self._serving.read().serving
        encoder = self._encoders.require(serving, purpose="a rehearsal")
        return rehearse(self._backend, serving, encoder, on_progress, stop, judgements_of(queries, qrels))

    def insure(
        self,
        new_encoder: TextEncoder,
        *,
        queries: Iterable[str] | None = None,
        documents: int = DOCUMENTS,
        seed: int = 0,
    ) -> Insurance:
        """Put aside, while the present model answers, what it takes to answer with another one once it is gone.

        A sample of documents and the queries are embedded by both models, and the maps between the two spaces are
        fitted and measured. Afterwards `search` answers with the other model alone, and says so (`Hit.degraded`); what
        it re-scores is kept. A process that has the collection open already sees it when it opens it anew.

        Parameters
        ----------
        new_encoder : TextEncoder
            The other model. A migration to it begins with what is embedded here.
        queries : iterable of str, optional
            What is asked of the collection, to measure with: 1,000 at most. By default those that `capture` has kept;
            the beginnings of documents stand in where there are none.
        documents : int
            Size of the sample, 200 at least.
        seed : int
            Of the sample.

        Raises
        ------
        EncoderError
            The present model is not at hand, or one fails.
        MigrationError
            The collection has a migration, or is in the other model's space already.
        InvalidArgumentError
            Too few documents, or an argument is something else.
        """
        space_of(new_encoder, "new_encoder")
        given = self.captured_queries() if queries is None else strings(queries, "queries")
        asked = [valid_unicode(text, f"queries[{place}]") for place, text in enumerate(given)]
        documents = whole_number(documents, "documents", least=LEAST_PAIRS)
        seed = whole_number(seed, "seed", least=0)
        serving = self._serving.read().serving
        present = self._encoders.require(serving, purpose="an insurance")
        source = self._encoders.written(new_encoder)
        made = insure(
            self._backend, serving, present, new_encoder, asked, source=source, documents=documents, seed=seed
        )
        self._serving.forget()
        self._encoders.add(new_encoder)
        return made

    @property
    def insurance(self) -> Insurance | None:
        """What answers without the present model, and how well; ``None`` if nothing was put aside."""
        return insurance_of(self._backend)
