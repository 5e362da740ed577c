"""ONNX models in the forms in which they are published (golden/make_onnx.py), each imported and compared."""

from __future__ import annotations

import json
import lzma
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from safetensors.numpy import load_file
from typer.testing import CliRunner

from revector import Encoder
from revector.cli import app
from revector.encoders.importing.folder import import_model
from revector.errors import EncoderError, InvalidArgumentError

GOLDEN = Path(__file__).parents[1] / "golden" / "onnx"
EXACT = ["exported", "exported17", "pooled", "dynamo", "fused", "multihead"]
# Form, and what rounding its weights may cost: half precision, then integers with a scale for a tensor or a column.
ROUNDED = {"half": 1e-3, "dynamic": 0.02, "dynamic_channels": 0.02, "fused_dynamic": 0.02, "qdq": 0.02, "qlinear": 0.02}


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "parameters.npz") as stored:
        return dict(stored)


@pytest.fixture
def source(tmp_path):
    """Return a maker of folders with one of the models, which a test may change."""

    def make(name, change=None):
        folder = tmp_path / f"source-{name}"
        folder.mkdir(exist_ok=True)
        for side in ("tokenizer.json", "config.json"):
            shutil.copy(GOLDEN / side, folder / side)
        model = onnx.load_model_from_string(lzma.decompress((GOLDEN / f"{name}.onnx.xz").read_bytes()))
        if change:
            change(model.graph)
        onnx.save(model, str(folder / "model.onnx"))
        return folder

    return make


@pytest.fixture
def target(tmp_path):
    return tmp_path / "made" / "model"


def rewrite(folder: Path, name: str, **fields) -> None:
    path = folder / name
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({k: v for k, v in {**old, **fields}.items() if v is not None}))


def initialiser(graph, ending):
    return next(tensor for tensor in graph.initializer if tensor.name.endswith(ending))


def replace(tensor, value):
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))


def refused(folder, target, message, **options):
    with pytest.raises(EncoderError, match=message):
        import_model(folder, target, **{"pooling": "mean", **options})
    assert not target.exists()
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


# --- every form


@pytest.mark.parametrize("name", EXACT)
def test_parameters_are_found_whatever_operators_they_are_written_with(source, target, parameters, name):
    made = import_model(source(name), target, pooling="mean")
    tensors = load_file(target / "model.safetensors")
    assert tensors.keys() == parameters.keys()
    for key, value in parameters.items():
        np.testing.assert_allclose(tensors[key], value, rtol=0, atol=1e-6, err_msg=key)
    assert made.comparison.largest_distance < 1e-5
    assert made.comparison.texts >= 5


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_parameters_are_found_as_near_as_they_are_stored(source, target, parameters, name):
    made = import_model(source(name), target, pooling="cls")
    tensors = load_file(target / "model.safetensors")
    assert tensors.keys() == parameters.keys()
    for key, value in parameters.items():
        np.testing.assert_allclose(tensors[key], value, rtol=0, atol=ROUNDED[name], err_msg=key)
    assert made.comparison.largest_distance <= made.comparison.tolerance


def test_distilbert_becomes_a_bert_without_token_types(source, target):
    folder = source("distilbert")
    (folder / "config.json").write_text('{"model_type": "distilbert", "dim": 16, "n_layers": 2, "n_heads": 2}')
    made = import_model(folder, target, pooling="mean")
    assert made.comparison.largest_distance < 1e-5
    assert not load_file(target / "model.safetensors")["embeddings.token_type_embeddings.weight"].any()


def test_roberta_becomes_a_bert_whose_positions_begin_at_zero(source, target):
    folder = source("roberta")
    rewrite(folder, "config.json", model_type="roberta", pad_token_id=0, max_position_embeddings=25, type_vocab_size=1)
    made = import_model(folder, target, pooling="mean")
    assert made.comparison.largest_distance < 1e-5
    assert made.max_length == 24


def test_names_are_not_needed(source, target, parameters):
    def anonymous(graph):
        names = {tensor.name: f"x{i}" for i, tensor in enumerate(graph.initializer)}
        for tensor in graph.initializer:
            tensor.name = names[tensor.name]
        for i, node in enumerate(graph.node):
            node.input[:] = [names.get(name, name) for name in node.input]
            node.name = f"n{i}"

    folder = source("exported", anonymous)
    (folder / "config.json").unlink()
    import_model(folder, target, pooling="mean")
    for key, value in load_file(target / "model.safetensors").items():
        np.testing.assert_allclose(value, parameters[key], atol=1e-6)
    assert json.loads((target / "config.json").read_text())["num_attention_heads"] == 2


def test_the_folder_is_complete_and_says_what_was_asked(source, target):
    made = import_model(source("fused"), target, pooling="cls", query_prefix="find: ", max_length=11)
    space = Encoder.from_pretrained(target).space
    assert (space.pooling, space.query_prefix, space.max_length, space.dimension) == ("cls", "find: ", 11, 16)
    assert (made.pooling, made.max_length, made.target) == ("cls", 11, str(target))
    assert [module["type"].rsplit(".")[-1] for module in json.loads((target / "modules.json").read_text())] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]


def test_what_the_source_says_is_kept(source, target):
    folder = source("exported")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    rewrite(folder, "sentence_bert_config.json", max_seq_length=9)
    rewrite(folder, "config_sentence_transformers.json", prompts={"query": "q: ", "document": "d: "})
    import_model(folder, target)
    space = Encoder.from_pretrained(target).space
    assert (space.pooling, space.max_length, space.query_prefix, space.document_prefix) == ("cls", 9, "q: ", "d: ")


def test_the_layout_of_hubs_is_found(source, target):
    folder = source("half")
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert import_model(folder, target, pooling="mean").source == str(folder / "onnx" / "model.onnx")


def test_the_other_gelu_is_told_from_the_exact_one(source, target):
    def change(graph):
        for node in graph.node:
            if node.op_type == "BiasGelu":
                node.op_type = "FastGelu"

    assert import_model(source("fused", change), target, pooling="mean").comparison.largest_distance < 1e-4
    assert json.loads((target / "config.json").read_text())["hidden_act"] == "gelu_pytorch_tanh"


# --- what is refused


def test_a_head_is_refused_by_name(source, target):
    refused(source("head"), target, r"node '/classifier/Gemm' \(Gemm\) is no part of a BERT that gives embeddings")


def test_an_unknown_operator_is_refused_by_name(source, target):
    def change(graph):
        node = next(node for node in graph.node if node.op_type == "Erf")
        node.op_type, node.domain = "Wobble", "com.example"

    refused(source("exported", change), target, r"\(Wobble\) is of an operator that is not supported")


def test_a_name_that_contradicts_the_way_of_the_data_is_refused(source, target):
    def change(graph):
        query, key = (initialiser(graph, f"layer.0.attention.self.{which}.bias").name for which in ("query", "key"))
        for node in graph.node:
            node.input[:] = [{query: key, key: query}.get(name, name) for name in node.input]

    refused(source("exported", change), target, r"self.key.bias' is used as something else than its name says")


def test_a_parameter_that_bert_has_not_is_refused_by_name(source, target):
    def change(graph):
        graph.initializer.append(numpy_helper.from_array(np.ones(16, np.float32), "stray"))
        last = next(node for node in graph.node if "output" in node.output)
        last.output[0] = "before"
        graph.node.append(helper.make_node("Mul", ["before", "stray"], ["output"], name="extra"))

    refused(
        source("exported17", change), target, r"initialiser 'stray' at node 'extra' \(Mul\) is no parameter of a BERT"
    )


def test_a_weight_of_another_shape_is_refused_by_name(source, target):
    def change(graph):
        replace(initialiser(graph, "layer.1.attention.output.LayerNorm.weight"), np.ones(12))

    refused(
        source("exported17", change), target, r"encoder.layer.1.attention.output.LayerNorm.weight the shape \(12,\)"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", 32),
        ("num_hidden_layers", 12),
        ("num_attention_heads", 4),
        ("intermediate_size", 64),
        ("vocab_size", 30522),
        ("max_position_embeddings", 512),
        ("type_vocab_size", 3),
    ],
)
def test_another_model_than_the_configuration_says_is_refused(source, target, field, value):
    folder = source("exported")
    rewrite(folder, "config.json", **{field: value})
    refused(folder, target, f"config.json says {field} is {value}, and the graph has")


def test_nan_is_refused(source, target):
    def change(graph):
        replace(initialiser(graph, "layer.0.output.dense.bias"), np.full(16, np.nan))

    refused(source("exported", change), target, r"encoder.layer.0.output.dense.bias has NaN or infinity")


def test_integers_without_a_scale_are_refused(source, target):
    def change(graph):
        node = next(node for node in graph.node if node.op_type == "MatMulInteger")
        scale = next(n for n in graph.node if n.op_type == "Mul" and any("scale" in name for name in n.input))
        scale.op_type = "Div"
        assert node.name

    refused(source("dynamic", change), target, r"\(MatMulInteger\) is scaled by something else")


@pytest.mark.parametrize("name", ["exported", "exported17", "dynamo"])
def test_a_result_that_differs_from_the_source_is_not_kept(source, target, name):
    """The structure is right and a number in it is not: attention twice as sharp."""

    def change(graph):
        softmax = next(node for node in graph.node if node.op_type == "Softmax")
        graph.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
        place = list(graph.node).index(softmax)
        graph.node.insert(place, helper.make_node("Mul", [softmax.input[0], "two"], ["sharper"], name="sharpen"))
        softmax.input[0] = "sharper"

    refused(source(name, change), target, r"rows of the imported model lie up to .* at most 0.001 is accepted")


@pytest.mark.parametrize("name", ["dynamic", "qdq", "fused_dynamic"])
def test_a_quantised_source_is_held_to_a_distance_that_a_mistake_breaks(source, target, name, monkeypatch):
    from revector.encoders.importing import folder as module

    read = module.read_bert

    def mistaken(graph, config):
        bert = read(graph, config)
        query, key = (f"encoder.layer.0.attention.self.{which}.weight" for which in ("query", "value"))
        bert.tensors[query], bert.tensors[key] = bert.tensors[key], bert.tensors[query]
        return bert

    monkeypatch.setattr(module, "read_bert", mistaken)
    refused(source(name), target, "at most 0.3 is accepted")


def test_wrong_pooling_is_noticed_where_the_source_pools(source, target):
    refused(source("pooled"), target, "Is 'cls' the model's pooling", pooling="cls")


def test_a_tolerance_of_ones_own_holds(source, target):
    refused(source("qdq"), target, "at most 1e-06 is accepted", tolerance=1e-6)


def test_files_that_are_not_there_or_not_onnx_are_named(source, target, tmp_path):
    refused(tmp_path / "nowhere", target, "neither a file nor a folder")
    folder = source("fused")
    (folder / "model_quantized.onnx").write_bytes(b"")
    refused(folder, target, "found model.onnx, model_quantized.onnx; name the file")
    (folder / "tokenizer.json").rename(folder / "aside")
    refused(folder / "model.onnx", target, "tokenizer.json is missing")
    (folder / "aside").rename(folder / "tokenizer.json")
    (folder / "model.onnx").write_bytes(b"\x08\x07not a model")
    refused(folder / "model.onnx", target, "cannot be read as an ONNX model")


def test_pooling_must_be_said_by_somebody(source, target):
    refused(source("fused"), target, "give pooling=", pooling=None)
    with pytest.raises(InvalidArgumentError, match="pooling is 'max'"):
        import_model(source("fused"), target, pooling="max")


def test_a_target_that_exists_is_left_alone(source, target):
    target.mkdir(parents=True)
    with pytest.raises(InvalidArgumentError, match="exists already"):
        import_model(source("fused"), target, pooling="mean")
    assert list(target.iterdir()) == []


def test_without_the_extra_the_message_says_how_to_install_it(source, target, monkeypatch):
    folder = source("fused")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'revector\[onnx\]'"):
        import_model(folder, target, pooling="mean")


def test_without_onnxruntime_nothing_is_compared_and_that_is_said(source, target, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert import_model(source("fused"), target, pooling="mean").comparison is None


# --- the command


def test_the_command_makes_a_folder_that_serves(source, target, tmp_path):
    arguments = ["import-model", str(source("dynamic")), str(target), "--pooling", "mean"]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["comparison"]["largest_distance"] < 0.1
    made = CliRunner().invoke(app, ["init", str(tmp_path / "docs.db"), "--model", str(target)], catch_exceptions=False)
    assert made.exit_code == 0
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_the_command_says_how_near_it_came(source, target):
    arguments = ["import-model", str(source("fused")), str(target), "--pooling", "cls"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "6 texts with onnxruntime" in done.stdout
