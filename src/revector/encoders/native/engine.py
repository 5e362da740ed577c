"""The way from texts to rows: slices, tokens, the core."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._forks import renew_in_child
from revector.encoders.native.pipeline import overlapped, sliced
from revector.encoders.native.tokenization import TextTokenizer, Tokens, Windows
from revector.errors import EncoderError
from revector.similarity import normalize

__all__ = ["EncodingStatistics", "Engine", "LongTexts", "Order"]

LongTexts = Literal["truncate", "window"]

# A slice is tokenised at once and encoded at once: enough tokens that every thread gets many chunks, few enough that
# memory is bounded and progress is seen.
_SLICE_TEXTS = 4096
_SLICE_CHARACTERS = 1 << 17
_SLICE_CHARACTERS_A_THREAD = 1 << 15
# So few tokens are done at once, without a thread that could be called off.
_DIRECT_TOKENS = 512


@dataclass(frozen=True)
class EncodingStatistics:
    """What an encoder has done since it was loaded, by all threads together."""

    texts: int = 0
    tokens: int = 0
    """Tokens the model was given, special ones included."""
    truncated: int = 0
    """Texts that lost tokens to the model's length (``long_texts="truncate"``)."""
    split: int = 0
    """Texts that were encoded in several windows (``long_texts="window"``)."""


class Order(NamedTuple):
    """What a call asks for."""

    prompt: str
    long_texts: LongTexts
    threads: int


class _Slice(NamedTuple):
    begin: int
    """Number of its first text."""
    n_texts: int
    tokens: Tokens
    windows: Windows | None


class Engine:
    """A model and its tokeniser at work. Safe to call from several threads.

    Parameters
    ----------
    model : _core.Encoder
    tokenizer : TextTokenizer
    dimension : int, optional
        How many of the first numbers of a vector are kept; all by default.
    pools_prompt : bool
        Whether the tokens of a prompt are pooled.
    """

    def __init__(
        self,
        model: _core.Encoder,
        tokenizer: TextTokenizer,
        *,
        dimension: int | None = None,
        pools_prompt: bool = True,
    ) -> None:
        self._dimension = dimension
        self._pools_prompt = pools_prompt
        self.statistics = EncodingStatistics()
        self._model = model
        self._tokenizer = tokenizer
        self._is_static = model.family in ("static", "model2vec")
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._counting = threading.Lock()

    def blocks(
        self, texts: Iterable[str], order: Order, into: NDArray[np.float32] | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the rows of one slice of texts after the other, written to `into` if it is given.

        A call of one small slice is done here and now; others on a thread that lives as long as this iteration.
        """
        slices = self._slices(texts)
        opening = list(itertools.islice(slices, 2))
        prepared = self._prepared(itertools.chain(opening, slices), order)
        unpooled = 0 if self._pools_prompt else self._tokenizer.prompt_length(order.prompt)
        work = partial(self._rows, threads=order.threads, into=into, unpooled=unpooled)
        if len(opening) == 1:
            only = next(prepared)
            if self._is_static or len(only.tokens.ids) <= _DIRECT_TOKENS:
                yield work(only, None)
                return
            prepared = iter([only])
        if opening:
            yield from overlapped(prepared, work)

    def encode_tokens(self, tokens: Tokens, threads: int, into: NDArray[np.float32]) -> None:
        """Write the rows of texts that are tokenised already."""
        work = partial(self._rows, threads=threads, into=into)
        whole = _Slice(0, tokens.n_texts, tokens, None)
        if len(tokens.ids) <= _DIRECT_TOKENS:
            work(whole, None)
        else:
            list(overlapped([whole], work))
        self._count(texts=tokens.n_texts, tokens=len(tokens.ids))

    def count_tokens(self, texts: Iterable[str], prompt: str) -> NDArray[np.int64]:
        """Return the number of tokens of each text, nothing cut off."""
        counts, begin = [np.empty(0, np.int64)], 0
        for part in self._slices(texts):
            counts.append(self._tokenizer.whole(_prompted(part, prompt), begin).lengths)
            begin += len(part)
        return np.concatenate(counts)

    def _slices(self, texts: Iterable[str]) -> Iterator[list[str]]:
        characters = max(_SLICE_CHARACTERS, _SLICE_CHARACTERS_A_THREAD * _core.num_threads())
        return sliced(texts, characters, _SLICE_TEXTS)

    def _prepared(self, slices: Iterable[list[str]], order: Order) -> Iterator[_Slice]:
        begin = 0
        for texts in slices:
            prompted = _prompted(texts, order.prompt)
            if order.long_texts == "window":
                windows = self._tokenizer.windows(prompted, order.prompt, begin)
                self._count(texts=len(texts), tokens=len(windows.tokens.ids), split=len(windows.split))
                yield _Slice(begin, len(texts), windows.tokens, windows)
            else:
                tokens, truncated = self._tokenizer.fit(prompted, begin)
                self._count(texts=len(texts), tokens=len(tokens.ids), truncated=truncated)
                yield _Slice(begin, len(texts), tokens, None)
            begin += len(texts)

    def _count(self, *, texts: int, tokens: int, truncated: int = 0, split: int = 0) -> None:
        with self._counting:
            now = self.statistics
            self.statistics = EncodingStatistics(
                now.texts + texts, now.tokens + tokens, now.truncated + truncated, now.split + split
            )

    def _rows(
        self,
        part: _Slice,
        cancel: _core.CancelFlag | None,
        *,
        threads: int,
        into: NDArray[np.float32] | None,
        unpooled: int = 0,
    ) -> NDArray[np.float32]:
        begin, n_texts, tokens, windows = part
        out = None if into is None else into[begin : begin + n_texts]
        encode = partial(self._model.encode, unpooled=unpooled) if unpooled else self._model.encode
        in_place = out if windows is None and self._dimension is None else None
        try:
            rows = encode(*tokens, out=in_place, threads=threads, cancel=cancel)
            if self._dimension is not None:
                rows = normalize(rows[:, : self._dimension])
            if windows is not None:
                return windows.pooled(rows, out)
            return rows if out is None or rows is out else _written(rows, out)
        except EncoderError as error:
            if begin == 0:
                raise
            raise EncoderError(f"of the texts from number {begin} on, {error}") from error


def _written(rows: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
    out[:] = rows
    return out


def _prompted(texts: list[str], prompt: str) -> list[str]:
    return [prompt + text for text in texts] if prompt else texts
