"""Packing a batch job: documents are leased to it, and their texts written into a file, as many as its limits allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from revector.backends.contracts import Backend
from revector.encoders.batching import BatchLine, BatchService
from revector.ledger.jobs import Claim
from revector.ledger.owners import UNTIL_GIVEN_BACK_SECONDS
from revector.migration.batches.book import Waiting
from revector.migration.batches.jobs import BatchJob
from revector.migration.filling.claims import Claims, Load
from revector.migration.landing import Rows
from revector.migration.patience import patient

__all__ = ["Limits", "Packed", "Packer"]

_SLICE = 2_000  # documents that are claimed at a time


@dataclass(frozen=True)
class Limits:
    """What one file may hold; `tokens` is ``None`` where nothing limits them."""

    requests: int
    bytes: int
    tokens: int | None


@dataclass
class Packed:
    """What is in a file.

    Attributes
    ----------
    hashes : set of str
        Content hashes of the texts that have a line in the file.
    tokens, bytes : int
        Of the file; tokens at most.
    is_full : bool
        Something did not fit into it.
    reused : int
        Documents whose vectors were there already.
    """

    hashes: set[str] = field(default_factory=set)
    tokens: int = 0
    bytes: int = 0
    is_full: bool = False
    reused: int = 0

    def takes(self, line: BatchLine, limits: Limits) -> bool:
        """Tell whether a line fits."""
        fits = limits.tokens is None or self.tokens + line.tokens <= limits.tokens
        return fits and len(self.hashes) < limits.requests and self.bytes + len(line.line) <= limits.bytes


class Packer:
    """Packs the jobs of one generation.

    Parameters
    ----------
    backend : Backend
        Where documents and jobs are.
    service : BatchService
        Writes the lines.
    source : int, optional
        The generation whose vectors are shortened; see `Claims`.
    land : callable
        Stores vectors that are there already for the same text.
    """

    def __init__(
        self, backend: Backend, service: BatchService, source: int | None, land: Callable[[Rows, str], int]
    ) -> None:
        self._backend, self._service, self._source, self._land = backend, service, source, land

    def pack(self, job: BatchJob, file: IO[bytes], limits: Limits, out: Waiting) -> Packed:
        """Lease documents to a job, beside those that it has, and write their texts into its file.

        Parameters
        ----------
        job : BatchJob
            What it holds from before a crash is read again, and given back if it does not fit any more.
        file : binary file
            An empty one.
        limits : Limits
        out : Waiting
            For texts that are out already: documents that share one are leased, and wait for it, too.
        """
        claims = Claims(self._backend, job.generation, job.owner, UNTIL_GIVEN_BACK_SECONDS, self._source)
        packed = Packed()
        for load in self._loads(job, claims, limits, packed):
            packed.reused += self._land_known(load, job.owner)
            left = self._write(load, packed, file, limits, out)
            if left:
                packed.is_full = True
                patient(self._backend.ledger.jobs.postpone)(left, job.owner, 0.0)
        return packed

    def _loads(self, job: BatchJob, claims: Claims, limits: Limits, packed: Packed) -> Iterator[Load]:
        held = patient(self._backend.ledger.jobs.held)(job.owner)
        for start in range(0, len(held), _SLICE):
            yield claims.read_again(held[start : start + _SLICE])
        while not packed.is_full:
            load = claims.take(min(_SLICE, 1 + limits.requests - len(packed.hashes)), suspects=False)
            yield load
            if load.was_all:
                return

    def _land_known(self, load: Load, owner: str) -> int:
        unit = load.unit
        rows = Rows.of(unit.keys, unit.hashes, unit.known)
        return self._land(rows, owner) if len(rows) else 0

    def _write(self, load: Load, packed: Packed, file: IO[bytes], limits: Limits, out: Waiting) -> list[Claim]:
        """Write the texts of a load that are not out; return the claims of those that do not fit."""
        texts = dict(zip(load.unit.hashes, load.unit.texts, strict=True))
        for claim in load.claims:
            if claim.content_hash in out and claim.content_hash not in load.unit.known:
                out.add(claim.content_hash, claim.document_key)
        here = load.unit.known.keys() | packed.hashes
        new = {hash_: text for hash_, text in texts.items() if hash_ not in out and hash_ not in here}
        too_much: set[str] = set()
        for line in self._service.lines(new):
            if too_much or not packed.takes(line, limits):
                too_much.add(line.name)
                continue
            file.write(line.line)
            packed.hashes.add(line.name)
            packed.tokens, packed.bytes = packed.tokens + line.tokens, packed.bytes + len(line.line)
        return [claim for claim in load.claims if claim.content_hash in too_much]
