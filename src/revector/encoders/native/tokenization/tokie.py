"""The `tokie` tokeniser (Rust, 2 to 20 times as fast as HF tokenizers), where its ids are proven to be the same.

Speed is worth nothing if a vector changes, so tokie gets only what was compared with HF tokenizers in this process:

- a tokenizer.json of a kind that was reviewed: BERT's WordPiece, or byte-fallback BPE without pre-tokeniser (Llama's);
- that passes the hostile texts, single and in a batch;
- of that, texts of up to 8,192 characters (tokie cuts very long ones in pieces for its threads, not always where HF
  sees a border), all of which are known to be treated alike. Characters are compared when a text first holds one of
  their block of 256 (some milliseconds). Those that differ are of newer Unicode versions, unassigned, or U+007F.

All other texts go to HF. Proofs are kept for the life of the process.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.hostile import HOSTILE, around
from revector.encoders.native.tokenization.packed import Tokens, woven
from revector.encoders.texts import invalid_text, numbered

__all__ = ["TokieTokenizer", "tokie_if_identical"]

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_LONGEST = 8192  # characters
_BLOCK = 256
_MOST_ADDED_TOKENS = 200
_NONE = np.empty(0, np.int64)
_SURROGATES = range(0xD800 // _BLOCK, 0xE000 // _BLOCK)
# Alone, among ASCII (for which tokie has a path of its own), among other letters, accents and scripts.
_CONTEXTS = ("{0}", "{0} a{0}b {0}{0}1 .{0}", "é{0}\u0301 {0}ö 日{0}x{0}п")


class _Proofs:
    """tokie for each file of a tokeniser that it was tried on, ``None`` where it is not the same."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool], TokieTokenizer | None] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def of(self, hf: HfTokenizer) -> TokieTokenizer | None:
        key = (hashlib.sha256(hf.path.read_bytes()).hexdigest(), hf.add_special)
        with self._lock:
            if key not in self._found:
                self._found[key] = _proven(hf)
            return self._found[key]


_proofs = _Proofs()


def tokie_if_identical(hf: HfTokenizer) -> TokieTokenizer | None:
    """Return tokie for what `hf` tokenises; ``None`` if it is not installed or not the same."""
    return None if hf.kind == "other" or not hf.is_file else _proofs.of(hf)


def _proven(hf: HfTokenizer) -> TokieTokenizer | None:
    library = _load(hf)
    tokenizer = None if library is None else TokieTokenizer(hf, library)
    return tokenizer if tokenizer is not None and _passes(tokenizer) else None


class TokieTokenizer:
    """tokie for texts on which it is known to be right, HF for the rest. Safe to call from several threads."""

    name = "tokie"

    def __init__(self, hf: HfTokenizer, library: Any) -> None:
        self.hf = hf
        self._library = library
        self._characters = _Characters()

    def __call__(self, texts: Sequence[str], first: int = 0, *, bare: bool = False) -> Tokens:
        """Tokenise texts whole; see `Tokenizer`."""
        doubtful = self.doubtful(texts, first)
        if not len(doubtful):
            return self.fast(texts, bare=bare)
        for_hf = np.zeros(len(texts), np.bool_)
        for_hf[doubtful] = True
        fast = self.fast(list(itertools.compress(texts, ~for_hf)), bare=bare)
        return woven(fast, self.hf(list(itertools.compress(texts, for_hf)), first, bare=bare), for_hf)

    def fast(self, texts: Sequence[str], *, bare: bool = False) -> Tokens:
        """Tokenise by tokie alone."""
        ids, lengths = self._library.encode_batch_flat(texts, self.hf.add_special and not bare)
        return Tokens.of(ids.view(np.int32), lengths.view(np.int64))

    def doubtful(self, texts: Sequence[str], first: int) -> NDArray[np.int64]:
        """Return the positions of the texts that HF must see."""
        joined = "".join(texts)
        short = len(joined) <= _LONGEST or max(map(len, texts)) <= _LONGEST
        if short and joined.isascii() and not self._characters.ascii_differs(joined, self._compare):
            return _NONE
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        try:
            codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        except UnicodeEncodeError as error:
            raise invalid_text(numbered(texts, first)) from error
        differing = np.flatnonzero(self._characters.differ(codes, self._compare))
        owners = np.searchsorted(np.cumsum(lengths), differing, side="right")
        return np.union1d(owners, np.flatnonzero(lengths > _LONGEST))

    def _compare(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return _differ(self.hf(texts), self.fast(texts))


class _Characters:
    """Which characters the two tokenisers are known to treat differently, learnt block by block."""

    def __init__(self) -> None:
        self._differs = np.zeros(0x110000, np.bool_)
        self._known = np.zeros(0x110000 // _BLOCK, np.bool_)
        self._known[_SURROGATES.start : _SURROGATES.stop] = True
        self._ascii: str | None = None
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def differ(self, codes: NDArray[np.uint32], compare: Any) -> NDArray[np.bool_]:
        """Return which of the code points differ; `compare` tells it of texts in blocks not seen before."""
        met = np.bincount(codes // _BLOCK, minlength=len(self._known)) > 0
        for block in np.flatnonzero(met & ~self._known).tolist():
            self._learn(block, compare)
        return self._differs[codes]

    def ascii_differs(self, text: str, compare: Any) -> bool:
        """Return whether an ASCII text holds a character that differs; cheap for short texts."""
        if self._ascii is None:
            differs = self.differ(np.arange(128, dtype=np.uint32), compare)
            self._ascii = "".join(map(chr, np.flatnonzero(differs)))
        return any(character in text for character in self._ascii)

    def _learn(self, block: int, compare: Any) -> None:
        begin, end = block * _BLOCK, (block + 1) * _BLOCK
        texts = [context.format(chr(code)) for context in _CONTEXTS for code in range(begin, end)]
        differs = compare(texts).reshape(len(_CONTEXTS), -1).any(axis=0)
        with self._lock:
            self._differs[begin:end] = differs
            self._known[block] = True


def _load(hf: HfTokenizer) -> Any:
    try:
        tokie = import_module("tokie")
    except ImportError:
        return None
    try:
        found = tokie.Tokenizer.from_json(str(hf.path))
    except (tokie.TokieError, ValueError, OSError):
        return None
    found.no_padding()
    found.no_truncation()
    return found


def _passes(tokenizer: TokieTokenizer) -> bool:
    """Return whether tokie gives HF's ids on the hostile texts, but for those that are known to be HF's.

    They go through in a batch and one by one: tokie has a path of its own for few texts.
    """
    texts = [*HOSTILE, *around(tokenizer.hf.added_tokens()[:_MOST_ADDED_TOKENS])]
    expected = tokenizer.hf(texts)
    together = tokenizer.fast(texts)
    alone = [tokenizer.fast([text]).ids for text in texts]
    one_by_one = Tokens.of(np.concatenate(alone), list(map(len, alone)))
    differs = np.flatnonzero(_differ(expected, together) | _differ(expected, one_by_one))
    explained = all(len(tokenizer.doubtful([texts[i]], 0)) for i in differs)
    return explained and not len(tokenizer.doubtful([_PRINTABLE], 0))


def _differ(a: Tokens, b: Tokens) -> NDArray[np.bool_]:
    """Return for each text whether the ids differ."""
    if np.array_equal(a.offsets, b.offsets) and np.array_equal(a.ids, b.ids):
        return np.zeros(a.n_texts, np.bool_)
    bounds = zip(a.offsets[:-1], a.offsets[1:], b.offsets[:-1], b.offsets[1:], strict=True)
    return np.array([not np.array_equal(a.ids[i:j], b.ids[k:m]) for i, j, k, m in bounds], np.bool_)
