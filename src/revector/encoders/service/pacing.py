"""Staying within what a service allows: requests and tokens a minute, the pauses it asks for, and a budget."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from revector._forks import renew_in_child
from revector.errors import InvalidArgumentError, PortableError, SpendCapError

__all__ = ["Clock", "Pacer", "SpendMeter", "Stopped", "pause_asked", "pause_until_reset"]

_MINUTE = 60.0
# A long wait is taken in naps: tokens that were given back in the meantime shorten it, and a stop is noticed.
_NAP_SECONDS = 1.0
# Less than a clock can tell apart is not worth waiting for (and added to a large time it is nothing at all).
_TICK_SECONDS = 1e-6
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DAY = 86_400.0
_UNIT_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Stopped(PortableError):  # noqa: N818 - a signal between threads, never seen by a user
    """Somebody said that the work is no longer wanted."""


class Clock:
    """Time, and waiting for it; tests put one of their own in its place."""

    def now(self) -> float:
        """Seconds from an arbitrary moment; never runs backwards."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait; raise `Stopped` as soon as `stop` is set."""
        if stop.wait(seconds):
            raise Stopped


class _Bucket:
    """Holds what may be used at once, and fills at an even rate.

    In any minute no more than the rate leaves it: what it holds at the beginning counts towards that minute, so it
    fills a little slower than the rate. An amount beyond what it can hold leaves when it is full, and is made up for
    afterwards.
    """

    def __init__(self, per_minute: float, burst_seconds: float, now: float) -> None:
        self._capacity = max(1.0, per_minute * burst_seconds / _MINUTE)
        self._per_second = (per_minute - self._capacity + 1) / _MINUTE
        self._level, self._at = self._capacity, now

    def wait_for(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` can be taken."""
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (min(amount, self._capacity) - self._level) / self._per_second)

    def take(self, amount: float) -> None:
        self._level -= amount

    def give_back(self, amount: float) -> None:
        self._level = min(self._capacity, self._level + amount)


class Pacer:
    """Lets requests of any number of threads through at the pace a service allows, in the order they come.

    Several encoders of one account can share one.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : float, optional
        The limits, at least 1; none by default.
    burst_seconds : float
        How much of a minute's allowance may be used at once.
    clock : Clock, optional
        Time.

    Raises
    ------
    InvalidArgumentError
        A limit below 1, or a burst that is not between 0 and 60 seconds.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        burst_seconds: float = 2.0,
        clock: Clock | None = None,
    ) -> None:
        if not 0 <= burst_seconds < _MINUTE:
            raise InvalidArgumentError(f"burst_seconds is {burst_seconds}, expected at least 0 and less than 60")
        self.clock = clock or Clock()
        self._requests = self._bucket("requests_per_minute", requests_per_minute, burst_seconds)
        self._tokens = self._bucket("tokens_per_minute", tokens_per_minute, burst_seconds)
        self._paused_until = -math.inf
        self._renew_locks()
        renew_in_child(self._renew_locks)

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()
        self._turnstile = threading.Lock()

    def _bucket(self, name: str, per_minute: float | None, burst_seconds: float) -> _Bucket | None:
        if per_minute is None:
            return None
        if not 1 <= per_minute < math.inf:
            raise InvalidArgumentError(f"{name} is {per_minute}, expected a number of at least 1")
        return _Bucket(per_minute, burst_seconds, self.clock.now())

    def admit(self, tokens: int, stop: threading.Event) -> None:
        """Wait until a request may be sent, and count it.

        Parameters
        ----------
        tokens : int
            What it will use, at most; `give_back` returns what it did not use.
        stop : threading.Event
            Ends the wait with `Stopped`.
        """
        with self._turnstile:  # one waits at the head, so that large requests are not overtaken for ever
            while (seconds := self._take(tokens)) > 0:
                self.clock.wait(min(seconds, _NAP_SECONDS), stop)

    def _take(self, tokens: int) -> float:
        """Take a request from the buckets and return 0, or return how long that is not possible."""
        with self._lock:
            now = self.clock.now()
            wanted = [(b, n) for b, n in ((self._requests, 1), (self._tokens, tokens)) if b is not None]
            seconds = max([self._paused_until - now, *(bucket.wait_for(amount, now) for bucket, amount in wanted)])
            if seconds > _TICK_SECONDS:
                return seconds
            for bucket, amount in wanted:
                bucket.take(amount)
            return 0.0

    def give_back(self, tokens: int) -> None:
        """Return tokens that a request was admitted with and did not use; a negative number takes more."""
        with self._lock:
            if self._tokens is not None:
                self._tokens.give_back(tokens)

    def pause(self, seconds: float) -> None:
        """Admit nobody for that long."""
        with self._lock:
            self._paused_until = max(self._paused_until, self.clock.now() + seconds)

    @property
    def paused_seconds(self) -> float:
        """What is left of a pause."""
        return max(0.0, self._paused_until - self.clock.now())


@dataclass(frozen=True)
class _Job:
    """Work that takes hours, by name: its tokens, the share of the price that they cost, and whether it is paid."""

    tokens: int
    share: float
    paid: bool


class SpendMeter:
    """Counts what is spent, and holds it below a cap, across threads.

    Parameters
    ----------
    price_per_million_tokens : float, optional
        In any currency; tokens cost nothing without it.
    cap : float, optional
        The most that may be spent, in the same currency; needs a price.

    Raises
    ------
    InvalidArgumentError
        A cap without a price, or a negative number.
    """

    def __init__(self, price_per_million_tokens: float | None = None, cap: float | None = None) -> None:
        for name, value in (("price_per_million_tokens", price_per_million_tokens), ("spend_cap", cap)):
            if value is not None and not 0 <= value < math.inf:
                raise InvalidArgumentError(f"{name} is {value}, expected a number of at least 0")
        if cap is not None and price_per_million_tokens is None:
            raise InvalidArgumentError(f"spend_cap is {cap}, but there is no price; give price_per_million_tokens")
        self._price = price_per_million_tokens
        self._cap = cap
        self._tokens = 0
        self._jobs: dict[str, _Job] = {}
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._reserved = 0  # a child has none of its parent's requests under way
        self._settled = threading.Condition()

    @property
    def cap(self) -> float | None:
        """The most that may be spent."""
        return self._cap

    @property
    def tokens(self) -> int:
        """Tokens paid for so far."""
        return self._tokens + sum(job.tokens for job in self._jobs.values() if job.paid)

    @property
    def spent(self) -> float:
        """Money spent so far."""
        return self.price_of(self._tokens + self._of_jobs(paid=True)) or 0.0

    def price_of(self, tokens: float) -> float | None:
        """Return what tokens cost; ``None`` without a price."""
        return None if self._price is None else tokens * self._price / 1e6

    def note_job(self, name: str, tokens: int, *, share: float, paid: bool) -> None:
        """Count work that takes hours, in place of what was counted under its name before. No request waits for it.

        Parameters
        ----------
        name : str
        tokens : int
            What it will be charged, at most; what it was charged once it is paid.
        share : float
            Of the price, that its tokens cost.
        paid : bool
            By this process. What is not paid, or was by another one, counts towards the cap alone.
        """
        with self._settled:
            self._jobs[name] = _Job(tokens, share, paid)
            self._settled.notify_all()

    def drop_job(self, name: str) -> None:
        """Count the work under a name no longer: it is not done."""
        with self._settled:
            self._jobs.pop(name, None)
            self._settled.notify_all()

    def knows_job(self, name: str) -> bool:
        """Whether work is counted under a name."""
        return name in self._jobs

    def room(self, share: float) -> int | None:
        """Return how many tokens at a share of the price the cap leaves; ``None`` if it does not limit them."""
        with self._settled:
            if self._cap is None or not self._price or not share:
                return None
            left = self._cap - (self.price_of(self._tokens + self._reserved + self._of_jobs()) or 0.0)
            return max(0, math.floor(left * 1e6 / (self._price * share)))

    def _of_jobs(self, *, paid: bool = False) -> float:
        """Return the tokens at the whole price that all jobs are worth, or those that are paid."""
        return sum(job.tokens * job.share for job in self._jobs.values() if job.paid or not paid)

    def reserve(self, tokens: int, stop: threading.Event) -> None:
        """Set the price of a request aside before it is sent; every call is followed by one of `settle`.

        While requests are under way whose true price may leave enough, it waits for them.

        Raises
        ------
        SpendCapError
            The request could cost more than is left.
        Stopped
            The work is no longer wanted.
        """
        with self._settled:
            while not self._affords(self._tokens + self._of_jobs() + self._reserved + tokens):
                if not self._affords(self._tokens + self._of_jobs() + tokens):
                    raise self.refusal(tokens)
                if stop.is_set():
                    raise Stopped
                self._settled.wait(_NAP_SECONDS)
            self._reserved += tokens

    def settle(self, reserved: int, used: int) -> None:
        """Replace what was set aside by what was used."""
        with self._settled:
            self._reserved -= reserved
            self._tokens += used
            self._settled.notify_all()

    def _affords(self, tokens: float) -> bool:
        price = self.price_of(tokens)
        return self._cap is None or price is None or price <= self._cap

    def refusal(self, tokens: float) -> SpendCapError:
        """Return the error for so many tokens, at the whole price, that the cap does not leave."""
        counted = self.price_of(self._tokens + self._of_jobs()) or 0.0
        return SpendCapError(
            f"the next request could cost {self.price_of(tokens):.6g}, and of the cap of {self._cap:.6g} "
            f"{counted:.6g} is spent{' or set aside for batch jobs' * bool(self._jobs)}; raise spend_cap, or stop here",
            spent=self.spent,
            cap=self._cap,
        )


def pause_asked(headers: Mapping[str, str], wall: float) -> float | None:
    """Return how long a refusing service asks to wait, in seconds; ``None`` if it does not say.

    ``retry-after-ms`` is believed before ``retry-after`` (seconds or an HTTP date), and that before the
    ``x-ratelimit-*`` headers. A header that makes no sense is as good as none; no pause is longer than a day.

    Parameters
    ----------
    headers : mapping of str to str
        Of the answer, names in lower case.
    wall : float
        Seconds since 1970 here, for services that send no ``date`` to compare their dates with.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(_DAY, milliseconds / 1000)
    asked = headers.get("retry-after")
    seconds = _number(asked)
    if seconds is not None:
        return min(_DAY, seconds)
    until = _date(asked)
    if until is not None:
        sent = _date(headers.get("date"))
        return min(_DAY, max(0.0, until - (wall if sent is None else sent)))
    return pause_until_reset(headers)


def pause_until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a limit is set back that is used up (``x-ratelimit-remaining-…: 0``), else ``None``.

    What is longer than a day is some other number, such as a date in seconds.
    """
    resets = [
        _duration(headers.get(f"x-ratelimit-reset-{what}"))
        for what in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0
    ]
    return max((seconds for seconds in resets if seconds is not None and seconds <= _DAY), default=None)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _date(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value or "").timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):  # whatever `email` makes of a date
        return None


def _duration(value: str | None) -> float | None:
    """Read ``1m30.5s``, ``20ms`` or plain seconds."""
    plain = _number(value)
    if plain is not None or value is None:
        return plain
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
