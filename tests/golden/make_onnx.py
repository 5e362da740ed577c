"""Make onnx/: tiny BERTs of random weights in the forms in which ONNX models are published.

Needs ``pip install torch==2.13.0 transformers onnx onnxruntime onnxscript sympy``. Each file is the same model (but for
DistilBERT's and RoBERTa's), so each must become the same folder, within what half precision and integers cost.

| file | made by |
|---|---|
| exported.onnx | torch's tracing exporter, opset 14: norms written out, weights of products anonymous |
| exported17.onnx | the same at opset 17, scaled_dot_product_attention |
| pooled.onnx | the same with mean pooling in the graph, no token states among the outputs |
| dynamo.onnx | torch's present exporter, opset 18 |
| fused.onnx | onnxruntime's optimiser: Attention, EmbedLayerNormalization, SkipLayerNormalization, BiasGelu |
| multihead.onnx | the same with MultiHeadAttention |
| half.onnx | fused, in float16 |
| dynamic.onnx | quantize_dynamic of exported.onnx: DynamicQuantizeLinear, MatMulInteger |
| dynamic_channels.onnx | the same, signed, a scale for each column |
| fused_dynamic.onnx | quantize_dynamic of fused.onnx: QAttention |
| qdq.onnx | quantize_static in QDQ form |
| qlinear.onnx | quantize_static with QLinear operators |
| distilbert.onnx, roberta.onnx | their own architectures, traced |
| head.onnx | with a classifier, which is not an embedding model |
"""

from __future__ import annotations

import json
import lzma
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import AttentionMaskFormat, FusionOptions
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

warnings.filterwarnings("ignore")
OUT = Path(__file__).with_name("onnx")
LENGTH, HIDDEN, HEADS = 24, 16, 2
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [*SPECIAL, *LETTERS, *("##" + letter for letter in LETTERS), ".", ",", "?"]
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
SIZES = {"vocab_size": len(WORDS), "max_position_embeddings": LENGTH}


class States(torch.nn.Module):
    """A model that takes tensors by position and returns token states, pooled or not, or scores."""

    def __init__(self, model: torch.nn.Module, inputs: list[str], what: str = "states") -> None:
        super().__init__()
        self.model, self.inputs, self.what = model, inputs, what
        self.classifier = torch.nn.Linear(HIDDEN, 3) if what == "scores" else None

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self.inputs, tensors, strict=True))
        states = self.model(**given).last_hidden_state
        if self.classifier is not None:
            return self.classifier(states[:, 0])
        if self.what == "pooled":
            mask = given["attention_mask"].unsqueeze(-1).float()
            return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1e-9))
        return states


def spread(model: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter values of its own, large enough that each of them matters."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        scale = 0.3 if name.endswith("bias") else 0.45
        parameter.data = torch.randn_like(parameter) * scale + (1.0 if "norm.weight" in name.lower() else 0.0)
    return model.eval()


def export(model: torch.nn.Module, path: Path, *, opset: int, what: str = "states", inputs: list[str] = INPUTS) -> None:
    ids = torch.randint(5, len(WORDS), (2, 7))
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    axes = {name: {0: "batch", 1: "sequence"} for name in [*inputs, "output"]}
    torch.onnx.export(
        States(model, inputs, what),
        tuple(arguments[name] for name in inputs),
        str(path),
        input_names=inputs,
        output_names=["output"],
        dynamic_axes={**axes, "output": {0: "batch", **({1: "sequence"} if what == "states" else {})}},
        opset_version=opset,
        dynamo=False,
    )


def export_dynamo(model: torch.nn.Module, path: Path) -> None:
    ids = torch.randint(5, len(WORDS), (2, 7))
    dimensions = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=LENGTH)}
    torch.onnx.export(
        States(model, INPUTS),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        str(path),
        input_names=INPUTS,
        output_names=["last_hidden_state"],
        dynamic_shapes={"tensors": (dimensions,) * 3},
        opset_version=18,
        dynamo=True,
        external_data=False,
    )


class Calibration(CalibrationDataReader):
    def __init__(self) -> None:
        random = np.random.default_rng(0)
        rows = (random.integers(5, len(WORDS), (1, LENGTH)) for _ in range(20))
        self._batches = iter([{"input_ids": r, "attention_mask": r * 0 + 1, "token_type_ids": r * 0} for r in rows])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def fuse(source: Path, target: Path, *, multihead: bool = False, half: bool = False) -> None:
    options = FusionOptions("bert")
    options.use_multi_head_attention = multihead
    options.attention_mask_format = AttentionMaskFormat.AttentionMask
    fused = optimizer.optimize_model(
        str(source), model_type="bert", num_heads=HEADS, hidden_size=HIDDEN, opt_level=0, optimization_options=options
    )
    if half:
        fused.convert_float_to_float16()
    fused.save_model_to_file(str(target))
    print(target.name, fused.get_fused_operator_statistics())


def quantise(source: Path, box: Path) -> None:
    quantize_dynamic(source, OUT / "dynamic.onnx", weight_type=QuantType.QUInt8)
    quantize_dynamic(source, OUT / "dynamic_channels.onnx", weight_type=QuantType.QInt8, per_channel=True)
    quantize_dynamic(
        box / "fused.onnx",
        OUT / "fused_dynamic.onnx",
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    for name, form in (("qdq", QuantFormat.QDQ), ("qlinear", QuantFormat.QOperator)):
        quantize_static(
            source, OUT / f"{name}.onnx", Calibration(), quant_format=form, op_types_to_quantize=["MatMul", "Gather"],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip


def write_sidecars(config: BertConfig) -> None:
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(OUT / "tokenizer.json"))
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    fields = {name: getattr(config, name) for name in (*kept, "max_position_embeddings", "type_vocab_size")}
    (OUT / "config.json").write_text(json.dumps({"model_type": "bert", **fields}, indent=1) + "\n")


def pack(path: Path) -> None:
    """Leave out what exporters say about themselves (paths, stacks, shapes of what lies between), and compress."""
    model = onnx.load(str(path))
    model.metadata_props.clear()
    model.graph.value_info.clear()
    for thing in (
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.input,
        *model.graph.output,
        model,
        model.graph,
    ):
        thing.doc_string = ""
        if hasattr(thing, "metadata_props"):
            del thing.metadata_props[:]
    path.unlink()
    path.with_suffix(".onnx.xz").write_bytes(lzma.compress(model.SerializeToString(), preset=9))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    shape = {"num_hidden_layers": 2, "num_attention_heads": HEADS, "intermediate_size": 32, "hidden_size": HIDDEN}
    config = BertConfig(**SIZES, **shape, attn_implementation="eager")
    bert = spread(BertModel(config, add_pooling_layer=False))
    np.savez_compressed(
        OUT / "parameters.npz", **{k: v.numpy() for k, v in bert.state_dict().items() if "ids" not in k}
    )
    with tempfile.TemporaryDirectory() as folder:
        box = Path(folder)
        export(bert, OUT / "exported.onnx", opset=14)
        export(bert, OUT / "pooled.onnx", opset=14, what="pooled")
        export(bert, OUT / "head.onnx", opset=14, what="scores")
        fuse(OUT / "exported.onnx", box / "fused.onnx")
        onnx.save(onnx.load(str(box / "fused.onnx")), str(OUT / "fused.onnx"))
        fuse(OUT / "exported.onnx", OUT / "multihead.onnx", multihead=True)
        fuse(OUT / "exported.onnx", OUT / "half.onnx", half=True)
        quantise(OUT / "exported.onnx", box)
    sdpa = BertModel(BertConfig(**SIZES, **shape, attn_implementation="sdpa"), add_pooling_layer=False)
    sdpa.load_state_dict(bert.state_dict())
    export(sdpa.eval(), OUT / "exported17.onnx", opset=17)
    export_dynamo(sdpa, OUT / "dynamo.onnx")
    distil = DistilBertConfig(
        **SIZES, dim=HIDDEN, n_heads=HEADS, n_layers=2, hidden_dim=32, attn_implementation="eager"
    )
    export(spread(DistilBertModel(distil)), OUT / "distilbert.onnx", opset=14, inputs=INPUTS[:2])
    counted = {**SIZES, "max_position_embeddings": LENGTH + 1, "pad_token_id": 0, "type_vocab_size": 1}
    roberta = RobertaConfig(**counted, **shape, attn_implementation="eager")
    export(spread(RobertaModel(roberta, add_pooling_layer=False)), OUT / "roberta.onnx", opset=14, inputs=INPUTS[:2])
    write_sidecars(config)
    for path in sorted(OUT.glob("*.onnx")):
        pack(path)


if __name__ == "__main__":
    main()
