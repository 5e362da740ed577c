"""Token ids of many texts in one array, and how they are made to fit a model: cut off, or dealt out in windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector.similarity import normalize

__all__ = ["Affixes", "Tokens", "Windows", "truncated", "woven"]


class Tokens(NamedTuple):
    """Text i is ``ids[offsets[i]:offsets[i + 1]]``; nothing is padded."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, ids: NDArray[np.int32], lengths: NDArray[np.int64] | Sequence[int]) -> Tokens:
        """Pack ids that lie one text after the other; ``lengths`` says how many each has."""
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(ids, offsets)

    @property
    def n_texts(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, shape (n_texts,)."""
        return np.diff(self.offsets)

    def kept(self, keep: NDArray[np.bool_]) -> Tokens:
        """Return the tokens where `keep`, shape (number of ids,), is true."""
        if keep.all():
            return self
        counted = np.zeros(len(keep) + 1, np.int64)
        np.cumsum(keep, out=counted[1:])
        return Tokens(self.ids[keep], counted[self.offsets])

    def between(self, head: NDArray[np.int32], tail: NDArray[np.int32]) -> Tokens:
        """Return the texts with `head` before and `tail` behind each."""
        if not len(head) + len(tail):
            return self
        around = Tokens.of(np.empty(0, np.int32), self.lengths + len(head) + len(tail))
        ids = np.empty(around.offsets[-1], np.int32)
        own = np.ones(len(ids), np.bool_)
        for i, token in enumerate(head):
            ids[around.offsets[:-1] + i], own[around.offsets[:-1] + i] = token, False
        for i, token in enumerate(reversed(tail), 1):
            ids[around.offsets[1:] - i], own[around.offsets[1:] - i] = token, False
        ids[own] = self.ids
        return Tokens(ids, around.offsets)


def woven(a: Tokens, b: Tokens, from_b: NDArray[np.bool_]) -> Tokens:
    """Put the texts of `b` where `from_b`, shape (number of texts of both,), is true, those of `a` elsewhere."""
    lengths = np.empty(len(from_b), np.int64)
    lengths[from_b], lengths[~from_b] = b.lengths, a.lengths
    of_b = np.repeat(from_b, lengths)
    ids = np.empty(len(of_b), np.int32)
    ids[of_b], ids[~of_b] = b.ids, a.ids
    return Tokens.of(ids, lengths)


class Affixes(NamedTuple):
    """How many tokens at the two ends of every text are not its own: special tokens (and a prompt, in `head`)."""

    head: int
    tail: int


def truncated(tokens: Tokens, limit: int, fixed: int, *, keeps_end: bool = False) -> Tokens:
    """Cut texts at `limit` tokens.

    The last `fixed` of them (the special ones) stay the last, whatever is cut off before them; with `keeps_end` the
    first stay the first, and what is cut off stood behind them.
    """
    lengths = tokens.lengths
    if not len(lengths) or lengths.max() <= limit:
        return tokens
    keep = np.ones(len(tokens.ids), np.bool_)
    for text in np.flatnonzero(lengths > limit).tolist():
        begin, end = tokens.offsets[text : text + 2].tolist()
        room, kept = max(limit - fixed, 0), min(fixed, limit)
        keep[slice(begin + kept, end - room) if keeps_end else slice(begin + room, end - kept)] = False
    return Tokens.of(tokens.ids[keep], np.minimum(lengths, limit))


class Windows(NamedTuple):
    """Texts dealt out in windows: those of text i are the rows ``first[i]`` up to ``first[i + 1]`` of `tokens`."""

    tokens: Tokens
    first: NDArray[np.int64]
    own: NDArray[np.int64]
    """Tokens of each window without its affixes: its weight in the mean."""

    @classmethod
    def of(cls, tokens: Tokens, limit: int, affixes: Affixes) -> Windows:
        """Deal out texts longer than `limit` tokens.

        A window has the affixes of its text and up to ``room = limit - head - tail`` tokens of it. A window begins
        ``room - room // 4`` tokens after the one before, so neighbours share a quarter; the last ends with the text.
        A text within the limit is one window, as it is.
        """
        room = max(limit - sum(affixes), 1)
        pieces: list[NDArray[np.int64]] = []
        lengths: list[int] = []
        own: list[int] = []
        first = [0]
        for begin, end in zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True):
            spans = _spans(begin + affixes.head, end - affixes.tail, room) if end - begin > limit else []
            for left, right in spans:
                pieces += [_range(begin, begin + affixes.head), _range(left, right), _range(end - affixes.tail, end)]
                lengths.append(right - left + sum(affixes))
                own.append(right - left)
            if not spans:
                pieces.append(_range(begin, end))
                lengths.append(end - begin)
                own.append(end - begin)
            first.append(len(own))
        ids = tokens.ids[np.concatenate(pieces)] if pieces else tokens.ids
        return cls(Tokens.of(ids, lengths), np.asarray(first, np.int64), np.asarray(own, np.int64))

    @property
    def split(self) -> NDArray[np.int64]:
        """The texts of more than one window."""
        return np.flatnonzero(np.diff(self.first) > 1)

    def pooled(self, rows: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return one unit row a text: the mean of its windows' rows weighted by their own tokens, normalised.

        The row of a text of one window is that window's, untouched.
        """
        pooled = rows[self.first[:-1]]
        for text in self.split.tolist():
            windows = slice(self.first[text], self.first[text + 1])
            pooled[text] = self.own[windows] @ rows[windows].astype(np.float64) / self.own[windows].sum()
        pooled[self.split] = normalize(pooled[self.split])
        if out is None:
            return pooled
        out[:] = pooled
        return out


def _spans(begin: int, end: int, room: int) -> list[tuple[int, int]]:
    step = room - room // 4
    starts = range(begin, max(end - room, begin) + step, step)
    return [(start, min(start + room, end)) for start in starts]


def _range(begin: int, end: int) -> NDArray[np.int64]:
    return np.arange(begin, end, dtype=np.int64)
