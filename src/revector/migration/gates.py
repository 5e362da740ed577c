"""Gates: what has to hold before a step that readers see, or that cannot be undone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import GateRefusedError
from revector.ledger.jobs import JobCounts
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase
from revector.migration.dependents import dependent_reasons
from revector.migration.serving import ServingReader
from revector.migration.shadowed import shadowed_of
from revector.migration.strategies import Strategy, objections

STALE_VERIFICATION_SHARE = 0.05
STALE_VERIFICATION_VECTORS = 1000
"""A verification no longer speaks for the generation when more vectors than both of these were written since."""

CATCH_UP_SECONDS = 10.0
"""For so long it is tried to leave no document of a moment ago without its vector."""
REMAINDER, REMAINDER_SHARE = 100, 0.001
"""So many may be left afterwards, or such a share of the generation if that is more."""
DRAINS = 30
"""How often it is tried, at least."""


def pass_gates(step: str, reasons: Sequence[str]) -> None:
    """Raise `GateRefusedError` if there are reasons against the step."""
    if reasons:
        raise GateRefusedError(step, tuple(reasons))


def cutover_reasons(
    backend: Backend,
    record: MigrationRecord,
    target: Generation,
    encoders: EncoderSet,
    strategies: Sequence[Strategy],
    *,
    vectors: int,
    accept_failed: bool,
) -> list[str]:
    """Return what speaks against the cut-over before anything is done for it; see `completeness`.

    `vectors` is what the target was counted to hold.
    """
    is_at_hand = encoders.find(target) is not None
    seen = shadowed_of(backend, record.id).new
    situation = ServingReader(backend).read().situation(encoders)
    return [
        *completeness(backend, target.id, accept_failed=accept_failed, embedding=is_at_hand),
        *dependent_reasons(backend),
        *objections(strategies, replace(situation, shadowed=(seen.searches, seen.errors))),
        *verification_reasons(backend, record, vectors=vectors),
    ]


def completeness(backend: Backend, generation: int, *, accept_failed: bool, embedding: bool) -> list[str]:
    """Return what keeps a generation from standing alone: documents without a vector of their present text.

    All documents are looked through, which takes a while; never call it where nobody else can write.

    Parameters
    ----------
    backend : Backend
    generation : int
    accept_failed : bool
        Go on without the documents that could not be embedded.
    embedding : bool
        What was asked for is embedded before anybody stands on the generation: only what nobody asked for counts.
    """
    with backend.snapshot():
        counts, stale = backend.ledger.jobs.counts(generation), backend.generations.count_stale(generation)
    return _incomplete(counts, stale - counts.failed - counts.outstanding * embedding, accept_failed)


def remaining(backend: Backend, generation: int, *, accept_failed: bool, few: int = 0) -> list[str]:
    """Return what keeps a generation from standing alone, if it was complete a moment ago: the jobs asked for since.

    Every write leaves a job for the vector that it lacks, so that nothing else has to be looked at.

    Parameters
    ----------
    backend : Backend
    generation : int
    accept_failed : bool
        Go on without the documents that could not be embedded.
    few : int
        Go on while no more documents than that wait; see `drains`.
    """
    counts = backend.ledger.jobs.counts(generation)
    waiting = counts.outstanding if counts.outstanding > few else 0
    return _incomplete(counts, waiting, accept_failed)


def drains(backend: Backend, generation: int, *, accept_failed: bool) -> Iterator[int]:
    """Yield, for each attempt to leave nothing to embed before others go on to a generation, how many may be left.

    None, as long as it is not certain that there is always one: where others write all the time, and a text takes
    longer to be embedded than it takes them to write the next one. Those that are left wait as in every other phase.
    It ends after `DRAINS` attempts, the last of them with some left, or with the first document that fails.
    """
    began, few = time.monotonic(), 0
    for attempt in count(1):
        yield few
        has_failed = backend.ledger.jobs.counts(generation).failed and not accept_failed
        if has_failed or (few and attempt >= DRAINS):
            return
        few = remainder(backend, generation, began)


def remainder(backend: Backend, generation: int, began: float) -> int:
    """Return how many documents of a moment ago may be left, if it was tried since a time to leave none; see `drains`.

    Parameters
    ----------
    backend : Backend
    generation : int
    began : float
        In seconds of `time.monotonic`.
    """
    if time.monotonic() < began + CATCH_UP_SECONDS:
        return 0
    return max(REMAINDER, int(REMAINDER_SHARE * backend.generations.count(generation)))


def _incomplete(counts: JobCounts, waiting: int, accept_failed: bool) -> list[str]:
    reasons = []
    if counts.failed and not accept_failed:
        reasons.append(
            f"{counts.failed} documents could not be embedded; see failures(), then retry_failed() and run(), or go on "
            "without them by accept_failed=True"
        )
    if waiting > 0:
        reasons.append(f"{waiting} documents wait for their new vector; call run()")
    return reasons


def verification_reasons(backend: Backend, record: MigrationRecord, *, vectors: int) -> list[str]:
    """Return what the last verification says against the target generation, which holds so many vectors."""
    target, verification = record.target_generation, record.verification
    assert target is not None  # the phase has one, by a constraint of the ledger
    if verification is None:
        return ["the new generation was not verified; call verify()"]
    if not verification["passed"]:
        return ["the last verification failed: " + ", ".join(verification["reasons"])]
    written = backend.generations.count(target, since=verification["seq"])
    if written > max(STALE_VERIFICATION_VECTORS, STALE_VERIFICATION_SHARE * vectors):
        return [f"{written} of {vectors} vectors were written since the last verification; call verify() again"]
    return []


def retire_reasons(record: MigrationRecord, *, confirm: bool, force: bool) -> list[str]:
    """Return what speaks against dropping the generation that does not serve."""
    reasons = []
    if not confirm:
        reasons.append("the generation that does not serve is deleted for good; say confirm=True")
    ends = retention_ends(record)
    if ends is not None and ends > time.time() and not force:
        days = (ends - time.time()) / 86400
        reasons.append(f"the retention period runs for another {days:.1f} days; wait, or say force=True")
    return reasons


def retention_ends(record: MigrationRecord) -> float | None:
    """Return when the old generation may be retired, or ``None`` while the migration does not serve."""
    if record.phase is not Phase.SERVING or record.cutover_at is None:
        return None
    return record.cutover_at + record.retention_seconds
