"""What limits a run: one value of the migration, which every worker reads anew a few times a second.

Whoever operates a migration changes it while it runs, from any process. The functions say how long a worker waits now,
and why; what they are told is measured elsewhere (`revector.migration.filling.brake`).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from revector._arguments import number, shown, valid_unicode, whole_number
from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError

ASK_AGAIN_SECONDS = 1.0
"""A worker that waits for a load, a query, a service or searches looks so often whether it may go on."""
LONGEST_RETRY_SECONDS = 300.0
"""A service that wants to be left alone for longer is asked again all the same."""
_NOTE = "throttle:{}"
_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")
_WAITS = (429, 503)
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Throttle:
    """Limits of a run; those that are ``None`` do not limit it.

    Parameters
    ----------
    max_load : float, optional
        Wait while the load average of the worker's machine (one minute) is above so much for each of its cores.
    query : str, optional
        SQL in the collection's database: wait while its first value is above 0, or true.
    http : str, optional
        A URL that is asked every second: workers go on at 200, and wait at 429 and 503 (for ``Retry-After``).
    search_p99 : float, optional
        Milliseconds: wait while the slowest hundredth of a process's searches takes longer.
    rate : float, optional
        Documents a second, of all workers together.
    share : float, optional
        Of the time, above 0 and at most 1: a worker sleeps for the rest of it.
    batch : int, optional
        Texts given to the encoder at a time; in place of what the strategy says.
    window : str, optional
        ``"22:00-06:00"``, local time of the worker's machine: wait outside it.

    Raises
    ------
    InvalidArgumentError
        A limit is something else.
    """

    max_load: float | None = None
    query: str | None = None
    http: str | None = None
    search_p99: float | None = None
    rate: float | None = None
    share: float | None = None
    batch: int | None = None
    window: str | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check(value, name))

    def changed(self, **changes: Any) -> Throttle:
        """Return it with other limits; ``None`` takes one away."""
        if unknown := changes.keys() - _CHECKS.keys():
            raise InvalidArgumentError(f"{min(unknown)!r} is not a limit; there are {', '.join(_CHECKS)}")
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the limits that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        """Return the limits in words."""
        said = (_SAID[name].format(value) for name, value in self.to_json().items())
        return ", ".join(said) or "no limits"


@dataclass(frozen=True)
class Held:
    """How long a worker waits now, and why.

    Attributes
    ----------
    seconds : float
        0 where it may go on.
    reason : str
    paces : bool
        It is a moment between two units, after which the worker goes on.
    """

    seconds: float = 0.0
    reason: str = ""
    paces: bool = False


FREE = Held()


def read_throttle(backend: Backend, migration_id: int) -> Throttle:
    """Return what limits a migration now."""
    known = {field.name for field in fields(Throttle)}
    kept = backend.ledger.notes.get(_NOTE.format(migration_id)) or {}
    return Throttle(**{name: value for name, value in kept.items() if name in known})


def keep_throttle(backend: Backend, migration_id: int, throttle: Throttle) -> None:
    """Let a migration be limited by something else from now on; that is an event."""
    backend.ledger.notes.keep(_NOTE.format(migration_id), throttle.to_json())
    backend.ledger.note(migration_id, "throttle", throttle.to_json())


def begin_throttle(backend: Backend, migration_id: int, limits: Throttle) -> None:
    """Let a migration begin with the limits of its strategy, unless somebody has set some before its start."""
    if limits != NO_LIMITS and read_throttle(backend, migration_id) == NO_LIMITS:
        keep_throttle(backend, migration_id, limits)


def by_window(window: str, now: datetime) -> Held:
    """Wait until the window opens, unless it is open."""
    opens, closes = (now.replace(hour=h, minute=m, second=0, microsecond=0) for h, m in _times(window))
    is_open = opens <= now < closes if opens < closes else now >= opens or now < closes
    if is_open:
        return FREE
    if opens <= now:
        opens += timedelta(days=1)
    return Held((opens - now).total_seconds(), f"waits until {opens:%H:%M}")


def open_share(window: str | None) -> float:
    """Return the part of a day for which a window is open; all of it without one."""
    if window is None:
        return 1.0
    (opens_h, opens_m), (closes_h, closes_m) = _times(window)
    return (60 * (closes_h - opens_h) + closes_m - opens_m) % _MINUTES_A_DAY / _MINUTES_A_DAY


def by_load(most: float, load: float) -> Held:
    """Wait while the load average a core is above a bound."""
    return Held(ASK_AGAIN_SECONDS, f"waits: load {load:.2f} a core > {most:g}") if load > most else FREE


def by_answer(value: Any) -> Held:
    """Wait while a query answers with more than 0, or true."""
    if value is None or isinstance(value, (bool, int, float)) or hasattr(value, "__float__"):
        return Held(ASK_AGAIN_SECONDS, f"waits: the query says {value}") if value is not None and value > 0 else FREE
    return Held(ASK_AGAIN_SECONDS, f"waits: the query says {shown(value)}, which is not a number")


def by_status(url: str, status: int, retry_after: str | None) -> Held:
    """Wait while a service answers with anything but 200."""
    if status == 200:
        return FREE
    seconds = ASK_AGAIN_SECONDS
    if retry_after is not None and retry_after.strip().isdecimal():
        seconds = min(LONGEST_RETRY_SECONDS, max(seconds, float(retry_after)))
    unexpected = "" if status in _WAITS else ", expected 200, 429 or 503"
    return Held(seconds, f"waits: {url} says {status}{unexpected}")


def by_search(most: float, p99: float) -> Held:
    """Wait while searches take longer, in milliseconds."""
    return Held(ASK_AGAIN_SECONDS, f"waits: search p99 {p99:.0f} ms > {most:g} ms") if p99 > most else FREE


def by_rate(rate: float, workers: int, documents: int, elapsed: float) -> Held:
    """Wait until some documents, begun so many seconds ago, have taken as long as the rate wants.

    Each of several workers takes an equal part of it.
    """
    left = documents * workers / rate - elapsed
    return Held(left, f"held to {rate:g}/s by rate", paces=True) if left > 0 else FREE


def by_share(share: float, busy: float, idle: float) -> Held:
    """Sleep after some seconds of work until these were no more than a share of the time."""
    left = busy * (1 / share - 1) - idle
    return Held(left, f"held to {share:.0%} of the time by share", paces=True) if left > 0 else FREE


def _times(window: str) -> tuple[tuple[int, int], tuple[int, int]]:
    found = _WINDOW.fullmatch(window)
    assert found is not None  # `Throttle` has looked
    h, m, until_h, until_m = map(int, found.groups())
    return (h, m), (until_h, until_m)


def _above_zero(value: Any, name: str) -> float:
    return number(value, name, above=0)


def _share(value: Any, name: str) -> float:
    if (share := number(value, name, above=0)) > 1:
        raise InvalidArgumentError(f"{name} is {share:g}, expected a part of the time, above 0 and at most 1")
    return share


def _batch(value: Any, name: str) -> int:
    return whole_number(value, name, least=1)


def _window(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _WINDOW.fullmatch(value) or len(set(_times(value))) < 2:
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected two times of the day such as '22:00-06:00'")
    return value


def _query(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected SQL such as 'SELECT count(*) FROM queue'")
    return valid_unicode(value, name)


def _url(value: Any, name: str) -> str:
    """Return a URL; one with a password is refused, for `status` shows it to everybody."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidArgumentError(f"{name} is {shown(value)}, expected a URL such as 'http://localhost:8080/throttle'")
    if "@" in parts.netloc:
        raise InvalidArgumentError(f"{name} holds a user or a password, which would be kept and shown; give it without")
    return valid_unicode(str(value), name)


_CHECKS = {
    "max_load": _above_zero,
    "query": _query,
    "http": _url,
    "search_p99": _above_zero,
    "rate": _above_zero,
    "share": _share,
    "batch": _batch,
    "window": _window,
}
_SAID = {
    "max_load": "waits while the load a core is above {:g}",
    "query": "waits while this is above 0: {}",
    "http": "waits while {} says 429 or 503",
    "search_p99": "waits while the p99 of searches is above {:g} ms",
    "rate": "{:g} documents a second",
    "share": "{:.0%} of the time",
    "batch": "{} texts at a time",
    "window": "from {}",
}
NO_LIMITS = Throttle()
