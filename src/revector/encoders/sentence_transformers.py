"""Any model that sentence-transformers can run, on whatever torch runs on: the way out where the core has none."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector._files import sha256_of
from revector._forks import renew_in_child
from revector._optional import require
from revector.encoders.base import Kind
from revector.encoders.native.folder_fields import FolderFields, read_fields
from revector.encoders.native.folders import deciding_files, identity_of
from revector.encoders.sources import SENTENCE_TRANSFORMERS, Readers, read_source, write_source
from revector.encoders.texts import invalid_text, listed_texts, numbered, require_kind, unicode_error
from revector.errors import DeviceUnavailableError, EncoderError, InvalidArgumentError
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

__all__ = ["SentenceTransformersEncoder"]

Precision = Literal["float32", "float16", "bfloat16"]

_EXTRA = "sentence-transformers"
_PURPOSE = "the sentence-transformers encoder"
# How encode_query and encode_document look for a prompt.
_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}
# What decides the numbers of a model of any kind; descriptions and other frameworks' weights do not.
_NATIVE = frozenset({"Transformer", "StaticEmbedding", "Pooling", "Dense", "Normalize", "Dropout"})
_DECISIVE = ("*.safetensors", "*.json", "*.txt", "*.model", "*.py")
_OLDER_WEIGHTS = "*.bin"
_DESCRIPTIVE = frozenset({"README.md", "tokenizer_config.json", "special_tokens_map.json", "data_config.json"})
_ASIDE = frozenset({"onnx", "openvino", "checkpoints", "eval", ".git"})

# What a source may say; the device is a matter of the machine, and code of others is never run because a file says so.
_IN_SOURCE: Readers = {"precision": str, "max_length": int, "dimensions": int, "hub_revision": str}


class SentenceTransformersEncoder:
    """Texts to unit rows by torch. Made by `from_pretrained`, or from a model that is loaded.

    Safe to call from several threads. Calls wait for each other: torch uses all cores, or the whole device, for one.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
        It is used as it is: its prompts, its length, its device.
    source : str, optional
        What `from_source` would load the same model from.
    revision : str, optional
        Identifies weights and tokeniser; a digest of the weights by default.
    batch_size : int
        Texts that are padded to one length and run together, longest first. Halved for as long as a batch does not fit
        into the device's memory.
    """

    def __init__(
        self, model: Any, *, source: str | None = None, revision: str | None = None, batch_size: int = 32
    ) -> None:
        if batch_size < 1:
            raise InvalidArgumentError(f"batch_size is {batch_size}, expected at least 1")
        self._model, self._source, self._batch_size = model, source, batch_size
        self._renew_lock()
        renew_in_child(self._renew_lock)
        _require_cosine(model)
        prompts = {kind: _prompt(model.prompts, names) for kind, names in _PROMPTS.items()}
        self._space = EmbeddingSpace(
            model=_name_of(model, source),
            dimension=_dimension_of(model),
            revision=revision or _digest_of_state(model),
            pooling=_pooling_of(model),
            max_length=_length_of(model),
            query_prefix=prompts["query"],
            document_prefix=prompts["document"],
            normalized=True,
            truncation=_truncation_of(model),
        )

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | os.PathLike[str],
        *,
        device: str | None = None,
        precision: Precision = "float32",
        batch_size: int = 32,
        max_length: int | None = None,
        dimensions: int | None = None,
        hub_revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> SentenceTransformersEncoder:
        """Load a model.

        Parameters
        ----------
        path_or_id : str or path
            A folder, or an id of the Hugging Face hub.
        device : str, optional
            As torch names it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best there is by default.
        precision : {"float32", "float16", "bfloat16"}
            Of weights and arithmetic. It does not change the space.
        batch_size : int
            Texts that are run together.
        max_length : int, optional
            Tokens kept of a text, if not as many as the model says.
        dimensions : int, optional
            Keep the first numbers of each vector only, for models that are trained for it.
        hub_revision : str, optional
            Branch, tag or commit on the hub.
        trust_remote_code : bool
            Run Python files that come with the model. A collection then does not remember where it came from.

        Raises
        ------
        ImportError
            The extra ``sentence-transformers`` is not installed.
        EncoderError
            The model cannot be loaded.
        DeviceUnavailableError
            torch does not have the device.
        InvalidArgumentError
            Unknown precision, or a number below 1.
        """
        _require_arguments(precision, max_length=max_length, dimensions=dimensions)
        library, torch = (
            require("sentence_transformers", extra=_EXTRA, purpose=_PURPOSE),
            require("torch", extra=_EXTRA, purpose=_PURPOSE),
        )
        _require_device(torch, device)
        folder = Path(path_or_id).expanduser()
        name = str(folder.resolve()) if folder.is_dir() else os.fspath(path_or_id)
        if folder.is_dir():
            read_fields(folder).require_anywhere()
        try:
            model = library.SentenceTransformer(
                name,
                device=device,
                revision=hub_revision,
                trust_remote_code=trust_remote_code,
                truncate_dim=dimensions,
                model_kwargs={_dtype_argument(): getattr(torch, precision)},
            )
        except Exception as error:  # torch, transformers and the hub each have errors of their own
            raise EncoderError(
                f"sentence-transformers cannot load {name!r}: {type(error).__name__}: {error}"
            ) from error
        if max_length is not None:
            model.max_seq_length = max_length
        found = folder if folder.is_dir() else _snapshot(name, hub_revision)
        fields = None if found is None else read_fields(found)
        if fields is not None:
            fields.require_anywhere()
        encoder = cls(
            model,
            source=None if trust_remote_code else _source(name, precision, max_length, dimensions, hub_revision),
            revision=None if fields is None else _digest_of_folder(fields),
            batch_size=batch_size,
        )
        if fields is not None and fields.is_token_table:
            encoder._space = replace(encoder._space, pooling="mean")  # as the native encoder calls it
        return encoder

    @classmethod
    def from_source(cls, source: str) -> SentenceTransformersEncoder:
        """Load what `source` says: ``sentence-transformers:PATH-OR-ID?precision=bfloat16&…``."""
        name, options = read_source(source, SENTENCE_TRANSFORMERS, _IN_SOURCE)
        return cls.from_pretrained(name, **options)

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors. For a model that the native encoder knows, it is the native encoder's."""
        return self._space

    @property
    def source(self) -> str | None:
        """What `from_source` loads the model from."""
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
            Unit rows in input order.

        Raises
        ------
        InvalidArgumentError
            Something else than a sequence of str, or an unknown kind.
        EncoderError
            A text is not valid Unicode, torch fails, or the weights give NaN.
        """
        require_kind(kind)
        listed = listed_texts(texts)
        _require_unicode(listed)
        if not listed:
            return np.empty((0, self._space.dimension), np.float32)
        with self._lock:
            rows = self._run(listed, kind, self._batch_size)
        if not np.isfinite(rows).all():
            raise EncoderError(f"{self._space.model} gives NaN or infinity; try precision='float32'")
        return normalize(rows)  # torch divided in the model's precision: bfloat16 misses unit length by up to 1 in 256

    def _run(self, texts: list[str], kind: Kind, batch_size: int) -> NDArray[np.float32]:
        run = self._model.encode_query if kind == "query" else self._model.encode_document
        while True:
            try:
                rows = run(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
                return np.asarray(rows, dtype=np.float32)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if "out of memory" not in str(error) or batch_size == 1:
                    raise EncoderError(f"{self._space.model} failed on {self._model.device}: {error}") from error
                batch_size //= 2


def _require_arguments(precision: str, **numbers: int | None) -> None:
    if precision not in ("float32", "float16", "bfloat16"):
        raise InvalidArgumentError(f"precision is {precision!r}, expected 'float32', 'float16' or 'bfloat16'")
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InvalidArgumentError(f"{name} is {number}, expected at least 1")


def _require_device(torch: Any, device: str | None) -> None:
    try:
        kind = None if device is None else torch.device(device).type
    except RuntimeError as error:
        raise InvalidArgumentError(f"device is {device!r}: {error}") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailableError(f"device is {device!r}, and torch {torch.__version__} finds no CUDA device here")


def _require_unicode(texts: list[str]) -> None:
    if any(map(unicode_error, texts)):
        raise invalid_text(numbered(texts))


def _dtype_argument() -> str:
    """Return what the installed transformers calls it."""
    version = require("transformers", extra=_EXTRA, purpose=_PURPOSE).__version__
    return "dtype" if int(version.split(".")[0]) >= 5 else "torch_dtype"


def _source(name: str, precision: str, max_length: int | None, dimensions: int | None, revision: str | None) -> str:
    options = {"max_length": max_length, "dimensions": dimensions, "hub_revision": revision}
    chosen = None if precision == "float32" else precision
    return write_source(SENTENCE_TRANSFORMERS, name, {"precision": chosen, **options})


def _prompt(prompts: dict[str, str], names: tuple[str, ...]) -> str:
    return next((prompts[name] for name in names if prompts.get(name) is not None), "")


def _name_of(model: Any, source: str | None) -> str:
    name = (source or "").removeprefix(SENTENCE_TRANSFORMERS).partition("?")[0] or type(model[0]).__name__
    return Path(name).name if Path(name).is_absolute() else name


def _dimension_of(model: Any) -> int:
    """Return the length of a vector; the method has another name in newer versions."""
    asked = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    found = asked()
    return int(found) if found else len(model.encode_document(["a"], show_progress_bar=False)[0])


def _length_of(model: Any) -> int | None:
    length = model.max_seq_length
    if length == math.inf:  # a StaticEmbedding, whose tokeniser cuts by itself
        length = (_tokenizer_of(model).truncation or {}).get("max_length")
    return int(length) if length and 0 < length < 1 << 30 else None  # tokenisers without a limit say 1e30


def _truncation_of(model: Any) -> str:
    tokenizer = _tokenizer_of(model)
    side = getattr(tokenizer, "truncation_side", None)  # of transformers; tokenizers has a dictionary
    if side is None and isinstance(settings := getattr(tokenizer, "truncation", None), dict):
        side = settings.get("direction")
    return "tail" if side == "left" else "head"


def _tokenizer_of(model: Any) -> Any:
    return getattr(model[0], "tokenizer", None)


def _require_cosine(model: Any) -> None:
    """Raise `EncoderError` where the cosine, by which revector compares, would order documents otherwise."""
    wanted = getattr(model, "similarity_fn_name", None) or "cosine"
    kinds = [type(module).__name__ for module in model if type(module).__name__ != "Dropout"]
    if wanted not in ("cosine", *(("dot", "euclidean") if kinds[-1:] == ["Normalize"] else ())):
        raise EncoderError(
            f"similarity_fn_name of the model is {wanted!r}, which is not supported (revector compares by the cosine, "
            "which would find other documents); if the cosine will do for it, set similarity_fn_name to 'cosine'"
        )


def _pooling_of(model: Any) -> str:
    modules = [module for module in model if type(module).__name__ == "Pooling"]
    if not modules:
        return type(model[0]).__name__
    older = getattr(modules[0], "get_pooling_mode_str", None)
    mode = older() if older else modules[0].pooling_mode
    return mode if isinstance(mode, str) else "+".join(mode)


def _snapshot(name: str, revision: str | None) -> Path | None:
    """Return where the hub's files of a model lie, now that it is loaded."""
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (ImportError, OSError, ValueError):
        return None


def _digest_of_folder(fields: FolderFields) -> str:
    """Return the revision of a model folder: the native encoder's wherever that could be the same model."""
    files = deciding_files(fields.folder, fields.modules)
    if _NATIVE.issuperset(fields.kinds) and all(Path(file).is_file() for file in files):
        return identity_of(files, fields)
    return _digest_of_files(fields)


def _digest_of_files(fields: FolderFields) -> str:
    folder = fields.folder
    files = {path for pattern in _DECISIVE for path in folder.rglob(pattern)}
    if not any(path.suffix == ".safetensors" for path in files):
        files.update(folder.rglob(_OLDER_WEIGHTS))
    digest = hashlib.sha256()
    for path in sorted(files):
        parts = path.relative_to(folder).parts
        if path.name not in _DESCRIPTIVE and _ASIDE.isdisjoint(parts):
            digest.update(f"{'/'.join(parts)}\0{sha256_of(path)}\0".encode())
    if fields.tokenizer_deviations:
        digest.update(json.dumps(fields.tokenizer_deviations, sort_keys=True).encode())
    return digest.hexdigest()


def _digest_of_state(model: Any) -> str:
    """Return a digest of the weights of a model in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
