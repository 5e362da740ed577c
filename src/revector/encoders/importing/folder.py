"""From an ONNX file to a folder as sentence-transformers lays it out, complete and compared with its source."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.numpy import save_file

from revector.encoders.importing.bert import Bert, read_bert
from revector.encoders.importing.graph import Graph
from revector.encoders.importing.verify import Comparison, compare, number_format
from revector.encoders.native.folders import read_config
from revector.errors import EncoderError, InvalidArgumentError

__all__ = ["Imported", "import_model"]

Pooling = Literal["mean", "cls"]

# Largest distance of a unit row from what onnxruntime computes, by the numbers the source computes with. Quantised
# models round activations as well, which the imported model does not: rows then differ by what that costs (0.3 is a
# cosine of 0.955).
TOLERANCES: Mapping[str, float] = {"float32": 1e-3, "float16": 0.03, "integers": 0.3}

_FILES = ("model.onnx", "model_optimized.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")
_COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_NO_LIMIT = 1 << 20  # tokenisers without a limit say 1e30
_SENTENCE = "sentence_bert_config.json"
_PROMPTS = "config_sentence_transformers.json"


@dataclass(frozen=True)
class Imported:
    """An imported model.

    Attributes
    ----------
    source, target : str
        The ONNX file, and the folder that was made.
    parameters : int
        Numbers in its tensors.
    pooling : str
    max_length : int
    comparison : Comparison or None
        ``None`` if onnxruntime is not installed, so that nothing was compared.
    """

    source: str
    target: str
    parameters: int
    pooling: str
    max_length: int
    comparison: Comparison | None


def import_model(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    pooling: Pooling | None = None,
    query_prefix: str | None = None,
    max_length: int | None = None,
    tolerance: float | None = None,
) -> Imported:
    """Import a BERT that exists as ONNX only: optimised, in half precision, quantised or as it was exported.

    Parameters
    ----------
    source : str or path
        An ONNX file, or the folder of one; ``tokenizer.json`` lies beside it or in the folder above.
    target : str or path
        The folder to make. It appears complete or not at all.
    pooling : {"mean", "cls"}, optional
        Needed where the source has no ``1_Pooling/config.json``.
    query_prefix : str, optional
        What the model wants before every query, if the source does not say so itself.
    max_length : int, optional
        Tokens kept of a text; what the source says by default.
    tolerance : float, optional
        Largest accepted distance of a unit row from onnxruntime's. By default 0.001, for half precision 0.03, for
        quantised activations 0.3.

    Raises
    ------
    EncoderError
        The source cannot be read, is not a BERT, or the result gives other vectors; the target is not made then.
    InvalidArgumentError
        The target exists, or the pooling is not known.
    ImportError
        The extra ``onnx`` is not installed.
    """
    file, goal = _onnx_file(Path(source).expanduser()), Path(target).expanduser()
    sidecars = _sidecars(file)
    if goal.exists():
        raise InvalidArgumentError(f"{goal} exists already; choose another folder, or delete it")
    chosen = _pooling(sidecars, pooling)
    graph = Graph(file)
    bert = read_bert(graph, read_config(sidecars / "config.json"))
    length = min(max_length or _max_length(sidecars), bert.config["max_position_embeddings"])
    goal.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=goal.parent, prefix=".import-") as box:
        staged = Path(box, "model")
        _write(staged, bert, sidecars, pooling=chosen, query_prefix=query_prefix, max_length=length)
        limit = TOLERANCES[number_format(graph)] if tolerance is None else tolerance
        comparison = compare(graph, staged, pooling=chosen, tolerance=limit)
        _rename(staged, goal)
    parameters = sum(int(tensor.size) for tensor in bert.tensors.values())
    return Imported(str(file), str(goal), parameters, chosen, length, comparison)


def _onnx_file(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise EncoderError(f"{source} is neither a file nor a folder; give an ONNX file or the folder of one")
    found = [source / name for name in _FILES if (source / name).is_file()] or sorted(source.glob("*.onnx"))
    if len(found) != 1:
        listed = ", ".join(str(path.relative_to(source)) for path in found) or "none"
        raise EncoderError(f"{source}: expected one ONNX file, found {listed}; name the file")
    return found[0]


def _sidecars(file: Path) -> Path:
    for folder in (file.parent, file.parent.parent):
        if (folder / "tokenizer.json").is_file():
            return folder
    raise EncoderError(f"{file.parent / 'tokenizer.json'} is missing, and there is none in the folder above")


def _pooling(sidecars: Path, asked: str | None) -> str:
    """Return how token states become a vector: as asked, or as the source says."""
    if asked not in (None, "mean", "cls"):
        raise InvalidArgumentError(f"pooling is {asked!r}, expected 'mean' or 'cls'")
    fields = read_config(sidecars / "1_Pooling" / "config.json")
    said = [name for name, flag in (("mean", "pooling_mode_mean_tokens"), ("cls", "pooling_mode_cls_token"))
            if fields.get(flag) or fields.get("pooling_mode") == name]  # fmt: skip
    if asked is None and len(said) != 1:
        raise EncoderError(f"{sidecars} does not say how to pool token states (1_Pooling/config.json); give pooling=")
    return asked or said[0]


def _max_length(sidecars: Path) -> int:
    said = read_config(sidecars / _SENTENCE).get("max_seq_length")
    said = said or read_config(sidecars / "tokenizer_config.json").get("model_max_length")
    return int(said) if isinstance(said, (int, float)) and 0 < said < _NO_LIMIT else _NO_LIMIT


def _write(
    folder: Path, bert: Bert, sidecars: Path, *, pooling: str, query_prefix: str | None, max_length: int
) -> None:
    (folder / "1_Pooling").mkdir(parents=True)
    save_file(bert.tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name in _COPIED:
        if (sidecars / name).is_file():
            shutil.copy(sidecars / name, folder / name)
    padding = read_config(sidecars / "config.json").get("pad_token_id", 0)
    _write_json(folder / "config.json", {**bert.config, "pad_token_id": padding})
    lower = bool(read_config(sidecars / _SENTENCE).get("do_lower_case", False))
    _write_json(folder / _SENTENCE, {"max_seq_length": max_length, "do_lower_case": lower})
    prompts = read_config(sidecars / _PROMPTS).get("prompts") or {}
    if query_prefix is not None:
        prompts = {**prompts, "query": query_prefix}
    _write_json(folder / _PROMPTS, {"prompts": prompts})
    flags = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": bert.config["hidden_size"], **flags})
    _write_json(folder / "modules.json", _MODULES)


_MODULES = [
    {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for place, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
]


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _rename(staged: Path, goal: Path) -> None:
    try:
        staged.rename(goal)
    except OSError as error:
        raise EncoderError(f"{goal} cannot be made: {error}") from error
