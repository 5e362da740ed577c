"""What a gateway takes at once, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a gateway; what goes beyond one is refused, and costs nothing but its refusal.

    Parameters
    ----------
    body_bytes : int
        Of one request.
    held_bytes : int
        Of all requests that are being read or answered; more is answered by 429.
    body_seconds : float
        A body has arrived by then, or is answered by 408.
    silent_seconds : float
        A connection is closed on which a client neither asks nor reads for so long, or twice that.
    collect_seconds : float
        So long others are waited for, to go into the same call of the model.
    batch_texts : int
        Texts in one call; a request with more is cut into pieces, and others come in between.
    waiting_texts : int
        Of all requests that are not answered yet, for each kind of work; more is answered by 429.
    request_texts : int
        Texts, or documents, of one request.
    hits : int
        Hits of one search.
    drain_seconds : float
        Answers are waited for so long once the gateway is told to stop.
    """

    body_bytes: int = 8 << 20
    held_bytes: int = 64 << 20
    body_seconds: float = 30.0
    silent_seconds: float = 10.0
    collect_seconds: float = 0.003
    batch_texts: int = 128
    waiting_texts: int = 4096
    request_texts: int = 2048
    hits: int = 1000
    drain_seconds: int = 30
