"""What a look at a collection finds: each thing with why it matters, and the commands that mend it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from revector.backends.contracts import Backend, Generation, IndexHealth
from revector.encoders.ends import ModelEnd, end_of
from revector.errors import NumericalError
from revector.evaluation.mixture import MIN_DIMENSION, MIN_ROWS, Mixture, detect_mixture
from revector.migration.canaries import CanaryHealth
from revector.migration.checklist import PLACE
from revector.migration.dependents import dependents
from revector.migration.gates import retention_ends
from revector.migration.insurance import Insurance
from revector.migration.signs import workers

SAMPLE = 2_000
"""Vectors that are looked at for other spaces: a share of 2.5 % is seen among so many."""
SOON_DAYS = 90
"""A model that ends within so many days is a problem; one that ends later is worth knowing."""
_ADD = f"revector add {PLACE} FILE"
_MIGRATE = f"revector start {PLACE} --model MODEL"
_FOLLOW = f"revector run {PLACE} --follow"


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Attributes
    ----------
    what, why : str
        What it is, and why it matters.
    commands : tuple of str
        What mends it, one after the other, with `PLACE` for the collection.
    is_problem : bool
        Whether something is wrong; else it is worth knowing.
    """

    what: str
    why: str
    commands: tuple[str, ...]
    is_problem: bool = True

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.what}; {self.why}: {', then '.join(self.commands)}"


@dataclass(frozen=True)
class LeftOut:
    """Documents that have no vector of their present text in the generation that serves.

    Parameters
    ----------
    stale : int
        All of them.
    failed : int
        Those that its model could not embed, and that nobody has accepted.
    accepted : int
        Those that a cut-over was allowed to leave behind, and that have not changed since.
    accepted_at : float or None
        When that was.
    """

    stale: int = 0
    failed: int = 0
    accepted: int = 0
    accepted_at: float | None = None

    @property
    def waiting(self) -> int:
        """Those that are only to be embedded."""
        return max(0, self.stale - self.failed - self.accepted)


def left_out(backend: Backend, serving: Generation) -> LeftOut:
    """Count the documents without a vector of their present text, and tell those apart that are known to have none."""
    stale = backend.generations.count_stale(serving.id)
    failures = backend.ledger.jobs.failures(serving.id) if stale else []
    at = _cut_over_at(backend, serving.id) if failures else None
    documents = backend.documents.by_key([job.document_key for job in failures])
    accepted = 0 if at is None else sum(document.updated_at <= at for document in documents)
    return LeftOut(stale, len(documents) - accepted, accepted, at)


def _cut_over_at(backend: Backend, generation: int) -> float | None:
    """Return when readers were sent to a generation; ``None`` if it has served from the beginning."""
    steps = (event for event in backend.ledger.events_after(0) if event.name == "cutover")
    return max((step.at for step in steps if step.details.get("generation") == generation), default=None)


def mixture_of(backend: Backend, serving: Generation, *, seed: int = 0) -> Mixture | None:
    """Look for vectors of other spaces among those of present texts; ``None`` where there are too few to tell."""
    keys = backend.generations.sample(serving.id, SAMPLE, seed)
    vectors = backend.generations.vectors(serving.id, keys, current=True)[1]
    if len(vectors) < MIN_ROWS or serving.space.dimension < MIN_DIMENSION:
        return None
    try:
        return detect_mixture(vectors, seed=seed)
    except NumericalError:  # damage, which is found otherwise
        return None


def of_documents(documents: int, without: LeftOut) -> Iterator[Finding]:
    """Yield what there is to say of documents without a vector of their present text."""
    if without.waiting:
        what = f"{without.waiting:,} of {documents:,} documents have no vector of their present text"
        why = "no search finds them by it"
        yield Finding(what, why, (f"revector doctor {PLACE} --repair", _FOLLOW))
    if without.failed:
        what = f"{without.failed:,} of {documents:,} documents could not be embedded by the model that serves"
        yield Finding(what, "no search finds them by their present text", (_ADD,))
    if without.accepted and without.accepted_at is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(without.accepted_at))
        what = f"{without.accepted:,} documents were left behind by the cut-over of {day}, which was allowed"
        yield Finding(what, "they have no vector of the model that serves", (_ADD,), is_problem=False)


def of_vectors(vectors: int, mixture: Mixture | None) -> Iterator[Finding]:
    """Yield what there is to say of vectors of other spaces."""
    if mixture is not None and mixture.mixed:
        share = 1 - mixture.shares[0]
        what = f"about {share * vectors:,.0f} of {vectors:,} vectors ({share:.1%}) are of another embedding space"
        why = f"queries are compared with vectors that have nothing in common with them (the tie is {mixture.tie:.2f})"
        yield Finding(what, why, (_MIGRATE, f"revector run {PLACE}"))


def of_index(index: IndexHealth, damage: Iterable[str]) -> Iterator[Finding]:
    """Yield what there is to say of what is stored, and of the index over it."""
    for each in damage:
        yield Finding(each, "what is read of it may be wrong", (f"revector backup BACKUP DIRECTORY  # of {PLACE}",))
    for each in index.problems:
        yield Finding(f"index: {each}", "searches miss documents, or take longer", (f"revector doctor {PLACE}",))


def of_models(canaries: Iterable[CanaryHealth]) -> Iterator[Finding]:
    """Yield which models do not give what they gave, or do not answer."""
    for each in canaries:
        if each.problem and each.similarity is None:
            commands: tuple[str, ...] = (f"revector model {PLACE} --set MODEL",)
            yield Finding(each.problem, "queries and new documents cannot be embedded without it", commands)
        elif each.problem:
            yield Finding(each.problem, "queries do not fit the vectors that are stored", (_MIGRATE,))


def of_ends(
    models: Iterable[str], ends: Iterable[ModelEnd], insurance: Insurance | None, *, today: date | None = None
) -> Iterator[Finding]:
    """Yield which models will be switched off, or have been."""
    today, ends = today or date.today(), tuple(ends)
    for model in dict.fromkeys(models):
        if (end := end_of(model, ends)) is None:
            continue
        days = (end.on - today).days
        when = f"{'was' if days <= 0 else 'will be'} switched off on {end.on}"
        told = "; ".join(filter(None, [f"its provider recommends {end.instead}" if end.instead else "", end.source]))
        why = f"nothing embeds queries from then on{f' ({told})' if told else ''}"
        insured = [] if insurance is not None or days <= 0 else [f"revector insure {PLACE} --model MODEL"]
        deadline = f" --deadline {end.on}" if days > 0 else ""
        commands = (*insured, _MIGRATE + deadline)
        yield Finding(f"the model {model} {when}", why, commands, is_problem=days <= SOON_DAYS)


def of_migration(backend: Backend) -> Iterator[Finding]:
    """Yield what there is to say of what is under way, and of what hangs on the vectors."""
    behind = [each.name for each in dependents(backend) if each.is_behind]
    if behind:
        what = f"what hangs on the vectors is not up to date: {', '.join(behind)}"
        yield Finding(what, "it was made of vectors that do not serve any more", (f"revector depends {PLACE} --run",))
    if (record := backend.ledger.active(backend.alias)) is None:
        return
    for sign in workers(backend, record.target_generation):
        if sign.stands_still:
            yield Finding(f"a worker {sign.why}", "documents do not move", (f"revector watch {PLACE}",))
    ends = retention_ends(record)
    if ends is not None and ends <= time.time():
        day = time.strftime("%Y-%m-%d", time.localtime(ends))
        what, why = f"the retention of the old vectors was over on {day}", "they take room, and every write is embedded"
        yield Finding(what, f"{why} twice", (f"revector retire {PLACE} --yes",), is_problem=False)
