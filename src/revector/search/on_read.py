"""Embedding what searches have found, behind them: the part of an on-read migration that a reader does not see."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from revector._forks import renew_in_child
from revector.backends.contracts import Backend, Document, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.once import embed_once
from revector.errors import RateLimitedError, RevectorError
from revector.migration.canaries import require_same_model
from revector.migration.landing import Rows
from revector.search.behind import WriteBehind

MOST_WAITING = 1_000
"""Documents that wait to be embedded; what is found beyond them is found again, or left to `run`."""
TEXTS_AT_A_TIME = 8
SHARE_OF_TIME = 0.5
"""Of its time, that the thread works while documents wait; it leaves the rest to those who search."""
_REMEMBERED = 10_000  # texts that were embedded or refused a moment ago, and may not be stored yet
_REST_SECONDS = 5.0  # after a service has asked to wait, or failed

_log = logging.getLogger(__name__)
_Waiting = OrderedDict[tuple[Generation, int], Document]


@dataclass(frozen=True)
class OnReadReport:
    """What the searches of a process have left to be embedded, in documents.

    Parameters
    ----------
    waiting : int
        That wait now.
    embedded : int
        That were embedded.
    left_out : int
        That found no place, because searches find more than the model embeds.
    """

    waiting: int = 0
    embedded: int = 0
    left_out: int = 0


class OnReadPool:
    """Embeds what searches ask for, in a thread of its own. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        Tells what has been embedded by somebody else.
    encoders : EncoderSet
        The models at hand.
    behind : WriteBehind
        Stores the vectors.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet, behind: WriteBehind) -> None:
        self._backend, self._encoders, self._behind = backend, encoders, behind
        self._done: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._embedded = self._left_out = 0
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: _Waiting = OrderedDict()  # what a parent left, it embeds
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def report(self) -> OnReadReport:
        """What became of it so far."""
        with self._changed:
            return OnReadReport(len(self._waiting), self._embedded, self._left_out)

    def ask(self, generation: Generation, documents: Iterable[Document]) -> None:
        """Leave documents to be embedded for a generation; those that wait or were done a moment ago are left out."""
        with self._changed:
            for document in documents:
                place = (generation, document.key)
                if place in self._waiting or (generation.id, document.content_hash) in self._done:
                    continue
                if len(self._waiting) >= MOST_WAITING:
                    self._left_out += 1
                    continue
                self._waiting[place] = document
            if self._waiting and self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="revector-on-read", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the texts in hand; what waits is found again by searches, or by `run`."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            for generation, documents in taken.items():
                began = time.perf_counter()
                try:
                    stopped = self._embed(generation, documents)
                except RevectorError as error:
                    stopped = error
                self._closed.wait((time.perf_counter() - began) * (1 / SHARE_OF_TIME - 1))
                if stopped is not None:
                    _log.warning("documents that searches found were not embedded: %s", stopped)
                    asked = stopped.retry_after_seconds if isinstance(stopped, RateLimitedError) else None
                    self._closed.wait(_REST_SECONDS if asked is None else asked)

    def _take(self) -> Mapping[Generation, list[Document]] | None:
        """Wait for documents, and return the oldest ones by generation; ``None`` at the end."""
        with self._changed:
            while not self._waiting and not self._closed.is_set():
                self._changed.wait()
            if self._closed.is_set():
                return None
            taken: dict[Generation, list[Document]] = {}
            for _ in range(min(TEXTS_AT_A_TIME, len(self._waiting))):
                (generation, _), document = self._waiting.popitem(last=False)
                taken.setdefault(generation, []).append(document)
            return taken

    def _embed(self, generation: Generation, documents: list[Document]) -> Exception | None:
        """Embed what nobody else has; return what stopped the encoder, if something did."""
        encoder = self._encoders.require(generation, purpose="re-embedding what searches find")
        require_same_model(self._backend, self._encoders, generation, encoder)
        keys = [document.key for document in documents]
        stale = set(self._backend.generations.stale_keys(generation.id, keys).tolist())
        texts = {each.key: generation.space.text_of(each.text, each.metadata) for each in documents}
        wanted = [each for each in documents if each.key in stale and texts[each.key].strip()]
        by_hash = {each.content_hash: texts[each.key] for each in wanted}
        embedded = embed_once(encoder, by_hash, self._behind.waiting(generation, list(by_hash)))
        hashes = [each.content_hash for each in wanted]
        self._behind.land(generation, Rows.of([each.key for each in wanted], hashes, embedded.vectors))
        with self._changed:
            self._embedded += len(embedded.vectors)
            self._done.update({(generation.id, hash_): None for hash_ in (*embedded.vectors, *embedded.errors)})
            while len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
        return embedded.stopped
