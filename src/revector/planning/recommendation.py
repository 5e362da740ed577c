"""Which strategy suits a migration, and why: from what is asked of it, how long it takes and what it costs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from revector._display import shown_seconds
from revector.spaces import EmbeddingSpace

AT_ONCE_SECONDS = 900.0
"""What takes no longer needs no window: it is over before anybody has waited for the night."""
WINDOW, WINDOW_SECONDS = "22:00-06:00", 8 * 3600.0


@dataclass(frozen=True)
class Recommendation:
    """A strategy, as `revector start --strategy` takes it, and why."""

    strategy: str
    reason: str


@dataclass(frozen=True)
class Circumstances:
    """What a recommendation follows from.

    Attributes
    ----------
    source, target : EmbeddingSpace
    seconds : float
        For embedding and index.
    is_paid : bool
        Whether it costs money, of a service or for machines.
    sla_ms : float or None
        What a search may take.
    deadline : float or None
        When it has to be done, in seconds since the epoch.
    """

    source: EmbeddingSpace
    target: EmbeddingSpace
    seconds: float
    is_paid: bool
    sla_ms: float | None
    deadline: float | None


def recommended(about: Circumstances) -> Recommendation:
    """Return what suits, the first of: no embedding at all, a strict SLA, a date, a small collection, a bill."""
    takes = f"it takes {shown_seconds(about.seconds)}"
    if about.target.derives_from(about.source):
        return Recommendation("representation", "the new vectors are made of the stored ones: nothing is embedded")
    if about.sla_ms is not None:
        return Recommendation(
            "background,dual-index",
            f"searches have to answer within {about.sla_ms:g} ms: both indexes answer, what is asked for most moves "
            "first, and workers wait while searches are slow (revector throttle --search-p99)",
        )
    if about.deadline is not None:
        return Recommendation("background", f"there is a date, and {takes}: workers take all of their time for it")
    if about.seconds <= AT_ONCE_SECONDS:
        return Recommendation("background", f"the collection is small, {takes}: in bulk, whenever it suits")
    if about.is_paid:
        return Recommendation(
            "on-read",
            "it has a price: what is searched for moves first, the rest lazily, and it can be paused at any share",
        )
    if about.seconds <= WINDOW_SECONDS:
        return Recommendation(
            f"background?window={WINDOW}", f"{takes}, which fits into one night: in bulk, in a window"
        )
    return Recommendation(
        "background", f"{takes}: behind the searches, what is asked for most first, for as long as it needs"
    )


def start_command(place: str, model: str, target: EmbeddingSpace, strategy: str, deadline: str | None) -> str:
    """Return the command that begins the migration so."""
    words = ["revector", "start", place, "--model", model]
    if target.template is not None:
        words += ["--template", ",".join(target.template.fields)]
    words += ["--strategy", strategy]
    if deadline is not None:
        words += ["--deadline", deadline]
    return shlex.join(words)
