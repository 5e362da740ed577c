"""A date by which a migration has to be done, as when a model is switched off: what it takes, and whether it is met."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from revector._arguments import shown
from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError
from revector.migration.throttle import Throttle, open_share

RESERVE = 0.2
"""Part of the time that is left for what nobody foresees: machines that are away, a verification, a cut-over."""
_NOTE = "deadline:{}"


@dataclass(frozen=True)
class Schedule:
    """What it takes to move a collection by a date.

    Attributes
    ----------
    deadline : float
        Seconds since the epoch.
    documents : int
        To be moved, when it was planned.
    documents_per_second : float or None
        Of one worker on the machine where it was planned, as measured; ``None`` if there was nothing to measure.
    rate : float
        Documents a second that are enough, with a reserve of a fifth of the time.
    workers : int
        As fast as that one, which it takes.
    """

    deadline: float
    documents: int
    documents_per_second: float | None
    rate: float
    workers: int

    @property
    def needs_more(self) -> bool:
        """Whether one worker, as fast as the measured one, is not enough."""
        return self.workers > 1

    def __str__(self) -> str:
        """Return what it takes, in words."""
        by = f"to be done by {_shown(self.deadline)}, {self.rate:,.3g} docs/s are needed"
        if self.documents_per_second is None:
            return by
        measured = f"one worker here embeds {self.documents_per_second:,.3g} docs/s"
        return f"{by}; {measured}{f', so that it takes {self.workers} of them' if self.needs_more else ''}"

    def outlook(self, left: int, rate: float | None) -> str:
        """Return whether it will be met, with so many documents left and documents a second at present."""
        by, seconds_left = _shown(self.deadline), self.deadline - time.time()
        if not left:
            return f"{by}; all documents have moved"
        if seconds_left <= 0:
            return f"{by} has passed; {left:,} documents are left"
        needed = f"{by}; {left:,} documents are left, which takes {left / seconds_left:,.3g} docs/s"
        if rate is None:
            return needed
        done = _shown(time.time() + left / rate)
        return f"{needed}; at {rate:,.3g} docs/s it is done by {done}{', too late' * (left / rate > seconds_left)}"


def planned_by(deadline: float, documents: int, documents_per_second: float | None, limits: Throttle) -> Schedule:
    """Plan documents a second, and workers, for a date.

    Parameters
    ----------
    deadline : float
        Seconds since the epoch.
    documents : int
        To be moved.
    documents_per_second : float or None
        Of one worker that nothing holds back.
    limits : Throttle
        Its window and its share of the time leave workers less of it.
    """
    seconds = (deadline - time.time()) * (1 - RESERVE) * open_share(limits.window)
    rate = documents / max(seconds, 1e-9)
    one = None if documents_per_second is None else documents_per_second * (limits.share or 1.0)
    workers = 1 if one is None else max(1, math.ceil(rate / one))
    return Schedule(deadline, documents, documents_per_second, rate, workers)


def deadline_of(given: Any) -> float:
    """Return a date, or a time, in seconds since the epoch; a date is over before it begins.

    Raises
    ------
    InvalidArgumentError
        It is neither, or has passed.
    """
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InvalidArgumentError(f"deadline is {shown(given)}, expected a date such as '2027-01-31'") from error
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if not isinstance(moment, datetime):
        raise InvalidArgumentError(f"deadline is {shown(given)}, expected a date such as '2027-01-31'")
    if moment.timestamp() <= time.time():
        raise InvalidArgumentError(f"deadline is {moment:%Y-%m-%d %H:%M}, which has passed; give one to come")
    return moment.timestamp()


def keep_schedule(backend: Backend, migration_id: int, schedule: Schedule) -> None:
    """Let `status` tell of a date."""
    with backend.transaction():
        backend.ledger.notes.keep(_NOTE.format(migration_id), asdict(schedule))
        backend.ledger.note(migration_id, "deadline", asdict(schedule))


def read_schedule(backend: Backend, migration_id: int) -> Schedule | None:
    """Return what was planned for a date, if there is one."""
    kept = backend.ledger.notes.get(_NOTE.format(migration_id))
    return None if kept is None else Schedule(**kept)


def _shown(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
