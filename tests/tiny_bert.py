"""A BERT of a few thousand parameters with random weights, as a folder of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["how", "to", "bake", "bread", "mend", "a", "bicycle", "and", "sing", "in", "tune", "with", "many", "others"]
HIDDEN, LAYERS, POSITIONS = 12, 2, 16
_VOCABULARY = ["[CLS]", "[SEP]", "[UNK]", *WORDS]


def tensors(*, labels: int | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the weights; with a classification head where `labels` are given."""
    rng = np.random.default_rng(0)
    found: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int) -> None:
        found[name] = rng.standard_normal(shape, dtype=np.float32) * 0.3

    def add_linear(name: str, out: int, into: int) -> None:
        add(f"{name}.weight", out, into)
        add(f"{name}.bias", out)

    for name, rows in (("word", len(_VOCABULARY)), ("position", POSITIONS), ("token_type", 2)):
        add(f"bert.embeddings.{name}_embeddings.weight", rows, HIDDEN)
    norms = ["bert.embeddings.LayerNorm"]
    for layer in (f"bert.encoder.layer.{i}" for i in range(LAYERS)):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            add_linear(f"{layer}.{part}", HIDDEN, HIDDEN)
        add_linear(f"{layer}.intermediate.dense", 2 * HIDDEN, HIDDEN)
        add_linear(f"{layer}.output.dense", HIDDEN, 2 * HIDDEN)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        found[f"{norm}.weight"], found[f"{norm}.bias"] = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)
    if labels is not None:
        add_linear("bert.pooler.dense", HIDDEN, HIDDEN)
        add_linear("classifier", labels, HIDDEN)
    return found


def config(**fields: Any) -> dict[str, Any]:
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 3}
    more = {"intermediate_size": 2 * HIDDEN, "max_position_embeddings": POSITIONS, "vocab_size": len(_VOCABULARY)}
    return {"model_type": "bert", **sizes, **more, **fields}


def make(folder: Path, *, labels: int | None = None, **fields: Any) -> Path:
    """Write a model folder; `fields` go to config.json."""
    folder.mkdir()
    save_file(tensors(labels=labels), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config(**fields)))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(_VOCABULARY)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def shard(folder: Path) -> None:
    """Deal the weights out to two shards under an index."""
    whole = tensors()
    names = sorted(whole)
    places = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(names)}
    for place in set(places.values()):
        save_file({name: whole[name] for name in names if places[name] == place}, folder / place)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def add_dense(folder: Path, width: int = 5) -> None:
    """Put a pooling and a Dense module behind the transformer."""
    kinds = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"))
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}))
    sizes = {"in_features": HIDDEN, "out_features": width}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(sizes))
    rng = np.random.default_rng(1)
    linear = {
        "linear.weight": rng.standard_normal((width, HIDDEN), dtype=np.float32),
        "linear.bias": np.ones(width, np.float32),
    }
    save_file(linear, folder / "2_Dense" / "model.safetensors")
