"""The same model under every engine that people run on a CPU: what revector's encoder is measured beside.

Every engine gets texts and returns unit rows, tokenisation included. Engines that only take padded batches get them
sorted by number of tokens, which is the best that can be done for them; fastembed runs as its users run it. Exported
models are kept in a folder of the cache.

The engines assume mean pooling and three inputs, as all-MiniLM-L6-v2 has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import peer

Rows = NDArray[np.float32]
Engine = Callable[[list[str]], Rows]

BATCH = 32
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def cache_folder(model: Path, name: str) -> Path:
    """Return a folder for what is made of a model."""
    root = Path(os.environ.get("REVECTOR_CACHE", Path.home() / ".cache" / "revector")) / "bench" / model.name / name
    root.mkdir(parents=True, exist_ok=True)
    return root


class Batches:
    """The tokeniser of a model folder, and its batches: longest first, padded to the longest of each batch."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        limits = json.loads((folder / "sentence_bert_config.json").read_text())
        self._tokenizer.enable_truncation(limits["max_seq_length"])
        self.dimension: int = json.loads((folder / "config.json").read_text())["hidden_size"]

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]

    def __call__(self, texts: list[str]) -> Iterator[tuple[list[int], dict[str, NDArray[np.int64]]]]:
        """Yield positions in `texts` and the three inputs of BERT."""
        ids = self.ids(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(ids[i]))
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            width = len(ids[chosen[0]])
            padded = np.zeros((len(chosen), width), np.int64)
            mask = np.zeros_like(padded)
            for row, i in enumerate(chosen):
                padded[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            yield chosen, dict(zip(INPUTS, (padded, mask, np.zeros_like(padded)), strict=True))


def mean_pooled(states: Rows, mask: NDArray[np.int64]) -> Rows:
    """Mean over the tokens, unit length."""
    weights = mask[:, :, None].astype(np.float32)
    means = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def sentence_transformers(folder: Path, threads: int) -> dict[str, Engine]:
    """Run what most people run, in float32 and with bfloat16 weights."""
    library = peer("sentence_transformers")
    if library is None:
        return {}
    import torch

    def engine(**options: Any) -> Engine:
        model = library.SentenceTransformer(str(folder), device="cpu", **options)

        def encode(texts: list[str]) -> Rows:
            torch.set_num_threads(threads)
            return np.asarray(model.encode(texts, normalize_embeddings=True), np.float32)

        return encode

    return {
        "sentence-transformers fp32": engine(),
        "sentence-transformers bf16": engine(model_kwargs={"dtype": torch.bfloat16}),
    }


def onnx_file(folder: Path) -> Path:
    """Export the transformer once: the three inputs to last_hidden_state."""
    target = cache_folder(folder, "onnx") / "model.onnx"
    if target.exists():
        return target
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(folder), attn_implementation="eager").eval()

    class LastStates(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.model(**dict(zip(INPUTS, inputs, strict=True))).last_hidden_state

    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in INPUTS)
    axes = {name: {0: "batch", 1: "tokens"} for name in (*INPUTS, "last_hidden_state")}
    torch.onnx.export(
        LastStates(), example, str(target), input_names=list(INPUTS), output_names=["last_hidden_state"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip
    return target


def onnxruntime(folder: Path, threads: int) -> dict[str, Engine]:
    """ONNX Runtime in float32 and with its dynamic quantisation to int8."""
    library = peer("onnxruntime")
    if library is None or peer("onnx") is None or peer("torch") is None:
        return {}
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = onnx_file(folder)
    quantised = plain.with_name("int8.onnx")
    if not quantised.exists():
        quantize_dynamic(plain, quantised, per_channel=True, weight_type=QuantType.QInt8)
    batches = Batches(folder)

    def engine(path: Path) -> Engine:
        options = library.SessionOptions()
        options.intra_op_num_threads = threads
        session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        def encode(texts: list[str]) -> Rows:
            rows = np.empty((len(texts), batches.dimension), np.float32)
            for chosen, inputs in batches(texts):
                rows[chosen] = mean_pooled(session.run(None, inputs)[0], inputs["attention_mask"])
            return rows

        return encode

    return {"onnxruntime fp32": engine(plain), "onnxruntime int8": engine(quantised)}


def openvino(folder: Path, threads: int, calibration: list[str]) -> dict[str, Engine]:
    """OpenVINO under its throughput hint with requests in flight, in float32, bfloat16 and (by NNCF) int8."""
    library = peer("openvino")
    if library is None or peer("torch") is None or peer("onnx") is None:
        return {}
    core, batches = library.Core(), Batches(folder)
    plain = onnx_file(folder)

    def engine(model: Any, precision: str) -> Engine:
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        compiled = core.compile_model(model, "CPU", options)

        def encode(texts: list[str]) -> Rows:
            rows = np.empty((len(texts), batches.dimension), np.float32)
            queue = library.AsyncInferQueue(compiled)

            def take(request: Any, place: tuple[list[int], NDArray[np.int64]]) -> None:
                rows[place[0]] = mean_pooled(request.get_output_tensor(0).data, place[1])

            queue.set_callback(take)
            for chosen, inputs in batches(texts):
                queue.start_async(inputs, (chosen, inputs["attention_mask"]))
            queue.wait_all()
            return rows

        return encode

    engines = {f"openvino {name}": engine(core.read_model(plain), name) for name in ("f32", "bf16")}
    if peer("nncf") is not None:
        engines["openvino int8"] = engine(quantised_openvino(folder, batches, calibration), "f32")
    return engines


def quantised_openvino(folder: Path, batches: Batches, calibration: list[str]) -> Any:
    """Quantise with NNCF's settings for transformers, once."""
    import nncf
    from openvino import Core, save_model

    target = cache_folder(folder, "openvino") / "int8.xml"
    if not target.exists():
        samples = [inputs for _, inputs in batches(calibration)]
        model = Core().read_model(onnx_file(folder))
        dataset = nncf.Dataset(samples)
        save_model(nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER), target, compress_to_fp16=False)
    return Core().read_model(target)


def ctranslate2(folder: Path, threads: int) -> dict[str, Engine]:
    """CTranslate2 in float32 and int8, one batch a thread."""
    library = peer("ctranslate2")
    if library is None or peer("transformers") is None:
        return {}
    from ctranslate2.converters import TransformersConverter

    target = cache_folder(folder, "ctranslate2")
    if not (target / "model.bin").exists():
        TransformersConverter(str(folder)).convert(str(target), force=True)
    batches = Batches(folder)

    def engine(compute_type: str) -> Engine:
        model = library.Encoder(str(target), device="cpu", compute_type=compute_type, intra_threads=threads)

        def encode(texts: list[str]) -> Rows:
            rows = np.empty((len(texts), batches.dimension), np.float32)
            for chosen, inputs in batches(texts):
                mask = inputs["attention_mask"]
                ids = [row[: int(n)].tolist() for row, n in zip(inputs["input_ids"], mask.sum(axis=1), strict=True)]
                states = np.asarray(model.forward_batch(ids).last_hidden_state)
                rows[chosen] = mean_pooled(states, mask)
            return rows

        return encode

    return {"ctranslate2 fp32": engine("float32"), "ctranslate2 int8": engine("int8")}


def fastembed(folder: Path, threads: int) -> dict[str, Engine]:
    """Run fastembed with its defaults: batches of 256 in the order given."""
    library = peer("fastembed")
    if library is None or peer("torch") is None or peer("onnx") is None:
        return {}
    from fastembed.common.model_description import ModelSource, PoolingType

    plain = onnx_file(folder)
    home, config = cache_folder(folder, "fastembed"), json.loads((folder / "config.json").read_text())
    for name in ("config.json", "tokenizer.json"):
        (home / name).write_bytes((folder / name).read_bytes())
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    (home / "tokenizer_config.json").write_text(json.dumps({"model_max_length": limit, "pad_token": "[PAD]"}))
    (home / "special_tokens_map.json").write_text("{}")
    if not (home / "model.onnx").exists():
        (home / "model.onnx").symlink_to(plain)
    library.TextEmbedding.add_custom_model(
        model="bench/minilm", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf="bench/minilm"),
        dim=config["hidden_size"], model_file="model.onnx",
    )  # fmt: skip
    model = library.TextEmbedding("bench/minilm", specific_model_path=str(home), threads=threads)
    return {"fastembed": lambda texts: np.stack(list(model.embed(texts)))}


def all_engines(folder: Path, threads: int, calibration: list[str]) -> dict[str, Engine]:
    """Everything that is installed."""
    return {
        **sentence_transformers(folder, threads),
        **onnxruntime(folder, threads),
        **openvino(folder, threads, calibration),
        **ctranslate2(folder, threads),
        **fastembed(folder, threads),
    }
