"""What changes with a model beside its quality: dimension, metric, neighbourhoods, words it does not know."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.evaluation.both import Side
from revector.evaluation.exact import topk
from revector.evaluation.holdout import Holdout

__all__ = ["Coverage", "coverage", "necessity"]

NEIGHBOURS, NEIGHBOUR_SAMPLE = 10, 500
WORDS, TEXTS = 5_000, 2_000
"""Of the most frequent words so many are looked at, in so many texts."""
PIECES = 3
"""A word that is split into more pieces is one that the model has not met."""
_SHOWN = 5
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


@runtime_checkable
class _Counts(Protocol):
    """An encoder that knows how many tokens a text has."""

    def count_tokens(self, texts: list[str]) -> NDArray[Any]:
        """Return the tokens of each text, those that stand around every text included."""
        ...


@dataclass(frozen=True)
class Coverage:
    """How a model's vocabulary covers the words of a collection.

    Parameters
    ----------
    tokens_a_word : float
        Over all words of the texts.
    strange : float
        Share of the words, as often as they occur, that are split into more than `PIECES`.
    examples : tuple of str
        The most frequent of those.
    truncated : float
        Share of the texts that are longer than the model reads.
    """

    tokens_a_word: float
    strange: float
    examples: tuple[str, ...]
    truncated: float

    def __str__(self) -> str:
        """Return the figures in a line."""
        said = f"{self.tokens_a_word:.2f} tokens a word, {self.strange:.1%} of the words in more than {PIECES} pieces"
        shown = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{said}{shown}, {self.truncated:.1%} of the texts longer than it reads"


def coverage(encoder: TextEncoder | None, texts: list[str]) -> Coverage | None:
    """Measure how a model splits the words of some texts; ``None`` if it does not say, such as a service, or is gone.

    Parameters
    ----------
    encoder : TextEncoder or None
    texts : list of str
        Documents and queries.
    """
    if not isinstance(encoder, _Counts) or not texts:
        return None
    counted = Counter(word for text in texts[:TEXTS] for word in _WORD.findall(text))
    words = dict(counted.most_common(WORDS))
    if not words:
        return None
    around = int(encoder.count_tokens([""])[0])
    pieces = encoder.count_tokens(list(words)) - around
    often = np.array(list(words.values()))
    is_strange = pieces > PIECES
    limit = encoder.space.max_length
    longer = encoder.count_tokens(texts[:TEXTS]) > limit if limit else np.zeros(1)
    return Coverage(
        tokens_a_word=float(pieces @ often / often.sum()),
        strange=float(often[is_strange].sum() / often.sum()),
        examples=tuple(word for word, split in zip(words, is_strange.tolist(), strict=True) if split)[:_SHOWN],
        truncated=float(longer.mean()),
    )


def necessity(
    drawn: Holdout, old: Side, new: Side, models: tuple[TextEncoder | None, TextEncoder], seed: int
) -> list[str]:
    """List what changes with the model beside its quality."""
    if old.space.fingerprint == new.space.fingerprint:
        return ["the contracts of the two encoders are the same; only the backend changes"]
    notes = [f"neighbourhoods: {_overlap(old, new, seed):.0%} of the {NEIGHBOURS} nearest documents stay"]
    if old.space.dimension != new.space.dimension:
        notes.append(
            f"dimension changes from {old.space.dimension} to {new.space.dimension}: new storage and a new index"
        )
    if old.space.metric != new.space.metric:
        notes.append(
            f"metric changes from {old.space.metric} to {new.space.metric}: thresholds on scores have to be set anew"
        )
    texts = [*drawn.queries.values(), *(document.text for document in drawn.documents)]
    covered = {name: coverage(model, texts) for name, model in zip(("old", "new"), models, strict=True)}
    return [*notes, *(f"vocabulary, {name} model: {found}" for name, found in covered.items() if found is not None)]


def _overlap(old: Side, new: Side, seed: int) -> float:
    """Share of the nearest documents that both models agree on, averaged over a sample of documents."""
    n = len(old.documents)
    sample = np.random.default_rng(seed).choice(n, size=min(n, NEIGHBOUR_SAMPLE), replace=False)
    before, after = (topk(side.space, side.documents[sample], side.documents, NEIGHBOURS + 1)[1] for side in (old, new))
    shares = [
        len(set(a.tolist()) & set(b.tolist()) - {i}) / max(1, len(set(a.tolist()) - {i}))
        for i, a, b in zip(sample.tolist(), before, after, strict=True)
    ]
    return float(np.mean(shares))
