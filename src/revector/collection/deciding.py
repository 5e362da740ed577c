"""Whether a migration is worth it, and how one stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from revector._arguments import flag
from revector.collection.searching import Searching
from revector.encoders.base import TextEncoder, require_encoder
from revector.evaluation.metrics import Qrels
from revector.evaluation.question import judgements_of
from revector.evaluation.verdict import ASSESSMENT, Assessment, Verdict
from revector.formats.judgements import Judgements
from revector.migration.checklist import Checklist, checklist_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from revector.encoders.service.chat import ChatModel
    from revector.evaluation.grading import JudgeBudget
    from revector.evaluation.judge import Judged
    from revector.evaluation.question import Asked as Assessed
    from revector.report import Report

__all__ = ["Deciding"]


class Deciding(Searching):
    """Measures and reports."""

    @overload
    def assess(
        self,
        new_encoder: TextEncoder,
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
        **asked: Unpack[Assessed],
    ) -> Verdict: ...

    @overload
    def assess(
        self,
        new_encoder: list[TextEncoder] | tuple[TextEncoder, ...],
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
        **asked: Unpack[Assessed],
    ) -> Assessment: ...

    def assess(
        self,
        new_encoder: TextEncoder | list[TextEncoder] | tuple[TextEncoder, ...],
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
        **asked: Unpack[Assessed],
    ) -> Verdict | Assessment:
        """Measure whether another model is worth a migration, on judged queries.

        Every alternative searches the same documents exactly: staying, a map, a map with re-scoring, re-embedding, both
        generations together, and the new model for queries alone. Where the present model is gone, staying finds
        nothing: the candidates are compared with each other. The outcome is kept with the collection, for
        ``revector report`` and ``revector checklist``, unless it is read-only.

        Parameters
        ----------
        new_encoder : TextEncoder or sequence of TextEncoder
            The candidate, or several, which are compared with each other as well.
        queries : mapping of str to str, or Judgements, optional
            Query id to text; or both, as `revector.formats.judgements.load_judgements` reads them. Without any, pairs
            are built from the documents, which says less: the interval is wider.
        qrels : mapping of str to mapping of str to int, optional
            Query id to document id to grade; above 0 is relevant.
        metric : str
            ``"nDCG@k"``, ``"MRR"``, ``"MRR@k"``, ``"recall@k"``, ``"precision@k"`` or ``"success@k"``; by default
            nDCG@10.
        min_lift : float
            The lift above which a migration is worth it; by default 0.
        relative : bool
            Whether `min_lift` is a share of the present quality.
        max_documents : int
            How many documents are embedded for the comparison, if no more are judged; by default 20,000.
        bm25, reranker, rerank_documents
            What the application makes of the hits: it fuses them with those of BM25, or re-ranks so many of them
            (50) by a `Reranker`. The verdict is on the whole then.
        threshold : float
            The score by the present model below which the application drops hits: what it does under both models.
        slice_by : sequence of str
            Fields of the metadata: queries are compared by what their best judged document has there.
        seed : int
            Of everything drawn at random.

        Returns
        -------
        Verdict or Assessment
            A verdict on the one candidate; of several, the verdict on each, and which to take.

        Raises
        ------
        EncoderError
            A model failed.
        InvalidArgumentError
            Fewer than two queries can be used, what is asked takes the present model, and it is gone, or an argument
            is something else; nothing is embedded.
        MissingExtraError
            The extra ``eval`` is not installed; nothing is embedded.
        """
        from revector.evaluation.assess import assess
        from revector.evaluation.question import Question

        question, judged = Question(**asked), judgements_of(queries, qrels)
        several = isinstance(new_encoder, (list, tuple))
        candidates: list[Any] = list(new_encoder) if isinstance(new_encoder, (list, tuple)) else [new_encoder]
        for candidate in candidates:
            require_encoder(candidate, "new_encoder")
        serving = self._serving.read().serving
        present = self._encoders.find(serving)
        found = assess(self._backend, serving, present, candidates, judged, question)
        if not self.read_only:
            with self._backend.transaction():
                self._backend.ledger.notes.keep(ASSESSMENT, found.to_json())
        return found if several else found.verdicts[0]

    def judge(
        self,
        new_encoder: TextEncoder,
        llm: ChatModel,
        queries: Mapping[str, str] | None = None,
        *,
        people: Qrels | None = None,
        k: int = 10,
        budget: JudgeBudget | None = None,
        max_documents: int = 20_000,
        seed: int = 0,
    ) -> Judged:
        """Have a language model grade what the present and another model find, for queries that nobody has judged.

        Parameters
        ----------
        new_encoder : TextEncoder
            The candidate.
        llm : ChatModel
            Grades, and is not told which model found a document.
        queries : mapping of str to str, optional
            Query id to text; by default those that `capture` has kept.
        people : mapping of str to mapping of str to int, optional
            Grades that people gave: these documents are graded as well, and the agreement is measured.
        k : int
            Documents that each model puts up for judgement.
        budget : JudgeBudget, optional
            Requests and tokens at most, beside the spend cap of `llm`.
        max_documents : int
            How many documents both models search; they are embedded by the candidate.
        seed : int
            Of everything drawn at random.

        Raises
        ------
        EncoderError
            A model is not at hand or fails; nothing was graded, and the language model's service is why.
        InvalidArgumentError
            There are no queries or no documents, or an argument is something else; nothing is asked.
        """
        from revector.evaluation.judge import judge_found

        require_encoder(new_encoder, "new_encoder")
        asked = {f"q{n}": text for n, text in enumerate(self.captured_queries(), 1)} if queries is None else queries
        serving = self._serving.read().serving
        present = self._encoders.require(serving, purpose="judging")
        return judge_found(
            self._backend,
            serving,
            present,
            new_encoder,
            llm,
            asked,
            people=people,
            k=k,
            budget=budget,
            max_documents=max_documents,
            seed=seed,
        )

    def report(
        self,
        *,
        assessment: Mapping[str, Any] | None = None,
        queries: Mapping[str, str] | Judgements | None = None,
        qrels: Qrels | None = None,
        metric: str = "nDCG@10",
        check: bool = True,
    ) -> Report:
        """Gather what is known of the collection: the verdict, the course of its migration, the health of what serves.

        Parameters
        ----------
        assessment : mapping, optional
            What ``revector assess --json`` has printed; by default the last one, which the collection keeps.
        queries, qrels : optional
            As in `assess`. What readers get now is measured with them, and kept, so that later reports show quality
            over the share that has moved.
        metric : str
            What quality is measured by, as in `assess`.
        check : bool
            Whether the health of what serves is looked at, as `check` does, which reads the whole file.

        Returns
        -------
        Report
            Has `html`, `markdown`, `to_json` and `save`.

        Raises
        ------
        InvalidArgumentError
            The assessment is none, or fewer than two queries can be used.
        MissingExtraError
            The extra ``eval`` is not installed, with `queries`; the extra ``report``, once it is rendered.
        """
        from revector.report import build
        from revector.report.quality import Judged

        check, given = flag(check, "check"), judgements_of(queries, qrels)
        judged = None if given is None else Judged.checked(given.queries, given.qrels, metric)

        def ask(texts: list[str], k: int) -> list[list[str]]:
            return [[hit.id for hit in hits] for hits in self.search(texts, k, write_through=False)]

        return build(self._backend, self._encoders, assessment=assessment, judged=judged, ask=ask, check=check)

    def checklist(self) -> Checklist:
        """Return where the collection stands in the playbook of a migration: what is done, and what comes next."""
        return checklist_of(self._backend)
