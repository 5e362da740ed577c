"""Claims: what a worker holds under lease, with the texts it is about."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from revector.backends.contracts import Backend, Jobs
from revector.encoders.shortened import shortened_vectors
from revector.errors import StoreError
from revector.ledger.jobs import Claim, JobRequest
from revector.migration.filling.unit import Unit
from revector.migration.patience import patient

_NOT_THERE = "there is no document, or not with the text that is to be embedded"


@dataclass(frozen=True)
class Load:
    """Jobs under lease, and the unit of work that they ask for, in the same order.

    Attributes
    ----------
    claims : list of Claim
    unit : Unit
    claimed_at : float
        When, in seconds of `time.time`.
    was_all : bool
        Whether there were no more jobs to claim at that moment.
    """

    claims: list[Claim]
    unit: Unit
    claimed_at: float
    was_all: bool

    def __len__(self) -> int:
        """Return how many documents it holds."""
        return len(self.claims)

    @property
    def suspect(self) -> bool:
        """Whether a worker died while it held these documents."""
        return any(claim.unfinished for claim in self.claims)

    def parts(self, size: int) -> Iterator[Load]:
        """Yield it in parts of at most so many documents."""
        for start in range(0, len(self), size):
            claims, unit = self.claims[start : start + size], self.unit.part(start, start + size)
            yield Load(claims, unit, self.claimed_at, self.was_all)


class Claims:
    """Claims jobs of one generation for one worker.

    Parameters
    ----------
    backend : Backend
        Where documents and jobs are.
    generation : int
        Whose jobs.
    owner : str
        Who holds the leases.
    lease_seconds : float
        How long a job is held without a sign of life.
    source : int, optional
        The generation whose vectors are shortened, where it has one of the same text.
    """

    def __init__(
        self, backend: Backend, generation: int, owner: str, lease_seconds: float, source: int | None = None
    ) -> None:
        self._backend, self._generation, self._source = backend, generation, source
        self._space = backend.generations.get(generation).space
        self._template = self._space.template
        self._owner, self._lease_seconds = owner, lease_seconds

    @patient
    def take(self, limit: int, *, suspects: bool) -> Load:
        """Claim the next jobs and read their texts; settle those whose document is gone or has another text.

        Not at once: where ledger and documents commit apart, a job may be seen before the text that it is for. If the
        store is lost on the way, others are claimed: `give_back` frees those that nobody knows of.
        """
        jobs, claimed_at = self._backend.ledger.jobs, time.time()
        claims = jobs.claim(self._generation, self._owner, limit, self._lease_seconds, suspects=suspects)
        return self._read(claims, claimed_at, was_all=len(claims) < limit)

    @patient
    def read_again(self, claims: list[Claim]) -> Load:
        """Read the texts of what the owner holds already, as `take` does."""
        return self._read(claims, time.time(), was_all=False)

    def _read(self, claims: list[Claim], claimed_at: float, *, was_all: bool) -> Load:
        found = self._backend.documents.texts([claim.document_key for claim in claims], self._template)
        current = []
        for claim in claims:
            if (hash_ := found.get(claim.document_key, ("",))[0]) == claim.content_hash:
                current.append(claim)
            else:
                self._settle(claim, hash_)
        texts = [found[claim.document_key][1] for claim in current]
        return Load(current, self._unit(current, texts), claimed_at, was_all)

    def give_back(self) -> None:
        """Free what the owner holds, if anything."""
        self._backend.ledger.jobs.release(self._owner)

    def _settle(self, claim: Claim, hash_: str) -> None:
        """End a job whose document has another text, or is not there (""); the first time it is only put off."""
        jobs = self._backend.ledger.jobs
        if not claim.attempts:
            jobs.fail(claim, self._owner, _NOT_THERE)
        elif hash_:
            jobs.enqueue(self._generation, [JobRequest(claim.document_key, hash_, claim.priority)])
        else:
            jobs.forget([self._generation], [claim.document_key])

    def _unit(self, claims: list[Claim], texts: list[str]) -> Unit:
        keys = np.array([claim.document_key for claim in claims], dtype=np.int64)
        hashes = [claim.content_hash for claim in claims]
        known = self._backend.generations.with_hashes(self._generation, hashes) if hashes else {}
        if self._source is not None and (left := [hash_ for hash_ in hashes if hash_ not in known]):
            found = self._backend.generations.with_hashes(self._source, left)
            known |= shortened_vectors(found, self._space)
        return Unit(self._generation, keys, hashes, texts, known)


class Heartbeat:
    """Renews the leases of an owner from a thread of its own, for as long as the ``with`` block runs.

    It notices when it came too late, because the process was stopped, or the store away, for longer than a lease.
    """

    def __init__(self, jobs: Jobs, owner: str, lease_seconds: float) -> None:
        self._jobs, self._owner, self._lease_seconds = jobs, owner, lease_seconds
        self._renewed_at = self._late_at = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="revector-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._done.set()
        self._thread.join()

    def may_be_lost(self, load: Load) -> bool:
        """Tell whether others may have claimed what a load holds, since no beat came in time."""
        held_until = max(load.claimed_at, self._renewed_at) + self._lease_seconds
        return load.claimed_at <= self._late_at or time.time() > held_until

    def _beat(self) -> None:
        self._renewed_at = time.time()
        while not self._done.wait(self._lease_seconds / 3):
            now = time.time()
            if now > self._renewed_at + self._lease_seconds:
                self._late_at = now
            with suppress(StoreError):  # a missed beat costs a lease at worst, which is harmless; the next one may work
                self._jobs.extend(self._owner, self._lease_seconds)
                self._renewed_at = now
