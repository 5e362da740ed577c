"""A rehearsal: the collection is embedded again by its own model, beside the live vectors, compared, and thrown away.

It finds out what a migration would meet on the real collection (texts that are refused, time, storage, an index that
does not hold) while nothing can go wrong. It is not a migration, which leads to another space: a generation beside the
one that serves is filled by a worker like any other, and dropped.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder
from revector.encoders.canary import cosines
from revector.encoders.isolation import encode_checked
from revector.errors import CancelledError
from revector.evaluation import metrics, significance
from revector.evaluation.alternatives import REEMBED, STAY
from revector.evaluation.decide import Decided
from revector.evaluation.question import Question
from revector.evaluation.sampling import current_sample
from revector.evaluation.verify import REPEAT_COSINE, Verification, verify
from revector.evaluation.weigh import weigh
from revector.formats.judgements import Judgements
from revector.migration.asking import reconcile
from revector.migration.beside import beside
from revector.migration.filling.filling import OnProgress
from revector.migration.filling.worker import Worker
from revector.planning.cost import Cost
from revector.planning.probe import encoder_rate

QUERIES, DEPTH = 200, 10
METRIC = f"nDCG@{DEPTH}"
SAME_HITS = 0.95
"""Share of the hits that both must find: graphs that were built in another order differ in the last ones."""


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found.

    Attributes
    ----------
    passed : bool
    reasons : tuple of str
        A sentence for each thing that is not as it should be.
    documents, compared : int
        In the collection, and those whose vectors were compared: others were written meanwhile, or have none.
    identical : int
        Vectors that are the same in every bit.
    lowest_cosine : float
        Of the others; batches of other sizes may round differently.
    digest : str
        Of the new vectors, in the order of their keys; that of the live ones is equal where all are identical.
    same_hits : float
        Share of the ten nearest documents that searches of both find, for 200 queries.
    verdict : str
        What judged queries say of one model against itself, and why; empty without any.
    failed : int
        Documents that could not be embedded.
    seconds, planned_seconds : float
        It took, and was expected to take by the speed of a sample.
    bytes, planned_bytes : int
        The collection grew by, and was expected to grow by at most.
    """

    passed: bool
    reasons: tuple[str, ...]
    documents: int
    compared: int
    identical: int
    lowest_cosine: float
    digest: str
    same_hits: float
    verdict: str
    failed: int
    seconds: float
    planned_seconds: float
    bytes: int
    planned_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class _Compared:
    compared: int
    identical: int
    lowest_cosine: float
    digest: str


def rehearse(
    backend: Backend,
    serving: Generation,
    encoder: TextEncoder,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
    judged: Judgements | None = None,
) -> Rehearsal:
    """Embed a collection again beside what serves, and compare; see `Collection.rehearse`."""
    backend.require_writable()
    if judged is not None:
        metrics.require_library()  # said before anything is embedded
        significance.require_library()
    rate, before = encoder_rate(backend, encoder), backend.stored_bytes()
    plan = Cost.of(backend.documents.count(), serving.space, serving.space, rate)
    with beside(backend, serving.space, "a rehearsal") as (made, renew):
        began = time.monotonic()
        reconcile(backend, made.id)
        worker = Worker(backend, encoder, made.id, on_progress=on_progress, on_landed=lambda _count, _keys: renew())
        worker.run(stop=stop)
        if stop is not None and stop.is_set():
            raise CancelledError("the rehearsal was called off; what it had embedded is thrown away")
        seconds = time.monotonic() - began
        backend.index.prepare(made)
        grown = backend.stored_bytes() - before
        decided = None if judged is None else _decided(backend, (serving, made), encoder, judged)
        return _found(backend, serving, made, encoder, decided, plan, seconds, grown)


def _found(
    backend: Backend,
    serving: Generation,
    made: Generation,
    encoder: TextEncoder,
    decided: Decided | None,
    plan: Cost,
    seconds: float,
    grown: int,
) -> Rehearsal:
    failed = backend.ledger.jobs.counts(made.id).failed
    verification = verify(backend, serving.id, made.id, encoder, known_failures=failed)
    compared, same_hits = _compare(backend, serving, made), _same_hits(backend, serving, made)
    reasons = _reasons(verification, compared, same_hits, failed)
    if decided is not None and decided.decision.moves:
        reasons.append(f"one model against itself is to {decided.decision.value}: {decided.reason}")
    return Rehearsal(
        passed=not reasons,
        reasons=tuple(reasons),
        documents=backend.documents.count(),
        **asdict(compared),
        same_hits=same_hits,
        verdict="" if decided is None else f"{decided.decision.value}: {decided.reason}",
        failed=failed,
        seconds=seconds,
        planned_seconds=plan.seconds,
        bytes=grown,
        planned_bytes=plan.target_bytes,
    )


def _reasons(verification: Verification, compared: _Compared, same_hits: float, failed: int) -> list[str]:
    reasons = list(verification.reasons)
    if failed:
        reasons.append(f"{failed:,} documents could not be embedded again")
    if compared.lowest_cosine < REPEAT_COSINE:
        reasons.append(
            f"the model gives other vectors than those that serve: the lowest cosine is {compared.lowest_cosine:.4f}, "
            f"expected {REPEAT_COSINE}"
        )
    if same_hits < SAME_HITS:
        reasons.append(f"searches find {same_hits:.1%} of the same documents, expected {SAME_HITS:.0%}")
    return reasons


def _compare(backend: Backend, serving: Generation, made: Generation) -> _Compared:
    """Compare all vectors of present texts, batch by batch."""
    compared, identical, lowest, digest = 0, 0, 1.0, hashlib.sha256()
    for keys, _ in backend.generations.scan(made.id):
        with backend.snapshot():
            found, new = backend.generations.vectors(made.id, keys, current=True)
            both, old = backend.generations.vectors(serving.id, found, current=True)
        new = new[np.isin(found, both)]
        digest.update(both.tobytes() + new.tobytes())
        same = (old == new).all(axis=1)
        compared, identical = compared + len(both), identical + int(same.sum())
        lowest = min(lowest, float(cosines(old[~same], new[~same]).min(initial=1.0)))
    return _Compared(compared, identical, lowest, digest.hexdigest())


def _decided(
    backend: Backend, generations: tuple[Generation, Generation], encoder: TextEncoder, judged: Judgements
) -> Decided:
    """Weigh what readers of both generations find, as if they were of two models."""
    asked = {query: text for query, text in judged.queries.items() if judged.qrels.get(query)}
    queries = encode_checked(encoder, list(asked.values()), kind="query")
    values = []
    for generation in generations:
        _, rows = backend.index.search(generation, queries, DEPTH)
        ids = {document.key: document.id for document in backend.documents.by_key(np.unique(rows))}
        run = {query: [ids[key] for key in row if key in ids] for query, row in zip(asked, rows.tolist(), strict=True)}
        values.append(metrics.as_array(metrics.per_query(run, judged.qrels, METRIC)))
    return weigh({STAY: values[0], REEMBED: values[1]}, Question(metric=METRIC))[1]


def _same_hits(backend: Backend, serving: Generation, made: Generation) -> float:
    """Return which share of the hits searches of both generations have in common; all where there is nothing."""
    keys = current_sample(backend, [serving.id, made.id], QUERIES, 0)
    _, queries = backend.generations.vectors(serving.id, keys)
    queries = queries[queries.any(axis=1)]
    if not len(queries):
        return 1.0
    _, old = backend.index.search(serving, queries, DEPTH)
    _, new = backend.index.search(made, queries, DEPTH)
    common = sum(len(np.intersect1d(ours, theirs)) for ours, theirs in zip(old, new, strict=True))
    return common / old.size
