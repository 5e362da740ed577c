"""What running processes say of themselves: workers what they do and why so fast, searchers how long searches take.

Each writes a note of its own every few seconds, which counts for a while and is swept away by those who come later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from revector.backends.contracts import Backend
from revector.errors import RevectorError
from revector.ledger.owners import is_dead, new_owner

SAY_EVERY_SECONDS = 2.0
COUNTS_FOR_SECONDS = 15.0
"""After so long without a word a process is stopped, cut off or gone."""
STANDS_STILL_SECONDS = 60.0
"""A stage that takes longer for one unit is named: nothing that works takes so long."""
PATIENCE_SECONDS = 0.5
"""So long a word waits for other writers; the next one may come through."""
CLAIMING, ENCODING, LANDING, LOCKED = "claiming", "encoding", "landing", "waiting for a lock"
WAITING, PACED = "waiting", "paced"
"""No stage of the work: the throttle, a service or other workers let it rest."""
_FORGOTTEN_AFTER_SECONDS = 86_400.0
_WORKER, _SEARCHES = "worker:", "searches:"
_SPENT, _SPEND_CAP = "spent:{}:", "spend_cap:{}"


@dataclass(frozen=True)
class WorkerSign:
    """What a worker said last.

    Attributes
    ----------
    owner : str
        Who it is; see `revector.ledger.owners`.
    at, since : float
        When it said so, and since when it is at that stage with the unit in hand; seconds since the epoch.
    generation : int
        What it fills.
    stage : str
        ``"claiming"``, ``"encoding"``, ``"landing"``, ``"waiting for a lock"``; ``"waiting"``, or ``"paced"`` between
        two units, as `reason` says.
    reason : str
        What it waits for, or why it goes no faster.
    documents_per_second : float or None
        Of the last seconds.
    """

    owner: str
    at: float
    since: float
    generation: int
    stage: str
    reason: str
    documents_per_second: float | None

    @property
    def process(self) -> int:
        """Its process id, on its own machine."""
        return int(self.owner.split(":")[1])

    @property
    def stands_still(self) -> bool:
        """Whether a stage has taken too long for the unit in hand."""
        return self.stage not in (WAITING, PACED) and self.at - self.since > STANDS_STILL_SECONDS

    @property
    def why(self) -> str:
        """Why it is as fast as it is."""
        if self.stands_still:
            return f"stands still: {self.stage} for {self.at - self.since:.0f} s (process {self.process})"
        return self.reason

    def __str__(self) -> str:
        """Return how fast it is, and why."""
        return pace_of([self])


def pace_of(signs: Sequence[WorkerSign]) -> str:
    """Return how fast some workers are together, and why; empty where there are none."""
    rates = [sign.documents_per_second for sign in signs if sign.stage != WAITING and not sign.stands_still]
    rate = sum(rate for rate in rates if rate is not None)
    together = f" by {len(signs)} workers" if len(signs) > 1 else ""
    said = [f"{rate:,.3g} docs/s{together}"] if rate and rate < 1 else [f"{rate:,.0f} docs/s{together}"] if rate else []
    return ", ".join([*said, *dict.fromkeys(sign.why for sign in signs)])


def say_worker(backend: Backend, sign: WorkerSign) -> None:
    """Write down what a worker does; nothing happens where the store has no time for it."""
    said = asdict(sign)
    _say(backend, _WORKER + said.pop("owner"), said)


def unsay_worker(backend: Backend, owner: str) -> None:
    """Forget a worker that ends."""
    _unsay(backend, _WORKER + owner)


def say_spent(backend: Backend, generation: int, owner: str, amount: float) -> None:
    """Write down what a worker has spent on a generation; that is kept when it ends."""
    _say(backend, _SPENT.format(generation) + owner, amount)


def keep_spent(backend: Backend, generation: int, owner: str, amount: float) -> None:
    """Write the same down together with what the open transaction writes."""
    backend.ledger.notes.keep(_SPENT.format(generation) + owner, amount)


def spent_on(backend: Backend, generation: int) -> float:
    """Return the money that services have taken from the workers of a generation, in the currency of their price."""
    return float(sum(backend.ledger.notes.under(_SPENT.format(generation)).values()))


def say_spend_cap(backend: Backend, generation: int, cap: float) -> None:
    """Write down the most that a worker of a generation may spend; the last word counts."""
    _say(backend, _SPEND_CAP.format(generation), cap)


def spend_cap_of(backend: Backend, generation: int) -> float | None:
    """Return the most that each worker of a generation may spend; ``None`` if none has said a cap."""
    cap: float | None = backend.ledger.notes.get(_SPEND_CAP.format(generation))
    return cap


class SearchSigns:
    """Says how long the searches of one process take.

    Parameters
    ----------
    backend : Backend
        Where it is written down.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend, self._name, self._said = backend, _SEARCHES + new_owner(), False

    def say(self, seconds: Sequence[float]) -> None:
        """Write down how long the recent ones took: their median and p99, in milliseconds."""
        self._said = True
        p50, p99 = (1000 * np.quantile(seconds, (0.5, 0.99))).tolist()
        _say(self._backend, self._name, {"at": time.time(), "p50": p50, "p99": p99, "searches": len(seconds)})

    def end(self) -> None:
        """Forget what was said."""
        if self._said:
            _unsay(self._backend, self._name)


def workers(backend: Backend, generation: int | None) -> list[WorkerSign]:
    """Return the workers of a generation that are alive."""
    found = (WorkerSign(owner=owner, **said) for owner, said in _heard(backend, _WORKER))
    return [sign for sign in found if sign.generation == generation]


def search_p50(backend: Backend) -> float:
    """Return the median of the slowest process that searches, in milliseconds; 0 where nobody does."""
    return max((said["p50"] for _, said in _heard(backend, _SEARCHES)), default=0.0)


def search_p99(backend: Backend) -> float:
    """Return the p99 of the slowest process that searches, in milliseconds; 0 where nobody does."""
    return max((said["p99"] for _, said in _heard(backend, _SEARCHES)), default=0.0)


def sweep(backend: Backend) -> None:
    """Drop what processes left that have ended, or that nobody has heard of for a day."""
    for kind in (_WORKER, _SEARCHES):
        for owner, said in backend.ledger.notes.under(kind).items():
            if is_dead(owner) or said["at"] < time.time() - _FORGOTTEN_AFTER_SECONDS:
                _unsay(backend, kind + owner)


def _heard(backend: Backend, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what those said lately who are not known to have ended."""
    for owner, said in backend.ledger.notes.under(kind).items():
        if abs(time.time() - said["at"]) <= COUNTS_FOR_SECONDS and not is_dead(owner):
            yield owner, said


def _say(backend: Backend, name: str, said: Any) -> None:
    with suppress(RevectorError), backend.transaction(PATIENCE_SECONDS):
        backend.ledger.notes.keep(name, said)


def _unsay(backend: Backend, name: str) -> None:
    with suppress(RevectorError), backend.transaction(PATIENCE_SECONDS):
        backend.ledger.notes.drop(name)
