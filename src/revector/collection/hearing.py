"""What readers say of the hits of a search, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

from revector._arguments import strings
from revector.backends.contracts import Said
from revector.collection.opened import Opened
from revector.errors import InvalidArgumentError
from revector.formats.judgements import Judgements
from revector.search.answered import Answered
from revector.search.capture import judged_feedback
from revector.search.feedback import Feedback, FeedbackKind

__all__ = ["Hearing"]

_WHOLE = ""
"""Stands for the id of a document where an answer as a whole was judged; no document has it."""


class Hearing(Opened):
    """Takes what readers say."""

    def record_feedback(
        self,
        query_id: str,
        document_id: str | list[str] | tuple[str, ...],
        kind: FeedbackKind = "click",
        value: float | bool | None = None,
    ) -> None:
        """Say what a reader did with a hit of a search that was asked with a ``key``.

        A rollout is judged by it; what is worth less than nothing ("bad", a rating below 3, an answer that was not
        good) is re-embedded early by the default priority rule; with a query that `capture` has kept it is a judgement,
        see `feedback`. It is written behind searches, and any process that has the collection open may take it.

        Parameters
        ----------
        query_id : str
            Of the hit.
        document_id : str, or list or tuple of str
            Its id. For "answer", those of all documents that it was made of.
        kind : {"click", "good", "bad", "rating", "answer"}
            Of one hit the last word counts. "rating" is a number of stars, "answer" whether an answer that was made of
            the hits, by a language model say, was good.
        value : float or bool, optional
            From 1 to 5 for "rating", true or false for "answer", and nothing for the others.

        Raises
        ------
        InvalidArgumentError
            No search has made the id, a document was not among its hits, or `value` is not what the kind has.
        """
        feedback = Feedback.of(kind, value)
        answered = Answered.read(query_id)
        documents = _documents(feedback, document_id)
        said = _said(feedback, query_id, answered, documents)
        self._backend.require_writable()
        if answered.migration:
            for each in said:
                self._searcher.behind.say(answered.migration, answered.name, each)
        if answered.captured:
            for document in documents:
                self._searcher.behind.react(answered.captured, document, feedback.kind, feedback.weight)
        if feedback.worth < 0:
            self._searcher.behind.count(list(self._backend.documents.keys(documents).values()), failed=True)

    def feedback(self) -> Judgements:
        """Return what readers said of captured queries, as judgements: see `capture` and `record_feedback`.

        Raises
        ------
        InvalidArgumentError
            Nobody has said anything yet of a query that was captured.
        """
        self._searcher.behind.flush()
        return judged_feedback(self._backend)


def _documents(feedback: Feedback, given: str | list[str] | tuple[str, ...]) -> list[str]:
    if feedback.kind != "answer" or isinstance(given, str):
        return [given]  # type: ignore[list-item]  # what is not a str is none of the hits
    documents = list(dict.fromkeys(strings(given, "document_id")))
    if not documents:
        raise InvalidArgumentError("document_id is empty, expected the ids of the hits that the answer was made of")
    return documents


def _said(feedback: Feedback, query_id: str, answered: Answered, documents: Sequence[str]) -> list[Said]:
    """Return what a rollout is told; raise `InvalidArgumentError` unless all the documents were hits.

    An answer counts once, as a hit in the first place does, beside what was said of its documents. Where both arms have
    given documents to it, it says nothing about either.
    """
    credited = [(document, answered.credit(document)) for document in documents]
    if feedback.kind == "answer":
        whole = Said(query_id, _WHOLE, answered.arm, 0, 0, feedback.worth)
        return [] if answered.arm == "both" else [whole]
    return [
        Said(query_id, document, answered.arm, credit.team, credit.place, feedback.worth)
        for document, credit in credited
    ]
