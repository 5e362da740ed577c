"""How fast a model embeds a collection here: alone, and as part of a worker that fills a generation.

The worker of a migration is what is measured, on a random sample, in a generation beside the one that serves: its
batches, its reading and its landing take what they will take, and so do the maps that are fitted meanwhile. The rate is
that between landings, once it has warmed up; what it takes until then, and after the end, counts once.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from revector._arguments import whole_number
from revector.backends.contracts import Backend, Generation, Keys
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.isolation import encode_each
from revector.errors import CancelledError, EncoderError
from revector.migration.asking import DOCUMENTS_A_SLICE, REQUESTS_A_SLICE, ask_for
from revector.migration.filling.bridge import BridgeKeeper, fit_bridge
from revector.migration.filling.filling import OnProgress
from revector.migration.filling.worker import Worker
from revector.migration.priorities import PRIORITY_REST, default_order
from revector.planning.move import Move
from revector.planning.texts import drawn_texts, texts_at, tokens_a_text

SAMPLE = 64
PROBE_SECONDS = 10.0
PROBE_DOCUMENTS = 32_768
"""A fast model is measured on so many documents at most."""
_WARM_SECONDS, _WARM_SHARE = 1.0, 0.25
_NEARLY_ALL = 0.98
"""Of the documents give the rate: the last ones may have been tried again after a while."""
_LOOKS = 2
"""A run looks through all documents at its end, for vectors that nobody asked for: that takes about as long."""


def encoder_rate(backend: Backend, encoder: TextEncoder, *, sample: int = SAMPLE, seed: int = 0) -> float | None:
    """Return the documents a second that an encoder alone embeds; ``None`` in an empty collection.

    One text is enough to load what is loaded late. A whole pass to warm up would be paid for twice, and would flatter a
    static model, which remembers the words that it has met. A refused text costs its share, as it does in a worker.

    Parameters
    ----------
    backend : Backend
        Holds the documents.
    encoder : TextEncoder
    sample : int
        Documents to embed, drawn at random, each once; one more warms the model up.
    seed : int
        Of the sample.

    Raises
    ------
    EncoderError
        The encoder cannot embed any of the sample, or a service refuses.
    """
    sample, seed = whole_number(sample, "sample", least=1), whole_number(seed, "seed", least=0)
    require_encoder(encoder, "encoder")
    texts = drawn_texts(backend, encoder.space, sample, seed)
    return rate_of(encoder, texts) if texts else None


def rate_of(encoder: TextEncoder, texts: Sequence[str]) -> float:
    """Return the texts a second that an encoder embeds when it is given all of them at once."""
    encode_each(encoder, texts[:1])
    began = time.perf_counter()
    outcomes = encode_each(encoder, texts)
    seconds = max(time.perf_counter() - began, 1e-9)
    errors = [outcome for outcome in outcomes if isinstance(outcome, EncoderError)]
    if len(errors) == len(texts):
        raise errors[0]
    return len(texts) / seconds


@dataclass(frozen=True)
class Filled:
    """What a worker did with some documents.

    Attributes
    ----------
    documents, failed : int
        That got a vector, and that could not.
    seconds : float
        From the first claim to the last landing.
    documents_per_second : float
        Once it has warmed up.
    fixed_seconds : float
        What it took longer than that rate explains until it had, and what the last maps took after the end.
    asking_seconds : float
        What it takes to ask for a document's vector, and to look at the end whether it is there.
    tokens_a_text : float
        The mean of those documents.
    """

    documents: int
    failed: int
    seconds: float
    documents_per_second: float
    fixed_seconds: float
    asking_seconds: float
    tokens_a_text: float


def fill(
    move: Move,
    made: Generation,
    keys: Keys,
    renew: Callable[[], object],
    *,
    seconds: float = math.inf,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Filled:
    """Let a worker embed some documents into a generation beside the one that serves.

    Parameters
    ----------
    move : Move
    made, renew
        What `revector.migration.beside.beside` yields.
    keys : sequence of int
        Of the documents.
    seconds : float
        It ends after so many, with the unit in hand, if something has landed by then.
    on_progress : callable, optional
        Called with `Progress` after each landing.
    stop : threading.Event, optional
        Calls it off.

    Raises
    ------
    CancelledError
        It was called off.
    EncoderError
        The encoder embeds none of them, or refuses to go on.
    """
    backend, encoder = move.backend, move.encoder
    asking, wanted = _asking_seconds(backend, made), np.asarray(keys, dtype=np.int64).tolist()
    for start in range(0, len(wanted), REQUESTS_A_SLICE):  # jobs of one priority have random turns
        ask_for(backend, made.id, dict.fromkeys(wanted[start : start + REQUESTS_A_SLICE], PRIORITY_REST))
    landed, until = _Landed(renew), time.monotonic() + seconds
    took, closing = _worked(move, made, landed, until, on_progress, stop)
    if stop is not None and stop.is_set():
        raise CancelledError("it was called off; what was embedded is thrown away")
    failed = backend.ledger.jobs.failures(made.id)
    if not landed.keys:
        why = failed[0].error if failed else "there was not enough time"
        raise EncoderError(f"{encoder.space} embedded none of {len(wanted):,} documents: {why}")
    rate, startup = landed.rates()
    tokens, _ = tokens_a_text(encoder, texts_at(backend, encoder.space, landed.keys))
    return Filled(len(landed.keys), len(failed), took, rate, startup + closing, asking, tokens)


def _worked(
    move: Move,
    made: Generation,
    landed: _Landed,
    until: float,
    on_progress: OnProgress | None,
    stop: threading.Event | None,
) -> tuple[float, float]:
    """Let a worker run until some moment, and fit maps that nobody keeps; return what it took, and the last maps."""
    backend, fit = move.backend, partial(fit_bridge, keeps=False)
    with BridgeKeeper(backend, move.serving.id, made.id, fit, teach=lambda *_: None) as keeper:

        def note(vectors: int, keys: Sequence[int]) -> None:
            landed.note(keys)
            keeper.landed(vectors, keys)

        worker = Worker(
            backend,
            move.encoder,
            made.id,
            source=move.serving.id if move.space.derives_from(move.serving.space) else None,
            on_progress=on_progress,
            may_run=lambda: not landed.keys or time.monotonic() < until,
            on_landed=note,
        )
        report, ended = worker.run(stop=stop), time.monotonic()
        if not (stop is not None and stop.is_set()):
            keeper.filled()
        return report.seconds, time.monotonic() - ended


def _asking_seconds(backend: Backend, made: Generation) -> float:
    """Return what it takes to ask for a document's vector as a start does, and to look for it once more at the end."""
    if (first := backend.documents.next_key(0)) is None:
        return 0.0
    last, order = first + DOCUMENTS_A_SLICE - 1, default_order(1, (), sample=0)
    began = time.perf_counter()
    backend.ask(made.id, first - 1, last, order)
    seconds = time.perf_counter() - began
    asked = list(backend.documents.content_hashes(np.arange(first, last + 1)))
    backend.ledger.jobs.forget([made.id], asked)
    return _LOOKS * seconds / max(1, len(asked))


@dataclass
class _Landed:
    """What has landed, and when."""

    renew: Callable[[], object]
    began: float = field(default_factory=time.monotonic)
    keys: list[int] = field(default_factory=list)
    moments: list[tuple[float, int]] = field(default_factory=list)

    def note(self, keys: Sequence[int]) -> None:
        self.renew()
        self.keys.extend(keys)
        self.moments.append((time.monotonic() - self.began, len(self.keys)))

    def rates(self) -> tuple[float, float]:
        """Return documents a second once warm, and the seconds that this does not explain."""
        enough = _NEARLY_ALL * len(self.keys)
        end, total = next(moment for moment in self.moments if moment[1] >= enough)
        warm = min(_WARM_SECONDS, _WARM_SHARE * end)
        since, before = next(moment for moment in self.moments if moment[0] >= warm)
        if before == total:
            return total / max(end, 1e-9), 0.0
        rate = (total - before) / max(end - since, 1e-9)
        return rate, max(0.0, since - before / rate)
