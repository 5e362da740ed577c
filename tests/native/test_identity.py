"""What makes two folders the same space: everything that decides the vectors, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tiny_bert
from revector import Encoder, _core
from revector.encoders.native.folders import deciding_files

TEXTS = ["how to bake bread", "mend a bicycle", ""]


def fingerprint(folder: Path) -> str:
    return Encoder.from_pretrained(folder).space.fingerprint


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert.make(tmp_path / "model")


def test_shards_give_the_vectors_of_one_file(folder):
    whole = Encoder.from_pretrained(folder).encode(TEXTS)
    tiny_bert.shard(folder)
    np.testing.assert_array_equal(Encoder.from_pretrained(folder).encode(TEXTS), whole)


@pytest.mark.parametrize("number", [1, 2])
def test_every_shard_counts(folder, number):
    tiny_bert.shard(folder)
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    flip_last_bit(folder / f"model-0000{number}-of-00002.safetensors")
    assert fingerprint(folder) != before


def test_a_dense_module_counts(folder):
    plain = fingerprint(folder)
    tiny_bert.add_dense(folder)
    encoder = Encoder.from_pretrained(folder)
    before = encoder.space.fingerprint
    assert encoder.encode(TEXTS).shape == (3, 5)
    assert before != plain
    flip_last_bit(folder / "2_Dense" / "model.safetensors")
    flipped = fingerprint(folder)
    assert flipped != before
    config = folder / "2_Dense" / "config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps(fields, indent=3))
    assert fingerprint(folder) == flipped
    config.write_text(json.dumps({**fields, "activation_function": "torch.nn.modules.linear.Identity"}))
    assert fingerprint(folder) != flipped


def test_the_files_that_count_are_known_without_loading_the_model(folder):
    tiny_bert.shard(folder)
    assert deciding_files(folder, []) == _core.Encoder(str(folder)).files
    tiny_bert.add_dense(folder)
    modules = json.loads((folder / "modules.json").read_text())
    files = deciding_files(folder, modules)
    assert files == _core.Encoder(str(folder)).files
    assert [Path(file).name for file in files[-3:]] == ["model.safetensors", "config.json", "modules.json"]


def test_the_order_of_modules_counts(folder):
    tiny_bert.add_dense(folder)
    before = fingerprint(folder)
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules.insert(2, {"type": "sentence_transformers.models.Normalize", "path": "n"})
    path.write_text(json.dumps(modules))
    assert fingerprint(folder) != before
