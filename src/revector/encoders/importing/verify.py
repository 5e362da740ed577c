"""An imported model beside its source: the same texts through onnxruntime and through the native encoder."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from revector.encoders.importing.graph import Graph
from revector.encoders.native.encoder import Encoder
from revector.encoders.native.folder_fields import read_definition
from revector.encoders.native.folders import read_config
from revector.errors import EncoderError

__all__ = ["Comparison", "compare", "number_format"]

# Of several lengths and kinds, for a parameter in the wrong place shows in one of them.
TEXTS = (
    "a",
    "How do I bake bread without an oven?",
    "The quick brown fox jumps over the lazy dog, 42 times; then it sleeps.",
    "Embedding models change, and the vectors of two models cannot be compared. " * 4,
    "Straße, naïve, 数据迁移, 🧑‍🚀 and [UNK] tokens",
    "def main(argv: list[str]) -> int:\n    return len(argv)",
)


@dataclass(frozen=True)
class Comparison:
    """How near an imported model is to its source.

    Attributes
    ----------
    texts : int
    largest_difference : float
        Between elements of the two unit rows of a text.
    largest_distance : float
        Between the two unit rows of a text (its square is twice what the cosine lacks to 1).
    tolerance : float
        What the distance was held to.
    """

    texts: int
    largest_difference: float
    largest_distance: float
    tolerance: float


# Operators that round activations, each time for the rows they get.
_ROUNDING = frozenset(
    ["DynamicQuantizeLinear", "QuantizeLinear", "QAttention", "QLinearMatMul", "DynamicQuantizeMatMul"]
)


def number_format(graph: Graph) -> str:
    """Return what a graph computes with: ``"integers"``, ``"float16"`` or ``"float32"``."""
    if any(node.op in _ROUNDING for node in graph.nodes):
        return "integers"
    halves = sum(value.size for value in graph.constants.values() if value.dtype == np.float16)
    return "float16" if halves > 1000 else "float32"


def compare(graph: Graph, folder: Path, *, pooling: str, tolerance: float) -> Comparison | None:
    """Compare an imported folder with its source; ``None`` if onnxruntime is not installed.

    Raises
    ------
    EncoderError
        The vectors differ by more than `tolerance`, or either side cannot be run.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    ours = Encoder.from_pretrained(folder, precision="float32")  # what is compared is the import, not arithmetic
    texts, prefix = list(TEXTS), ours.space.document_prefix
    theirs = _rows(runtime, graph, folder, [prefix + text for text in texts], pooling)
    rows = ours.encode(texts)
    if theirs.shape != rows.shape:
        raise EncoderError(f"{graph.path} gives rows of {theirs.shape[1]} numbers, the imported model {rows.shape[1]}")
    found = Comparison(
        texts=len(texts),
        largest_difference=float(np.abs(rows - theirs).max()),
        largest_distance=float(np.linalg.norm(rows - theirs, axis=1).max()),
        tolerance=tolerance,
    )
    if not found.largest_distance <= tolerance:
        raise EncoderError(
            f"{graph.path}: rows of the imported model lie up to {found.largest_distance:.2g} from those of "
            f"onnxruntime, at most {tolerance:.2g} is accepted; nothing was written. "
            f"Is {pooling!r} the model's pooling? For a coarsely quantised source, a larger tolerance may be right"
        )
    return found


def _rows(runtime: Any, graph: Graph, folder: Path, texts: list[str], pooling: str) -> NDArray[np.float32]:
    try:
        options = runtime.SessionOptions()
        # Without VNNI its products of unsigned with signed bytes saturate; the source is what it would be elsewhere.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.log_severity_level = 3
        session = runtime.InferenceSession(str(graph.path), options, providers=["CPUExecutionProvider"])
        tokenizer = _tokenizer(folder)
        return np.stack([_row(session, tokenizer.encode(text).ids, pooling) for text in texts])
    except Exception as error:  # onnxruntime's errors have no common type
        raise EncoderError(f"{graph.path} cannot be run by onnxruntime: {type(error).__name__}: {error}") from error


def _tokenizer(folder: Path) -> Tokenizer:
    tokenizer = read_definition(folder, "bert").load()
    tokenizer.no_padding()
    tokenizer.enable_truncation(read_config(folder / "sentence_bert_config.json")["max_seq_length"])
    return tokenizer


def _row(session: Any, ids: list[int], pooling: str) -> NDArray[np.float32]:
    """Return the unit row of one text, pooled here if the graph gives token states."""
    states = session.run(None, {i.name: _input(i, ids) for i in session.get_inputs()})
    tokens = next((s for s in states if s.ndim == 3 and s.shape[:2] == (1, len(ids))), None)
    if tokens is not None:
        row = tokens[0, 0] if pooling == "cls" else tokens[0].mean(axis=0, dtype=np.float64)
    else:
        row = next(s for s in states if s.ndim == 2)[0]
    row = row.astype(np.float64)
    return np.asarray(row / np.linalg.norm(row), np.float32)


def _input(wanted: Any, ids: list[int]) -> NDArray[Any]:
    dtype = np.int32 if "int32" in wanted.type else np.int64
    if "mask" in wanted.name:
        return np.ones((1, len(ids)), dtype)
    if "type" in wanted.name or "segment" in wanted.name:
        return np.zeros((1, len(ids)), dtype)
    if "position" in wanted.name:
        return np.arange(len(ids), dtype=dtype)[None]
    return np.array([ids], dtype)
