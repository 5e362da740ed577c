"""The demonstration's story: a live collection moves to another model, back, and there again.

While a worker re-embeds, searches are answered; at given shares it is held for a moment, so that the quality of exactly
that state can be measured. Every claim that the demonstration makes is a check in its report.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector.collection import Collection
from revector.demo.background import BackgroundRun
from revector.demo.reference import METRIC, MemoisingEncoder, direct_scores
from revector.demo.report import Check, DemoReport, Example, Listener, index_figures
from revector.demo.sampling import LiveTraffic, QualitySampler
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError
from revector.evaluation.verdict import Verdict
from revector.formats.judgements import Corpus
from revector.migration.migration import Migration
from revector.migration.strategies.background import Background
from revector.migration.verification import VerificationResult

SHARES = (0.10, 0.25, 0.50, 0.75, 0.90, 1.0)
STARTED, MOVING, PROVING = "started", "re-embedding", "filled (proving)"
TOLERANCE = 0.002
ROWS_A_BATCH = 256
BATCHES = 40
"""At least so many batches in a migration, so that it can be held near the shares."""
SECONDS_BETWEEN_SEARCHES = 0.1
"""Searches re-score documents on the cores that the worker uses, so the live ones come at a modest rate."""


def run_demo(
    corpus: Corpus, old_encoder: TextEncoder, new_encoder: TextEncoder, folder: Path, listener: Listener
) -> DemoReport:
    """Tell the story.

    Parameters
    ----------
    corpus : Corpus
        Documents, queries, judgements.
    old_encoder, new_encoder : TextEncoder
        The model that serves, and the one to move to.
    folder : Path
        Where the collection is made: ``docs.db``, which must not exist.
    listener : Listener
        Is told of every step.

    Raises
    ------
    InvalidArgumentError
        The folder holds a ``docs.db`` already.
    """
    database = folder / "docs.db"
    if database.exists():
        raise InvalidArgumentError(f"{database} is there already; give an empty folder with --workdir, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with Collection.open(database, old_encoder, encoders=[new_encoder]) as docs:
        return _Story(corpus, docs, old_encoder, new_encoder, listener).tell(database, began)


class _Story:
    """The steps, in the order in which they are told, and what they share."""

    def __init__(
        self, corpus: Corpus, docs: Collection, old: TextEncoder, new: TextEncoder, listener: Listener
    ) -> None:
        self.corpus, self.docs, self.old, self.new, self.listener = corpus, docs, old, new, listener
        self.known = MemoisingEncoder(new, lambda n: listener.counted(n, len(corpus.documents)))
        self.traffic = LiveTraffic(docs, corpus)
        self.checks: list[Check] = []

    def tell(self, database: Path, began: float) -> DemoReport:
        self.ingest()
        verdict = self.assess()
        direct = direct_scores(self.corpus, self.known)
        # a second handle, as another process would have: it measures, and writes nothing
        with Collection.open(database, self.old, encoders=[self.known]) as observed:
            self.sampler = QualitySampler(observed, self.corpus)
            migration = self.start()
            documents_per_second = self.re_embed(migration)
            self.sample(PROVING, 1.0)
            verification = self.verify(migration)
            example = self.cut_over(migration)
            self.roll_back(migration)
            self.move_again(migration)
            self.retire(migration)
        self.check_quality(direct)
        return DemoReport(
            corpus=self.corpus.name,
            documents=len(self.corpus.documents),
            queries=len(self.corpus.queries),
            old_model=self.old.space.model,
            new_model=self.new.space.model,
            verdict=verdict,
            samples=tuple(self.sampler.samples),
            old_ndcg=float(self.sampler.old_scores.mean()),
            direct_ndcg=float(direct.mean()),
            documents_per_second=documents_per_second,
            traffic=self.traffic.summary(),
            verification=verification,
            example=example,
            checks=tuple(self.checks),
            seconds=time.perf_counter() - began,
            database=str(database),
        )

    def ingest(self) -> None:
        documents = list(self.corpus.documents.items())
        self.listener.step(f"Ingest {len(documents):,} documents with {self.old.space}")
        for start in range(0, len(documents), ROWS_A_BATCH):
            ids, texts = zip(*documents[start : start + ROWS_A_BATCH], strict=True)
            self.docs.upsert(list(ids), list(texts))
            self.listener.counted(start + len(ids), len(documents))

    def assess(self) -> Verdict:
        self.listener.step(f"Is {self.new.space} worth it? Ask {len(self.corpus.queries):,} judged queries")
        verdict = self.docs.assess(self.known, self.corpus.queries, self.corpus.qrels)
        self.listener.found(str(verdict))
        return verdict

    def start(self) -> Migration:
        self.listener.step("Start the migration: an empty generation, searches use both")
        batch = min(64, max(1, len(self.corpus.documents) // BATCHES))  # small beside the shares
        # without retention, so that the story can retire the old generation at its end
        migration = self.docs.migrate(self.new, strategy=Background(batch=batch), retention_seconds=0)
        migration.start()
        self.sample(STARTED, 0.0)
        return migration

    def re_embed(self, migration: Migration) -> float:
        """Run the worker while searches are answered; return its speed in documents a second."""
        self.listener.step("Re-embed in the background, answer searches meanwhile")
        with BackgroundRun(migration, SHARES) as run:
            self.traffic.search_once()  # small collections may move before the first interval is over
            while not run.finished:
                held = run.held(timeout_seconds=SECONDS_BETWEEN_SEARCHES)
                if held is not None:
                    self.sample(MOVING, held.done / held.total)
                    run.go_on()
                else:
                    self.traffic.search_once()
                if run.latest is not None:
                    self.listener.progress(run.latest, self.traffic.summary())
        self.check_traffic()
        return len(self.corpus.documents) / run.seconds

    def verify(self, migration: Migration) -> VerificationResult:
        self.listener.step("Build the index of the new vectors and verify both")
        verification = migration.verify()
        details = verification.details
        self.listener.found(f"the old vectors serve meanwhile; {index_figures(details)}")
        figures = f"{details['sample']:,} vectors embedded again, the lowest cosine is {details['lowest_cosine']:.4f}"
        self.listener.found("; ".join(verification.reasons) or figures)
        self.check("the new vectors are verified", verification.passed, "; ".join(verification.reasons) or figures)
        return verification

    def cut_over(self, migration: Migration) -> Example:
        self.listener.step("Cut over: the alias moves to the new generation")
        migration.cutover()
        self.sample("cut over", 1.0)
        return self.sampler.example()

    def roll_back(self, migration: Migration) -> None:
        self.listener.step("Roll back: the old generation serves again")
        migration.rollback()
        self.sample("rolled back", 1.0)
        same = self.sampler.unchanged()
        figures = f"{same:,} of {len(self.corpus.queries):,} queries"
        self.check(
            "after the rollback searches find what they found at first", same == len(self.corpus.queries), figures
        )

    def move_again(self, migration: Migration) -> None:
        self.listener.step("Cut over again: the new vectors were kept, so there is nothing to re-embed")
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
        self.sample("cut over again", 1.0)

    def retire(self, migration: Migration) -> None:
        self.listener.step("Retire the old generation: from here there is no way back")
        migration.retire(confirm=True)
        self.sample("retired", 1.0)

    def sample(self, state: str, migrated: float) -> None:
        self.listener.sampled(self.sampler.sample(state, migrated))

    def check(self, claim: str, held: bool, figures: str) -> None:
        self.checks.append(Check(claim, held, figures))

    def check_traffic(self) -> None:
        traffic = self.traffic.summary()
        speed = f"median {traffic.median_milliseconds:.0f} ms, slowest {traffic.slowest_milliseconds:.0f} ms"
        errors = "".join(f"; {error}" for error in self.traffic.errors[:1])
        figures = f"{traffic.answered:,} answered ({speed}), {traffic.failed:,} failed{errors}"
        self.listener.found(f"searches meanwhile: {figures}")
        self.check("every search was answered meanwhile", traffic.answered > 0 and not traffic.failed, figures)

    def check_quality(self, direct: NDArray[np.float64]) -> None:
        """Compare the samples with both pure states: the old model alone, and the new one without the backend."""
        expected = float(direct.mean())
        gain = min(0.0, expected - float(self.sampler.old_scores.mean()))  # below zero if the new model is worse
        moving = [sample for sample in self.sampler.samples if sample.state in (STARTED, MOVING, PROVING)]
        worst = min(moving, key=lambda sample: sample.difference.high)
        figures = f"lowest difference {worst.difference} at {worst.migrated:.0%}"
        self.check("no share is below the old model by more than the noise", worst.difference.high >= gain, figures)
        final = self.sampler.samples[-1].ndcg
        figures = f"{METRIC} {final:.4f}, embedded directly {expected:.4f}"
        claim = "the end is what embedding everything with the new model gives"
        self.check(claim, abs(final - expected) <= TOLERANCE, figures)
