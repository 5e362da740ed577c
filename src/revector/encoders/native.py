"""The native encoder: transformers and static token tables, on the kernels of the core."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector.encoders.base import Kind
from revector.encoders.folders import identity_of, locate, prefix_for
from revector.encoders.tokenization import PackedTokenizer
from revector.errors import DeviceUnavailableError, EncoderError, InvalidArgumentError
from revector.spaces import EmbeddingSpace

__all__ = ["Encoder"]

# Texts tokenised at once: enough to keep every thread busy, few enough that Ctrl-C is heard and memory is bounded.
_SLICE_TEXTS = 512
_SLICE_CHARACTERS = 1 << 21


class Encoder:
    """Texts to unit rows. Made by `from_pretrained`; safe to call from several threads.

    Memory beyond weights and result: the tokens of at most 512 texts or two million characters (one longer text is
    tokenised whole), and a few MB of scratch for each thread.
    """

    def __init__(self, folder: Path, source: str, *, threads: int | None = None) -> None:
        self._model = _core.Encoder(str(folder))
        self._threads = threads or 0
        self._source = source
        transformer = Path(self._model.transformer)
        max_length = self._model.max_length or None
        self._tokenize = PackedTokenizer(transformer, self._model.family, max_length)
        self._prefixes = {"query": prefix_for(folder, "query"), "document": prefix_for(folder, "document")}
        self._space = EmbeddingSpace(
            model=Path(source).name if Path(source).is_absolute() else source,
            dimension=self._model.dimension,
            revision=identity_of(self._model.files, transformer, lower_case=self._tokenize.lower_case),
            pooling=self._model.pooling,
            max_length=max_length,
            query_prefix=self._prefixes["query"],
            document_prefix=self._prefixes["document"],
            normalized=True,
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | os.PathLike[str],
        *,
        precision: Literal["auto", "float32"] = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int | None = None,
    ) -> Encoder:
        """Load a model.

        Parameters
        ----------
        path_or_id : str or path
            A folder as sentence-transformers, model2vec or WordLlama lay it out, or an id of the Hugging Face hub
            (needs ``huggingface_hub``).
        precision : {"auto", "float32"}
            Arithmetic.
        device : {"auto", "cpu", "cuda"}
            Where to compute; "cuda" is refused until the core can.
        threads : int, optional
            At most this many of the core's threads; all by default.

        Raises
        ------
        EncoderError
            The folder is incomplete or malformed, or the model is of a kind that is not supported; the message names
            file and field.
        InvalidArgumentError
            Unknown precision or device, or less than one thread.
        DeviceUnavailableError
            A device that this build can not use.
        """
        if precision not in ("auto", "float32"):
            raise InvalidArgumentError(f"precision is {precision!r}, expected 'auto' or 'float32'")
        if device == "cuda":
            raise DeviceUnavailableError("this build encodes on the CPU only; pass device='cpu' or 'auto'")
        if device not in ("auto", "cpu"):
            raise InvalidArgumentError(f"device is {device!r}, expected 'auto' or 'cpu'")
        if threads is not None and threads < 1:
            raise InvalidArgumentError(f"threads is {threads}, expected at least 1")
        folder, source = locate(path_or_id)
        return cls(folder, source, threads=threads)

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors; its revision is a digest of weights, tokeniser and configuration."""
        return self._space

    @property
    def source(self) -> str:
        """The absolute path or hub id that the model was loaded from."""
        return self._source

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of str
            Any number, of any length; what goes beyond the model's length is cut off.
        kind : {"document", "query"}
            Which prompt of the model to put before each text.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            Unit rows in input order. A text without tokens (possible in static models only) is a zero row.

        Raises
        ------
        InvalidArgumentError
            Something else than a sequence of str, or an unknown kind.
        EncoderError
            A text is not valid Unicode, or the weights give NaN.
        """
        if kind not in self._prefixes:
            raise InvalidArgumentError(f"kind is {kind!r}, expected 'document' or 'query'")
        prefix, listed = self._prefixes[kind], _checked(texts)
        out = np.empty((len(listed), self._space.dimension), np.float32)
        for begin, end in _slices(listed):
            out[begin:end] = self._encode_slice([prefix + text for text in listed[begin:end]], begin)
        return out

    def _encode_slice(self, texts: list[str], begin: int) -> NDArray[np.float32]:
        try:
            ids, offsets = self._tokenize(texts)
            return self._model.encode(ids, offsets, threads=self._threads)
        except EncoderError as error:
            if begin == 0:
                raise
            raise EncoderError(f"of the texts from number {begin} on, {error}") from error


def _checked(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        kind = type(texts).__name__
        raise InvalidArgumentError(f"texts is {kind}, expected a sequence of str; a single text is written as [text]")
    listed = list(texts)
    for i, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"texts[{i}] is {type(text).__name__}, expected str")
    return listed


def _slices(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts that are tokenised together."""
    begin = characters = 0
    for i, text in enumerate(texts):
        if i > begin and (i - begin == _SLICE_TEXTS or characters + len(text) > _SLICE_CHARACTERS):
            yield begin, i
            begin, characters = i, 0
        characters += len(text)
    if begin < len(texts):
        yield begin, len(texts)
