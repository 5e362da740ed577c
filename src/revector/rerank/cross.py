"""Cross-encoders (rerankers): a query and texts in, one score a text out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector.encoders.base import Precision
from revector.encoders.native.folders import locate, read_config
from revector.encoders.native.pipeline import sliced
from revector.encoders.texts import listed_texts
from revector.errors import EncoderError, InvalidArgumentError
from revector.rerank.pairs import PairTokenizer
from revector.threads import thread_limit

__all__ = ["CrossEncoder"]

Activation = Literal["default", "none"]

# Pairs tokenised at once: enough to keep every thread busy, few enough that Ctrl-C is heard and memory is bounded.
_SLICE_PAIRS = 256
_SLICE_CHARACTERS = 1 << 21
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
}


class CrossEncoder:
    """A query with each of some texts to scores. Made by `from_pretrained`; safe to call from several threads."""

    def __init__(
        self, folder: Path, source: str, *, precision: Precision | Literal["auto"], threads: int | None = None
    ) -> None:
        self._model = _core.CrossEncoder(str(folder), precision=precision)
        self._threads = threads or 0
        self._source = source
        _refuse_prompt(folder)
        transformer = Path(self._model.transformer)
        self._sigmoid = _activation_of(transformer / "config.json", self._model.labels) == "sigmoid"
        # Of the families, only BERT's tokenisers give types; what those of others say of them reaches no model.
        typed = self._model.family == "bert" and self._model.types > 1
        self._tokenize = PairTokenizer(transformer, self._model.family, self._model.max_length, typed=typed)

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | os.PathLike[str],
        *,
        precision: Precision | Literal["auto"] = "float32",
        threads: int | None = None,
    ) -> CrossEncoder:
        """Load a sequence classifier of BERT, RoBERTa, XLM-RoBERTa, CamemBERT, MPNet or DistilBERT.

        Parameters
        ----------
        path_or_id : str or path
            A folder, or an id of the Hugging Face hub (needs ``huggingface_hub``).
        precision : {"float32", "bfloat16", "int8", "auto"}
            Format of the transformer's products; "auto" as in `Encoder.from_pretrained`. The lower ones move logits
            (of a MiniLM reranker, 120 pairs, by .014 at most in bfloat16 and .10 in int8), which may swap texts of
            nearly equal scores.
        threads : int, optional
            At most this many of the core's threads; all by default.

        Raises
        ------
        EncoderError
            The folder is incomplete or malformed, or the model is not a cross-encoder or not supported; the message
            names file and field.
        InvalidArgumentError
            Less than one thread, or an unknown precision.
        """
        thread_limit(threads)
        folder, source = locate(path_or_id)
        return cls(folder, source, precision=precision, threads=threads)

    @property
    def source(self) -> str:
        """The absolute path or hub id that the model was loaded from."""
        return self._source

    @property
    def labels(self) -> int:
        """Scores that the model gives to a pair; 1 for a reranker."""
        return self._model.labels

    @property
    def max_length(self) -> int:
        """Tokens of a pair, special ones included; longer pairs are cut, the longer text first."""
        return self._model.max_length

    def score(self, query: str, texts: Sequence[str], *, activation: Activation = "default") -> NDArray[np.float32]:
        """Score texts for a query.

        Parameters
        ----------
        query : str
            The first text of every pair.
        texts : sequence of str
            The second ones. What makes a pair too long is cut off.
        activation : {"default", "none"}
            What to do with the logits: what the model's configuration says (where it says nothing: the sigmoid for one
            label, nothing for several), or nothing.

        Returns
        -------
        ndarray of float32, shape (len(texts),) or (len(texts), labels) for several labels
            In input order.

        Raises
        ------
        InvalidArgumentError
            Something else than a str and a sequence of str, or an unknown activation.
        EncoderError
            A text is not valid Unicode, or the weights give NaN.
        """
        if activation not in ("default", "none"):
            raise InvalidArgumentError(f"activation is {activation!r}, expected 'default' or 'none'")
        if not isinstance(query, str):
            raise InvalidArgumentError(f"query is {type(query).__name__}, expected str")
        out = self._logits(query, listed_texts(texts))
        if activation == "default" and self._sigmoid:
            out = _sigmoid(out)
        return out[:, 0] if self.labels == 1 else out

    def _logits(self, query: str, texts: list[str]) -> NDArray[np.float32]:
        out = np.empty((len(texts), self.labels), np.float32)
        begin = 0
        for part in sliced(texts, _SLICE_CHARACTERS, _pairs_of_a_slice(query)):
            ids, offsets, types = self._tokenize(query, part, begin)
            out[begin : begin + len(part)] = self._model.score(ids, offsets, types, threads=self._threads)
            begin += len(part)
        return out


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    small = np.exp(-np.abs(x))  # never overflows
    result: NDArray[np.float32] = np.where(x >= 0, 1, small) / (1 + small)
    return result


def _activation_of(path: Path, labels: int) -> str:
    """Return what sentence-transformers applies to the logits: its own field, its older field, or its default."""
    config = read_config(path)
    own = config.get("sentence_transformers")
    found: Any = own.get("activation_fn") if isinstance(own, dict) else None
    field = "sentence_transformers.activation_fn"
    if found is None:
        found, field = config.get("sbert_ce_default_activation_function"), "sbert_ce_default_activation_function"
    if found is None:
        return "sigmoid" if labels == 1 else "identity"
    if not isinstance(found, str) or found not in _ACTIVATIONS:
        raise EncoderError(
            f"{path}: {field} is {found!r}, which is not supported ({' or '.join(_ACTIVATIONS)} is); "
            "use sentence-transformers' CrossEncoder for this model"
        )
    return _ACTIVATIONS[found]


def _refuse_prompt(folder: Path) -> None:
    path = folder / "config_sentence_transformers.json"
    name = read_config(path).get("default_prompt_name")
    if name is not None:
        raise EncoderError(
            f"{path}: default_prompt_name is {name!r}, which is not supported in a cross-encoder (null is); "
            "use sentence-transformers' CrossEncoder for this model"
        )


def _pairs_of_a_slice(query: str) -> int:
    """Return how many pairs are tokenised together: every one of them holds the query, which may be long."""
    return max(1, min(_SLICE_PAIRS, _SLICE_CHARACTERS // (len(query) + 1)))
