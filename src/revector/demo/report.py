"""What the demonstration reports, and who listens while it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from revector.evaluation.significance import Interval
from revector.evaluation.verdict import Verdict
from revector.migration.filling.progress import Progress
from revector.migration.verification import VerificationResult


@dataclass(frozen=True)
class Sample:
    """Quality in one state of the collection.

    Parameters
    ----------
    state : str
        What the collection was doing.
    migrated : float
        Share of the documents that had a vector of the new model.
    ndcg : float
        nDCG@10, mean over the queries.
    difference : Interval
        To the old model alone, paired by query.
    """

    state: str
    migrated: float
    ndcg: float
    difference: Interval


@dataclass(frozen=True)
class Traffic:
    """The single searches that were sent while documents were re-embedded."""

    answered: int
    failed: int
    median_milliseconds: float
    slowest_milliseconds: float


@dataclass(frozen=True)
class Example:
    """One query, and the document that each model puts first."""

    query: str
    old_first: str
    new_first: str


@dataclass(frozen=True)
class Check:
    """One claim of the demonstration, whether it held, and the figures."""

    claim: str
    held: bool
    figures: str


@dataclass(frozen=True)
class DemoReport:
    """The whole story.

    Parameters
    ----------
    old_ndcg : float
        nDCG@10 of the collection before the migration.
    direct_ndcg : float
        nDCG@10 of exact search over the new model's vectors, computed without the backend.
    documents_per_second : float
        Of the re-embedding, the pauses for samples left out.
    seconds : float
        From the first document to the last check.
    database : str
        Where the collection is.
    """

    corpus: str
    documents: int
    queries: int
    old_model: str
    new_model: str
    verdict: Verdict
    samples: tuple[Sample, ...]
    old_ndcg: float
    direct_ndcg: float
    documents_per_second: float
    traffic: Traffic
    verification: VerificationResult
    example: Example
    checks: tuple[Check, ...]
    seconds: float
    database: str

    @property
    def succeeded(self) -> bool:
        """Whether every check held."""
        return all(check.held for check in self.checks)


def index_figures(details: Mapping[str, Any]) -> str:
    """Tell from a verification's details how long it took to make the index ready, and of how many vectors."""
    vectors, seconds = details["index_built"], details["index_seconds"]
    return f"index of {vectors:,} vectors built in {seconds:.2f} s" if vectors else f"index ready in {seconds:.2f} s"


class Listener(Protocol):
    """Who shows the story while it happens. Called from the thread that runs the demonstration."""

    def step(self, title: str) -> None:
        """Begin a step."""

    def counted(self, done: int, total: int) -> None:
        """Tell how many texts the step is done with."""

    def found(self, text: str) -> None:
        """Tell what the step found."""

    def progress(self, progress: Progress, traffic: Traffic) -> None:
        """Tell how far the re-embedding and the live searches are."""

    def sampled(self, sample: Sample) -> None:
        """Tell the quality in a state."""
