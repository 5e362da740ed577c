"""`Collection`: documents, their vectors, and the migration between models, as one object."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from revector._arguments import choice, flag, function, number, shown, strings, valid_unicode, whole_number
from revector._arguments import share as share_of
from revector._arrays import as_float32
from revector.backends.arguments import checked_documents
from revector.backends.contracts import Backend, Backup, Document, Preparation, Said, VectorInfo
from revector.backends.opening import kind_of, open_backend
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder, require_encoder, space_of
from revector.errors import InvalidArgumentError, NoCollectionError, RevectorError, ShapeError
from revector.evaluation.health import CollectionHealth, examine_collection
from revector.evaluation.map_trials import LEAST_PAIRS
from revector.evaluation.metrics import Qrels
from revector.evaluation.same_space import take_over
from revector.evaluation.verdict import Verdict
from revector.exporting import Export, export
from revector.ledger.records import Event
from revector.ledger.state import Phase
from revector.migration.canaries import canary_similarities, examine_canaries, warn_of_another_model
from revector.migration.dependents import (
    Call,
    Dependent,
    dependents,
    forget_dependent,
    keep_dependent,
    new_dependent,
)
from revector.migration.filling.filling import OnProgress
from revector.migration.filling.worker import WorkerReport
from revector.migration.following import follow
from revector.migration.foresight import Foresight, foresee_plan
from revector.migration.insurance import DOCUMENTS, Insurance, insurance_of, insure
from revector.migration.migration import Migration
from revector.migration.rehearsal import Rehearsal, rehearse
from revector.migration.scales import note_scale
from revector.migration.serving import ServingReader
from revector.migration.signs import search_p50, search_p99
from revector.migration.slices import in_slices
from revector.migration.status import obstacle_of
from revector.migration.strategies import Strategy
from revector.migration.strategies.base import Merging
from revector.migration.upserts import Upsert
from revector.migration.watching import watch
from revector.migration.writes import delete_documents
from revector.opening import find_again, listed_encoders, require_collection, require_path
from revector.planning.plan import Plan, Wanted
from revector.planning.planner import kept_plan, make_plan
from revector.planning.prices import Prices
from revector.planning.probe import Move
from revector.rerank.base import DEFAULT_BUDGET, RerankBudget, Reranker
from revector.search.answered import FEEDBACK, Answered, FeedbackKind
from revector.search.capture import Capture, Scrub, captured_queries, forget_captured, without_numbers
from revector.search.hits import Hit
from revector.search.replay import Replay, replay
from revector.search.request import Asked, Request
from revector.search.searcher import Rescored, Searcher
from revector.search.thresholds import Threshold
from revector.spaces import EmbeddingSpace, require_one_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from revector.planning.pilot import Pilot

__all__ = ["Collection", "Hit"]

_log = logging.getLogger(__name__)


class Collection:
    """A live collection of texts. Open one with `open`; safe to share between threads.

    Parameters
    ----------
    backend : Backend
        Where documents, vectors and the truth about migrations are; the collection closes it.
    encoders : EncoderSet
        The models at hand.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet) -> None:
        self._backend = backend
        self._encoders = encoders
        self._serving = ServingReader(backend)
        self._searcher = Searcher(backend, encoders, self._serving, self._judge)
        self._calls: dict[str, Call] = {}
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        encoder: TextEncoder | None = None,
        *,
        encoders: Iterable[TextEncoder] = (),
        read_only: bool = False,
    ) -> Collection:
        """Open a collection, or create it.

        A collection whose file or folder cannot be written is opened to read only, as with `read_only`.

        Parameters
        ----------
        path : str or Path
            The database file, or a URL whose scheme names the backend.
        encoder : TextEncoder, optional
            The collection's model. A new collection needs one; an existing one loads its own from where it came,
            if that is a path or a hub id.
        encoders : iterable of TextEncoder
            Further models at hand, such as that of a migration's other side.
        read_only : bool
            Never write to it, its index or its counts of accesses. Whatever would raises `ReadOnlyError`.

        Raises
        ------
        NoCollectionError
            The collection is new, and there is no encoder.
        SpaceMismatchError
            The encoder is not a model of this collection; the message names the one that is needed.
        StoreError
            The file is not a database of revector, is damaged, or cannot be opened.
        """
        require_path(path)
        read_only = flag(read_only, "read_only")
        given = listed_encoders(encoder, encoders)
        # A service is asked for its space: before there is a file, or a lock to hold.
        space = None if encoder is None else space_of(encoder, "encoder")
        kind = kind_of(path)
        if (encoder is None or read_only) and not kind.is_there(path):
            lacks = "there is nothing to read" if read_only else "a new collection needs an encoder"
            place = kind.shown(path)
            raise NoCollectionError(f"{place!r} does not exist or is empty, and {lacks}", path=place)
        backend = open_backend(path, read_only=read_only)
        try:
            models = EncoderSet(given, folder=backend.folder, place=backend.place)
            require_collection(backend, None if encoder is None else models.written(encoder), space)
            if not read_only:
                find_again(backend, models, given)
        except BaseException:
            backend.close()
            raise
        return cls(backend, models)

    # Documents

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist.

        The texts are embedded, each once, by every model at hand whose vectors are live, and written with them. Those
        of a model that searches can do without and that is not at hand, is being loaded, or fails, come later, by the
        migration's `run`.

        Documents are stored in their order, 512 at a time, each slice in a transaction of its own: a call with more may
        be cut off between two slices. The same call again embeds only what is not stored yet.

        Raises
        ------
        RefusedDocumentsError
            The model that searches read with refuses some texts. All other documents are stored; of the refused ones
            there is what there was before.
        EncoderError
            No model at hand would let searches find the documents: nothing is stored. Or that model stopped, as
            `ServiceError`, `RateLimitedError` and `SpendCapError` say: what it had embedded is stored, and `stored`
            counts it.
        InvalidArgumentError
            Lengths differ, an id comes twice, an id or a text is not a string of valid Unicode, metadata is not a JSON
            object, or the store cannot hold one of the documents; nothing is embedded.
        """
        documents = checked_documents(ids, texts, metadata)
        self._backend.require_writable()
        self._backend.documents.require_storable(documents)
        return Upsert(self._backend, self._encoders, self._serving).write(documents)

    def delete(self, ids: Iterable[str]) -> None:
        """Delete documents, with their vectors of every generation.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist; then nothing is deleted.
        """
        delete_documents(self._backend, ids)

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Return documents in the order of `ids`; raise `UnknownDocumentError` if one does not exist."""
        return self._backend.documents.by_id(ids)

    def info(self, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' serving vectors: model, revision, dimension, time, text, generation.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist.
        """
        with self._backend.snapshot():
            return self._backend.generations.info(self._serving.read().serving.id, ids)

    def ids(self) -> list[str]:
        """Return the ids of all documents, the oldest first."""
        return list(self._backend.documents.ids())

    def __len__(self) -> int:
        return self._backend.documents.count()

    # Searches

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
            by ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in`` and ``exists``; filters are joined by ``"and"``,
            ``"or"`` and ``"not"``. `revector.backends.filters` says it in full.
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

    def record_feedback(self, query_id: str, document_id: str, kind: FeedbackKind = "click") -> None:
        """Say what a reader did with a hit of a search that was asked with a ``key``.

        A rollout is judged by it; what was "bad" is re-embedded early by the default priority rule. It is written
        behind searches, and any process that has the collection open may take it.

        Parameters
        ----------
        query_id : str
            Of the hit.
        document_id : str
            Its id.
        kind : {"click", "good", "bad"}
            Of one hit the last word counts.

        Raises
        ------
        InvalidArgumentError
            No search has made the id, or the document was not among its hits.
        """
        worth = FEEDBACK[choice(kind, "kind", FEEDBACK)]
        answered = Answered.read(query_id)
        credit = answered.credit(document_id)
        self._backend.require_writable()
        if answered.migration:
            said = Said(query_id, document_id, answered.arm, credit.team, credit.place, worth)
            self._searcher.behind.say(answered.migration, answered.name, said)
        if worth < 0:
            self._searcher.behind.count(list(self._backend.documents.keys([document_id]).values()), failed=True)

    def search_vector(
        self,
        vector: NDArray[np.float32],
        space: EmbeddingSpace,
        k: int = 10,
        *,
        where: Mapping[str, Any] | None = None,
    ) -> list[Hit]:
        """Find the documents nearest to a vector.

        Parameters
        ----------
        vector : ndarray of float, shape (dimension,)
            A query, embedded by the caller.
        space : EmbeddingSpace
            Where it comes from (`encoder.space`).
        k : int
            Hits.
        where : mapping, optional
            What must hold for the documents' metadata, as in `search`.

        Raises
        ------
        SpaceMismatchError
            The vector is not of the serving space, or not of its dimension.
        ShapeError, InvalidArgumentError
            It is not one vector of floats.
        NumericalError
            It holds NaN or infinity.
        """
        if not isinstance(space, EmbeddingSpace):
            raise InvalidArgumentError(f"space is {shown(space)}, expected the EmbeddingSpace that the vector is of")
        return self._searcher.search_vectors(_one_row(vector), space, Request(k, where))[0]

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
    def read_only(self) -> bool:
        """Whether nothing can be written: it was opened so, or its file or folder cannot be written."""
        return self._backend.read_only

    @property
    def canary_similarities(self) -> dict[int, float]:
        """By generation, the lowest cosine between what its model gave for a fixed text, and gave when last asked."""
        return canary_similarities(self._backend)

    @property
    def serving_space(self) -> EmbeddingSpace:
        """The space that queries are answered in now."""
        return self._serving.read().serving.space

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

    @property
    def spaces(self) -> list[EmbeddingSpace]:
        """The spaces that the collection has vectors of, and the one that it is to move to."""
        record = self._backend.ledger.active(self._backend.alias)
        planned = [] if record is None else [record.target_space]
        return [*(generation.space for generation in self._backend.generations.all()), *planned]

    @property
    def obstacle(self) -> str:
        """What keeps the collection from being moved, and what to do about that; empty where nothing does."""
        return obstacle_of(self._backend)

    def remember(self, encoder: TextEncoder, *, same_space: bool = False) -> None:
        """Write down where a model of this collection is loaded from now on: `encoder.source`.

        A model near the database's file is written with its way from there, so that both can be moved together.

        Parameters
        ----------
        encoder : TextEncoder
            A model of this collection.
        same_space : bool
            Let the model be another one by its contract (another provider, a runtime with files of its own), if it is
            proved to give what is stored for some hundred documents: then the collection goes on with it, and nothing
            is rebuilt. See `revector.evaluation.same_space`.

        Raises
        ------
        SpaceMismatchError
            It is not a model of this collection.
        InvalidArgumentError
            It exists in memory only.
        MigrationError
            `same_space`, and the collection has a migration that is not retired.
        """
        space, source = space_of(encoder, "encoder"), self._encoders.written(encoder)
        if source is None:
            raise InvalidArgumentError("the encoder has no source (a path, an id or a service) to load it from again")
        if flag(same_space, "same_space"):
            take_over(self._backend, self._serving.read().serving, encoder, source)
            self._serving.forget()
        require_one_of([each.plain for each in self.spaces], space.plain, purpose="the model of this collection")
        with self._backend.transaction():
            for generation in self._backend.generations.all():
                if generation.space.plain.fingerprint == space.plain.fingerprint:
                    self._backend.generations.set_encoder_source(generation.id, source)
            record = self._backend.ledger.active(self._backend.alias)
            if record is not None and record.target_space.plain.fingerprint == space.plain.fingerprint:
                self._backend.ledger.note(record.id, "remember", target_encoder_source=source)
        self._encoders.add(encoder)

    def check(self) -> CollectionHealth:
        """Look at the database file, at the vectors of the generation that serves, at its index, and at the models.

        Reads the whole file, measures the index's recall beside exact search for 200 of its vectors, and asks the
        models at hand for a few fixed texts again, to see whether they give what they gave at first.

        Returns
        -------
        CollectionHealth
            With what is wrong, and what to do about it.
        """
        serving = self._serving.read().serving
        return examine_collection(self._backend, serving, examine_canaries(self._backend, self._encoders))

    def recapture(self) -> None:
        """Look through everything that others may have written unseen, and ask for its vectors; `follow` embeds them.

        In a collection of our own, there is nothing like that.
        """
        self._backend.require_writable()
        self._backend.recapture(anew=True)
        in_slices(self._backend.recapture)

    def prepare(self) -> Preparation:
        """Make the index ready for searches at their fastest, after many documents were added at once.

        Without it that happens behind searches, in processes that stay. Searches go on meanwhile.
        """
        return self._backend.index.prepare(self._serving.read().serving)

    def backup(self, directory: str | os.PathLike[str]) -> Backup:
        """Copy the collection as it is now into a folder, under its own name; others may read and write it meanwhile.

        The copy is checked before it appears, and can be opened, also in the middle of a migration, which goes on from
        there. It is without indexes, which are built anew, and without models. A copy is restored the same way: open
        it, and back it up to where it shall be.

        Parameters
        ----------
        directory : str or Path
            Made if it does not exist. A file that is there is never replaced.

        Raises
        ------
        StoreError
            The copy exists, does not fit, cannot be written or does not pass its check; nothing is left of it.
        """
        return self._backend.backup(_folder(directory))

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int, int], object] | None = None,
        stop: threading.Event | None = None,
    ) -> Export:
        """Write all documents, their metadata and the vectors that serve into a file, batch by batch.

        Each batch is one moment; what is written meanwhile is in it or not.

        Parameters
        ----------
        path : str or Path
            Ends in ``.parquet``, ``.jsonl`` or ``.npy``; `revector.formats.vector_files` says what is where. A file
            that is there is never replaced.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` in documents after each batch.
        stop : threading.Event, optional
            Calls it off after the batch in hand; nothing is left then.

        Raises
        ------
        InvalidArgumentError
            Another name, a file that is there, or one that cannot be written.
        MissingExtraError
            Parquet, and the extra ``parquet`` is not installed.
        """
        if on_progress is not None:
            function(on_progress, "on_progress")
        return export(self._backend, self._serving.read().serving, path, on_progress, stop)

    def assess(
        self,
        new_encoder: TextEncoder,
        queries: Mapping[str, str],
        qrels: Qrels,
        *,
        min_lift: float = 0.0,
        relative: bool = False,
        metric: str = "nDCG@10",
        max_documents: int = 20_000,
        seed: int = 0,
    ) -> Verdict:
        """Measure whether another model is worth a migration, on judged queries.

        Parameters
        ----------
        new_encoder : TextEncoder
            The candidate.
        queries : mapping of str to str
            Query id to text.
        qrels : mapping of str to mapping of str to int
            Query id to document id to grade; above 0 is relevant.
        min_lift : float
            The lift above which a migration is worth it.
        relative : bool
            Whether `min_lift` is a share of the present quality.
        metric : str
            ``"nDCG@k"``, ``"MRR"``, ``"MRR@k"``, ``"recall@k"`` or ``"precision@k"``.
        max_documents : int
            How many documents are embedded for the comparison, if no more are judged.
        seed : int
            Of everything drawn at random.

        Raises
        ------
        EncoderError
            The present model is not at hand.
        InvalidArgumentError
            Fewer than two queries can be used, or an argument is something else; nothing is embedded.
        MissingExtraError
            The extra ``eval`` is not installed; nothing is embedded.
        """
        from revector.evaluation.assess import Question, assess

        question = Question(metric, min_lift, relative, max_documents, seed)
        require_encoder(new_encoder, "new_encoder")
        serving = self._serving.read().serving
        present = self._encoders.require(serving, purpose="an assessment")
        return assess(self._backend, serving, present, new_encoder, queries, qrels, question)

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
        queries: Mapping[str, str] | None = None,
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
        queries, qrels : mapping, optional
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

        share, judged = share_of(share, "share"), None
        move = self._move_to(new_encoder, called)
        if queries is not None or qrels is not None:
            present = self._encoders.require(move.serving, purpose="judging the pilot")
            judged = Judged(queries or {}, qrels or {}, present)
        return pilot(move, share=share, judged=judged, on_progress=on_progress, stop=stop)

    def _move_to(self, new_encoder: TextEncoder, called: str | None) -> Move:
        space_of(new_encoder, "new_encoder")
        return Move(self._backend, self._serving.read().serving, new_encoder, called or new_encoder.source or "MODEL")

    def rehearse(self, on_progress: OnProgress | None = None, stop: threading.Event | None = None) -> Rehearsal:
        """Embed the whole collection again by its own model, beside what serves, compare, and throw it away.

        Searches and writes go on. It takes as long, and as much room, as a migration to a model of the same kind.

        Parameters
        ----------
        on_progress : callable, optional
            Called with `Progress` after each batch.
        stop : threading.Event, optional
            Calls it off after the batch in hand.

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
        return rehearse(self._backend, serving, encoder, on_progress, stop)

    def migrate(
        self,
        new_encoder: TextEncoder,
        *,
        strategy: Strategy | Sequence[Strategy] | None = None,
        retention_seconds: float | None = None,
    ) -> Migration:
        """Plan the migration to another model; nothing changes before its `start`.

        A migration to the same space that does not serve yet is returned as it stands, so that a script that was
        interrupted can be run again.

        Parameters
        ----------
        new_encoder : TextEncoder
            The model to move to.
        strategy : Strategy, or sequence of Strategy, optional
            How to get there: a `Background`, or several that are asked in their order. Of a migration that goes on:
            replaces what was given before; a priority rule does its work at `start` only.
        retention_seconds : float, optional
            How long the old generation is kept after the cut-over: seven days, or what was given before.

        Raises
        ------
        LedgerConflictError
            The collection has a migration to another space that is not retired; `steps` names the verbs that end it.
        MigrationError
            The collection is in that space already.
        """
        return Migration.plan(
            self._backend,
            new_encoder,
            strategy,
            retention_seconds,
            encoders=self._encoders,
            calls=self._calls,
        )

    def foresee(self, new_encoder: TextEncoder) -> Foresight:
        """Return what `migrate` to another model, and `start`, would do. Nothing is written."""
        migration, space = self.migration, space_of(new_encoder, "new_encoder")
        if migration is None or migration.record.target_space.fingerprint != space.fingerprint:
            return foresee_plan(self._backend, space)
        return migration.foresee("start")

    @property
    def migration(self) -> Migration | None:
        """The migration that is not retired, or ``None``."""
        return Migration.active(self._backend, self._encoders, calls=self._calls)

    def depends(
        self,
        name: str,
        *,
        sql: str | None = None,
        hook: str | os.PathLike[str] | None = None,
        call: Call | None = None,
    ) -> None:
        """Register something that is made of the vectors: it is brought up to date whenever others serve.

        That is at the cut-over, and at a rollback from there. Until it has succeeded, the collection can be rolled
        back, and neither cut over again nor retired; `Migration.run_dependents` tries again.

        Parameters
        ----------
        name : str
            What it is called; what had that name before is replaced.
        sql : str, optional
            A statement in the collection's database.
        hook : str or Path, optional
            An executable, told what happened by environment variables that begin with ``REVECTOR_``; 0 is success.
        call : callable, optional
            Takes a `revector.migration.dependents.Moved`. It is not kept: each process that takes these steps registers
            it.

        Raises
        ------
        InvalidArgumentError
            Not one of the three was given, or not what it has to be.
        """
        dependent = new_dependent(name, sql=sql, hook=hook, call=call)
        with self._backend.transaction():
            known = {each.name: each for each in dependents(self._backend)}.get(name)
            if known is None or (known.kind, known.action) != (dependent.kind, dependent.action):
                keep_dependent(self._backend, dependent)
        if call is not None:
            self._calls[name] = call

    def forget_dependent(self, name: str) -> None:
        """Let go of what was registered under a name; raise `InvalidArgumentError` if nothing was."""
        forget_dependent(self._backend, name)
        self._calls.pop(name, None)

    @property
    def dependents(self) -> list[Dependent]:
        """What hangs on the vectors, and whether it is up to date with what serves."""
        return dependents(self._backend)

    def events(self) -> list[Event]:
        """Return what has happened to the migrations of the collection, the oldest first."""
        return self._backend.ledger.events_after(0)

    def watch(
        self, *, after: int | None = None, every: float = 1.0, stop: threading.Event | None = None
    ) -> Iterator[Event]:
        """Yield what happens to the migrations of the collection, in whatever process.

        Parameters
        ----------
        after : int, optional
            The `id` of an event: go on after it, from the first one if it is 0. By default only what is new.
        every : float
            Seconds between two looks, which cost a search's look at who serves.
        stop : threading.Event, optional
            Ends it.
        """
        every = number(every, "every", above=0)
        return watch(self._backend, None if after is None else whole_number(after, "after", least=0), every, stop)

    def follow(self, stop: threading.Event) -> WorkerReport:
        """Embed what others write, in every generation whose model is at hand, and fill a new one, until told to stop.

        For collections whose documents are written by programs that know nothing of revector, and for writers without
        the models. May run in several processes at once.

        Parameters
        ----------
        stop : threading.Event
            Ends it after the batch in hand.

        Raises
        ------
        EncoderError
            A model refuses to go on.
        GoneError
            The collection was released or dropped, or an adopted table was.
        """
        return follow(self._backend, self._encoders, self._filled, stop)

    def _filled(self, stop: threading.Event) -> WorkerReport:
        migration = self.migration
        if migration is None or migration.phase is not Phase.FILLING or migration.record.paused:
            return WorkerReport(0, 0, 0, 0.0)
        return migration.run(stop=stop)

    def _judge(self) -> None:
        """Take the step of a rollout that follows from what was seen, in the thread that has written it down."""
        try:
            if (migration := self.migration) is not None:
                migration.judge()
        except RevectorError as error:
            _log.warning("what was seen of the rollout has no consequence yet: %s", error)

    # Life

    def close(self) -> None:
        """Write the counts of accesses, save the indexes, close the database; closing it again does nothing.

        Whatever is used afterwards, the collection's migration included, raises `ClosedError`.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._searcher.close()
        finally:
            self._backend.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _folder(directory: Any) -> Path:
    shape = os.fspath(directory) if isinstance(directory, (str, os.PathLike)) else None
    if not isinstance(shape, str) or not shape or "\0" in shape or "://" in shape:
        raise InvalidArgumentError(f"directory is {shown(directory)}, expected the path of a folder")
    return Path(valid_unicode(shape, "directory")).absolute()


def _one_row(vector: Any) -> NDArray[np.float32]:
    """Return a vector as a matrix of one row."""
    if not hasattr(vector, "ndim"):
        try:
            vector = np.asarray(vector)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(f"vector is {shown(vector)}, expected floats") from error
    if vector.ndim != 1:
        raise ShapeError(f"vector has shape {tuple(vector.shape)}, expected (dimension,): one vector")
    return as_float32(vector[None], "vector")
