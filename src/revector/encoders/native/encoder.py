"""The native encoder: transformers and static token tables, on the kernels of the core."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import whole_number
from revector._arrays import as_labels, writable_rows
from revector.encoders.base import Kind, Precision
from revector.encoders.native.engine import EncodingStatistics, Engine, LongTexts, Order
from revector.encoders.native.folder_fields import read_fields
from revector.encoders.native.folders import identity_of, locate, prefix_for
from revector.encoders.native.pipeline import reblocked
from revector.encoders.native.tokenization import TextTokenizer, Tokens
from revector.encoders.sources import NATIVE, read_source, write_source
from revector.encoders.texts import listed_texts
from revector.errors import DeviceUnavailableError, InvalidArgumentError
from revector.spaces import EmbeddingSpace
from revector.threads import thread_limit

__all__ = ["Encoder", "EncodingStatistics", "LongTexts", "Precision", "Progress"]

Progress = Callable[[int, "int | None"], object]


class Encoder:
    """Texts to unit rows. Made by `from_pretrained`; safe to call from several threads.

    Small calls are done on the calling thread. Larger ones are dealt out in slices of about 130,000 characters (more
    with more than four threads): while the core encodes one, on a thread that lives as long as the call, the next is
    tokenised. Ctrl-C calls the core's work off.

    Memory beyond weights and result: tokens and rows of four slices (one longer text is tokenised whole), and a few MB
    of scratch for each thread.

    Rows are numpy arrays; ``torch.from_numpy(encoder.encode(texts))`` is a tensor on the same memory.
    """

    def __init__(
        self, folder: Path, source: str, *, precision: Precision | Literal["auto"] = "auto", threads: int | None = None
    ) -> None:
        fields = read_fields(folder)
        fields.require_native()
        self._model = _core.Encoder(str(folder), precision=precision)
        self._threads = threads or 0
        self._source, self._chosen = source, precision
        max_length = self._model.max_length or fields.static_limit
        self._tokenizer = TextTokenizer(
            fields.transformer, self._model.family, max_length, fields.tokenizer, lower_case=fields.lower_case
        )
        self._prefixes = {"query": prefix_for(folder, "query"), "document": prefix_for(folder, "document")}
        cut = fields.truncate_dim if (fields.truncate_dim or self._model.dimension) < self._model.dimension else None
        self._engine = Engine(self._model, self._tokenizer, dimension=cut, pools_prompt=fields.pools_prompt)
        self._space = EmbeddingSpace(
            model=Path(source).name if Path(source).is_absolute() else source,
            dimension=cut or self._model.dimension,
            revision=identity_of(self._model.files, fields, self._tokenizer.rules),
            pooling=self._model.pooling,
            max_length=max_length,
            query_prefix=self._prefixes["query"],
            document_prefix=self._prefixes["document"],
            normalized=True,
            truncation="tail" if self._tokenizer.keeps_end else "head",
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | os.PathLike[str],
        *,
        precision: Precision | Literal["auto"] = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int | None = None,
    ) -> Encoder:
        """Load a model.

        Parameters
        ----------
        path_or_id : str or path
            A folder as sentence-transformers, model2vec or WordLlama lay it out, or an id of the Hugging Face hub
            (needs ``huggingface_hub``).
        precision : {"auto", "float32", "bfloat16", "int8"}
            Format of the products of a transformer; everything between them is float32. Beside float32 a vector has a
            cosine of at least .9999 in bfloat16, and of .999 on average in int8 (all-MiniLM-L6-v2, texts of 95 tokens):
            vectors of all three live in the same space. "auto" is bfloat16 where this CPU multiplies it faster (AMX,
            or AVX512-BF16 on AMD), else float32; int8 is never chosen silently. A static model has no products.
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
            A device that this build cannot use.
        """
        if device == "cuda":
            raise DeviceUnavailableError("this build encodes on the CPU only; pass device='cpu' or 'auto'")
        if device not in ("auto", "cpu"):
            raise InvalidArgumentError(f"device is {device!r}, expected 'auto' or 'cpu'")
        thread_limit(threads)
        folder, source = locate(path_or_id)
        return cls(folder, source, precision=precision, threads=threads)

    @classmethod
    def from_source(cls, source: str) -> Encoder:
        """Load what `source` says: ``native:PATH-OR-ID?precision=int8``."""
        name, options = read_source(source, NATIVE, {"precision": str})
        return cls.from_pretrained(name, **options)

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors; its revision is a digest of weights, tokeniser and configuration."""
        return self._space

    @property
    def precision(self) -> Precision:
        """The format of the products, "auto" resolved; ``"float32"`` for a static model."""
        return self._model.precision

    @property
    def source(self) -> str:
        """Where it is loaded from again: absolute path or hub id, with the precision if one was chosen."""
        if self._chosen == "auto":
            return self._source
        return write_source(NATIVE, self._source, {"precision": self._chosen})

    @property
    def tokenizer(self) -> str:
        """The library that tokenises: ``"tokie"`` where it is installed and gives the same ids, else ``"hf"``."""
        return self._tokenizer.name

    @property
    def statistics(self) -> EncodingStatistics:
        """A snapshot of what was encoded so far, and how many texts were too long for the model."""
        return self._engine.statistics

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        out: NDArray[np.float32] | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        long_texts: LongTexts = "truncate",
    ) -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of str
            Any number, of any length.
        kind : {"document", "query"}
            Which prompt of the model to put before each text.
        out : ndarray of float32, shape (len(texts), dimension), optional
            Where to write the rows: writeable, its rows contiguous. It is returned. If the call fails, some of its rows
            may have been written.
        threads : int, optional
            At most this many of the core's threads; by default what `from_pretrained` was given. (Tokenisers have
            threads of their own.)
        progress : callable, optional
            Called on this thread as ``progress(done, total)`` in texts after every slice; the last call is
            ``(total, total)``. What it raises ends the encoding.
        long_texts : {"truncate", "window"}
            What happens to a text of more tokens than the model takes. "truncate" cuts off its end (special tokens are
            kept) and counts it in `statistics`. "window" encodes all of it: in windows of as many tokens as the model
            takes, each with the special tokens and the prompt, each beginning a quarter before the end of the one
            before; its row is the mean of the windows' unit rows, weighted by the number of tokens of the text in each,
            and normalised again.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            Unit rows in input order. A text without tokens (possible in static models only) is a zero row.

        Raises
        ------
        InvalidArgumentError
            Something else than a sequence of str, an unknown kind or way with long texts, less than one thread, or an
            `out` of another dtype or read-only.
        ShapeError
            `out` has another shape, or rows that are not contiguous.
        EncoderError
            A text is not valid Unicode (the message has its number), or the weights give NaN.
        """
        order, listed = self._order(kind, long_texts, threads), listed_texts(texts)
        rows = writable_rows(out, (len(listed), self._space.dimension))
        done = 0
        for block in self._engine.blocks(listed, order, rows):
            done += len(block)
            if progress is not None:
                progress(done, len(listed))
        return rows

    def encode_stream(
        self,
        texts: Iterable[str],
        *,
        kind: Kind = "document",
        batch_size: int | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        long_texts: LongTexts = "truncate",
    ) -> Iterator[NDArray[np.float32]]:
        """Encode texts as they come, in constant memory.

        The iterable is read on the calling thread, up to four slices (some thousand short texts each) ahead of what was
        yielded. Closing the generator early calls the work off and leaves no thread behind.

        Parameters
        ----------
        texts : iterable of str
            Any number; may be endless.
        batch_size : int, optional
            Rows of each block but the last; by default whatever suits the encoder.
        kind, threads, long_texts
            As in `encode`.
        progress : callable, optional
            Called as ``progress(done, None)`` before a block is yielded.

        Yields
        ------
        ndarray of float32, shape (n, dimension)
            Blocks of unit rows in input order, each a new array.

        Raises
        ------
        InvalidArgumentError, EncoderError
            As in `encode`; about the texts when the iteration gets there.
        """
        order = self._order(kind, long_texts, threads)
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise InvalidArgumentError(f"texts is {type(texts).__name__}, expected an iterable of str")
        if batch_size is not None:
            batch_size = whole_number(batch_size, "batch_size", least=1)
        blocks = self._engine.blocks(texts, order)
        return _reporting(blocks if batch_size is None else reblocked(blocks, batch_size), progress)

    def encode_tokens(
        self,
        ids: Any,
        offsets: Any,
        *,
        out: NDArray[np.float32] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Encode texts that are tokenised already.

        Parameters
        ----------
        ids : array_like of int, shape (n_tokens,)
            The tokens of all texts, one text after the other, special tokens included.
        offsets : array_like of int, shape (n + 1,)
            Text i is ``ids[offsets[i]:offsets[i + 1]]``.
        out, threads
            As in `encode`.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            Unit rows; a zero row for a text without tokens.

        Raises
        ------
        InvalidArgumentError
            An id is not in the vocabulary, a text is longer than the model takes, or offsets do not ascend from 0 to
            the number of ids.
        ShapeError
            Of `out`, or arrays of other than one dimension.
        EncoderError
            The weights give NaN.
        """
        tokens = Tokens(_as_ids(ids), as_labels(offsets, "offsets"))
        rows = writable_rows(out, (max(tokens.n_texts, 0), self._space.dimension))
        self._engine.encode_tokens(tokens, self._limit(threads), rows)
        return rows

    def count_tokens(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.int64]:
        """Count the tokens of texts before anything is cut off, prompt and special tokens included.

        Parameters
        ----------
        texts : sequence of str
        kind : {"document", "query"}

        Returns
        -------
        ndarray of int64, shape (len(texts),)
            Texts above ``space.max_length`` are those that `encode` truncates or splits.

        Raises
        ------
        InvalidArgumentError, EncoderError
            As in `encode`.
        """
        return self._engine.count_tokens(listed_texts(texts), self._order(kind, "truncate", None).prompt)

    def _order(self, kind: Kind, long_texts: LongTexts, threads: int | None) -> Order:
        if kind not in self._prefixes:
            raise InvalidArgumentError(f"kind is {kind!r}, expected 'document' or 'query'")
        if long_texts not in ("truncate", "window"):
            raise InvalidArgumentError(f"long_texts is {long_texts!r}, expected 'truncate' or 'window'")
        return Order(self._prefixes[kind], long_texts, self._limit(threads))

    def _limit(self, threads: int | None) -> int:
        return self._threads if threads is None else thread_limit(threads)


def _as_ids(ids: Any) -> NDArray[np.int32]:
    if isinstance(ids, np.ndarray) and ids.dtype == np.int32 and ids.ndim == 1:
        return np.ascontiguousarray(ids)
    # What does not fit is not a token of any model; the core refuses it by name.
    return as_labels(ids, "ids").clip(-1, np.iinfo(np.int32).max).astype(np.int32)


def _reporting(blocks: Iterable[NDArray[np.float32]], progress: Progress | None) -> Iterator[NDArray[np.float32]]:
    done = 0
    for block in blocks:
        done += len(block)
        if progress is not None:
            progress(done, None)
        yield block
