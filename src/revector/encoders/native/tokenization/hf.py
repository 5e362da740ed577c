"""HF tokenizers: the reference."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, normalizers

from revector.encoders.native.folder_fields import Definition
from revector.encoders.native.tokenization.packed import Affixes, Tokens
from revector.encoders.texts import invalid_text, numbered
from revector.errors import EncoderError

__all__ = ["HfTokenizer", "load_tokenizer"]

_LLAMA_STEPS = ["Prepend", "Replace"]


class HfTokenizer:
    """A tokenizer.json in HF tokenizers, without padding and truncation. Safe to call from several threads.

    Parameters
    ----------
    path : Path
        The tokenizer.json.
    add_special : bool
        Whether texts get the special tokens of the model.
    lower_case : bool
        Whether texts are lower-cased first, also where tokenizer.json does not say so.
    definition : Definition, optional
        The tokeniser as its whole folder has it; by default the file alone.

    Raises
    ------
    EncoderError
        There is no such file, or it is malformed.
    """

    name = "hf"

    def __init__(
        self, path: Path, *, add_special: bool, lower_case: bool = False, definition: Definition | None = None
    ) -> None:
        self.add_special = add_special
        self._tokenizer = load_tokenizer(path, definition)
        self.path = path
        self.definition: dict[str, Any] = definition.fields if definition else json.loads(path.read_bytes())
        self.is_file = definition is None or not definition.changes
        changed = lower_case and _lower_case(self._tokenizer)
        self.kind = "other" if changed else _kind(self.definition)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __call__(self, texts: Sequence[str], first: int = 0, *, bare: bool = False) -> Tokens:
        """Tokenise texts whole; see `Tokenizer`."""
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=self.add_special and not bare)
        except Exception as error:  # tokenizers raises nothing narrower for a character that no token stands for
            raise self._refusal(texts, first) from error
        ids = [encoding.ids for encoding in encodings]
        lengths = list(map(len, ids))
        return Tokens.of(np.fromiter(itertools.chain.from_iterable(ids), np.int32, sum(lengths)), lengths)

    def _refusal(self, texts: Sequence[str], first: int) -> EncoderError:
        for name, text in numbered(texts, first):
            try:
                self._tokenizer.encode(text)
            except (TypeError, UnicodeEncodeError):
                break
            except Exception as error:
                return EncoderError(f"{name} cannot be tokenised: {error}; take out characters that the model lacks")
        return invalid_text(numbered(texts, first))

    @property
    def is_unigram(self) -> bool:
        """Whether the tokeniser is SentencePiece's Unigram, which names its unknown token by number."""
        return bool(self.definition["model"].get("type") == "Unigram")

    def affixes(self) -> Affixes:
        """Return how many special tokens stand before and behind every text."""
        for probe in itertools.chain("a0.", self._some_tokens()):
            try:
                special = self._tokenizer.encode(probe, add_special_tokens=self.add_special).special_tokens_mask
            except Exception:  # no token stands for this character
                continue
            if 0 in special:
                return Affixes(special.index(0), special[::-1].index(0))
        return Affixes(0, 0)

    def _some_tokens(self) -> Iterator[str]:
        """Yield some tokens; the vocabulary is read only where one is wanted, for that takes a while."""
        yield from itertools.islice(self._tokenizer.get_vocab(), 100)

    def added_tokens(self) -> list[str]:
        """Return the strings that are a token wherever they stand in a text, such as "[SEP]"."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values()]

    def unknown_token(self) -> int | None:
        """Return the id that model2vec drops from every text: the one for unknown words.

        As model2vec 0.10 finds it; versions before it knew none of Unigram's, and kept them.
        """
        if self.is_unigram:
            listed: int | None = self.definition["model"].get("unk_id")
            return listed
        token = getattr(self._tokenizer.model, "unk_token", None)
        found: int | None = self._tokenizer.token_to_id(token) if token is not None else None
        return found

    def longest_token(self) -> int:
        """Return the length of the longest token in characters."""
        return max(map(len, self._tokenizer.get_vocab()), default=1)

    def words(self, text: str) -> list[str]:
        """Return what the model is given of a text: its words, normalised. There must be a pre-tokeniser."""
        normalizer, splitter = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        return [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text) if normalizer else text)]

    def median_length(self) -> int:
        """Return the median length of a token in characters: model2vec cuts texts at that times the tokens."""
        return int(statistics.median(len(token) for token in self._tokenizer.get_vocab()))


def load_tokenizer(path: Path, definition: Definition | None = None) -> Tokenizer:
    """Return the tokeniser of a tokenizer.json, padding and truncation as they are written there.

    With a `definition` it is changed as the files beside it say.

    Raises
    ------
    EncoderError
        There is no such file, or it is malformed.
    """
    if not path.exists():
        raise EncoderError(f"{path} is missing; convert the tokeniser to it, or run the model by sentence-transformers")
    try:
        return definition.load() if definition else Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise EncoderError(f"{path} is not a tokeniser of HF tokenizers: {error}") from error


def _kind(definition: dict[str, Any]) -> str:
    """Return the kind of a tokenizer.json, of those that were reviewed: ``"bert"``, ``"llama"`` or ``"other"``."""
    parts = [(definition.get(part) or {}).get("type") for part in ("model", "normalizer", "pre_tokenizer")]
    if parts == ["WordPiece", "BertNormalizer", "BertPreTokenizer"]:
        return "bert"
    steps = [step.get("type") for step in (definition.get("normalizer") or {}).get("normalizers", [])]
    if parts == ["BPE", "Sequence", None] and definition["model"].get("byte_fallback") and steps == _LLAMA_STEPS:
        return "llama"
    return "other"


def _lower_case(tokenizer: Tokenizer) -> bool:
    """Lower-case texts first, unless that is done already; special tokens written in a text stay what they are.

    Returns whether anything had to change.
    """
    present = tokenizer.normalizer
    if present is None:
        tokenizer.normalizer = normalizers.Lowercase()
    elif present.normalize_str("A") != "a":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), present])
    else:
        return False
    return True
