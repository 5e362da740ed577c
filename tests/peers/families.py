"""Models of every family with random weights, of odd sizes, as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = [f"{first}{second}" for first in "bcdfghklmnprstvw" for second in ("a", "e", "i", "o", "u", "at", "en", "ol")]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_SIZES = {"vocab_size": len(SPECIAL) + len(WORDS), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_PLAIN = {"hidden_size": 312, "num_hidden_layers": 3, "num_attention_heads": 12, "intermediate_size": 500}
_DISTIL = {"dim": 312, "n_layers": 3, "n_heads": 12, "hidden_dim": 500}

# family: (prefix of the classes in transformers, sizes, positions before the first token)
FAMILIES: dict[str, tuple[str, dict[str, Any], int]] = {
    "bert": ("Bert", _PLAIN, 0),
    "roberta": ("Roberta", {**_PLAIN, "type_vocab_size": 1}, 2),
    "xlm-roberta": ("XLMRoberta", {**_PLAIN, "type_vocab_size": 1, "hidden_act": "gelu_new"}, 2),
    "camembert": ("Camembert", {**_PLAIN, "type_vocab_size": 1, "hidden_act": "relu"}, 2),
    "mpnet": ("MPNet", _PLAIN, 2),
    "distilbert": ("DistilBert", _DISTIL, 0),
}


def make_model(family: str, folder: Path, *, head: str = "Model", max_length: int = 512, **options: Any) -> Path:
    """Save a model and its tokeniser; `options` go to the configuration, but for those of `save_pretrained`."""
    name, sizes, offset = FAMILIES[family]
    saving = {key: options.pop(key) for key in ("max_shard_size",) if key in options}
    dtype = options.pop("weights", torch.float32)
    config_class = getattr(transformers, f"{name}Config")
    config = config_class(**_SIZES, **sizes, max_position_embeddings=max_length + offset, **options)
    torch.manual_seed(len(family))
    model = getattr(transformers, f"{name}{head}")(config)
    _spread(model)
    model.to(dtype).save_pretrained(folder, **saving)
    _save_tokenizer(folder, typed=family == "bert", max_length=max_length)
    return folder


def _spread(model: torch.nn.Module) -> None:
    """Give every parameter values that matter: layer norms and biases as they are made would do nothing."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            center = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            parameter.copy_(center + torch.randn_like(parameter) * (0.05 if parameter.dim() == 2 else 0.2))


def _save_tokenizer(folder: Path, *, typed: bool, max_length: int) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, "<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    pair = "<s> $A </s> $B:1 </s>:1" if typed else "<s> $A </s> </s> $B </s>"
    special = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=special)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "cls_token": "<s>"}
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length, "sep_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**named, **settings, "model_input_names": inputs}))
