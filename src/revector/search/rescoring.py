"""Embedding the candidates of a search on the spot, within a budget of texts and time.

How long a model takes for a text is measured as searches go on. A search takes as many texts as fit into its time and
into what other searches leave of those in flight: none, if need be. It never waits for its turn.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from revector._forks import renew_in_child
from revector.encoders.base import TextEncoder
from revector.encoders.once import Embedded, Vectors, embed_once
from revector.errors import EncoderError
from revector.migration.strategies.base import Budget

MEASURE_AGAIN_AFTER_SECONDS = 10.0
"""So often a model that was too slow for the budget is given one text, to notice that it has become faster."""
QUICK_SECONDS = 0.0005
_REFUSED = 10_000  # texts that are remembered because the model refused them


class Rescoring:
    """Embeds candidates for the searches of one process. Safe to share between threads."""

    def __init__(self) -> None:
        self._seconds_a_text: dict[str, float] = {}
        self._tried_at: dict[str, float] = {}
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._lock, self._in_flight = threading.Lock(), 0

    def worth_trying(self, hashes: Sequence[str]) -> list[str]:
        """Leave out the texts that the model has refused."""
        return [hash_ for hash_ in hashes if hash_ not in self._refused]

    def is_quick(self, encoder: TextEncoder) -> bool:
        """Tell whether a model embeds a text in less time than it takes to look whether that was done before."""
        return self._seconds_a_text.get(encoder.space.fingerprint, 1.0) < QUICK_SECONDS

    def embed(self, encoder: TextEncoder, texts: Mapping[str, str], known: Vectors, budget: Budget) -> Embedded:
        """Embed as many texts as the budget allows, the first ones first.

        Parameters
        ----------
        encoder : TextEncoder
        texts : mapping of str to str
            Content hash to text, the best candidate first.
        known : dict of str to ndarray of float32
            Vectors that exist already.
        budget : Budget
        """
        wanted = [item for item in texts.items() if item[0] not in known]
        space, began = encoder.space.fingerprint, time.perf_counter()
        vectors, stopped = dict(known), None
        errors: dict[str, EncoderError] = {}
        limit = self._seconds(budget)
        left = limit
        while wanted and stopped is None and (left is None or left > 0):
            with self._granted(space, len(wanted), budget.texts_in_flight, left) as allowed:
                if not allowed:
                    break
                part, wanted = dict(wanted[:allowed]), wanted[allowed:]
                embedded = self._embed(encoder, space, part)
            vectors |= embedded.vectors
            errors |= embedded.errors
            stopped = embedded.stopped
            left = None if limit is None else limit - (time.perf_counter() - began)
        return Embedded(vectors, errors, stopped)

    def _seconds(self, budget: Budget) -> float | None:
        is_beside = self._in_flight and budget.milliseconds_beside is not None
        limit = budget.milliseconds_beside if is_beside else budget.milliseconds
        return None if limit is None else limit / 1000

    @contextmanager
    def _granted(self, space: str, wanted: int, in_flight: int, seconds: float | None) -> Iterator[int]:
        """Reserve texts in flight; there may be none."""
        with self._lock:
            most = wanted if seconds is None else self._in_time(space, seconds)
            allowed = max(0, min(wanted, most, in_flight - self._in_flight))
            self._in_flight += allowed
        try:
            yield allowed
        finally:
            with self._lock:
                self._in_flight -= allowed

    def _in_time(self, space: str, seconds: float) -> int:
        """How many texts the model embeds in some time; one, where that was not measured for a while."""
        now, speed = time.monotonic(), self._seconds_a_text.get(space)
        if speed is None or now - self._tried_at[space] > MEASURE_AGAIN_AFTER_SECONDS:
            return 1
        return int(seconds / max(speed, 1e-9))

    def _embed(self, encoder: TextEncoder, space: str, texts: Mapping[str, str]) -> Embedded:
        began = time.perf_counter()
        embedded = embed_once(encoder, texts, {})
        took = (time.perf_counter() - began) / len(texts)
        with self._lock:
            if space in self._tried_at:  # the first time, a model warms up
                self._seconds_a_text[space] = (took + self._seconds_a_text.get(space, took)) / 2
            self._tried_at[space] = time.monotonic()
            self._refused.update(dict.fromkeys(embedded.errors))
            while len(self._refused) > _REFUSED:
                self._refused.popitem(last=False)
        return embedded
