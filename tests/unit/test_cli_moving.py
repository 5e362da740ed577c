"""Vectors that leave a collection and come into another one on the command line: export, add --vectors, move."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder

TEXTS = {"a": "bake a loaf of bread", "b": "oil the chain of the bike", "c": "raise the poles of the tent"}


@pytest.fixture
def model(static_model):
    """Return the folder of a model that knows the words."""
    return str(static_model("model", 8, TEXTS.values()))


@pytest.fixture
def place(tmp_path, model):
    """Return a collection with three documents."""
    place = str(tmp_path / "docs.db")
    _run("init", place, "--model", model)
    rows = "".join(json.dumps({"id": id_, "text": text, "n": len(id_)}) + "\n" for id_, text in TEXTS.items())
    _run("add", place, text=rows)
    return place


def _run(*words, text=None, code=0):
    """Run a command; return its document."""
    result = CliRunner().invoke(app, [*words, "--json"], input=text)
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def _contents(place):
    """Return text, metadata and vector of each document."""
    with Collection.open(place) as docs:
        ids = docs.ids()
        vectors = docs.vectors(ids, docs.serving_space)
        return {each.id: (each.text, each.metadata, vectors[each.id].tolist()) for each in docs.documents(ids)}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".npy"])
def test_exported_vectors_are_added_as_they_are(place, model, tmp_path, suffix):
    file, new = str(tmp_path / f"docs{suffix}"), str(tmp_path / "new.db")
    _run("export", place, "--to", file)
    _run("init", new, "--model", model)
    added = _run("add", new, file, "--vectors")
    assert (added["added"], added["documents"], added["without_vector"]) == (3, 3, 0)
    assert _contents(new) == _contents(place)
    assert added["next_steps"] == [f"revector search {new} QUERY"]


def test_vectors_of_another_model_are_refused_and_nothing_is_added(place, tmp_path, static_model):
    file, new = str(tmp_path / "docs.parquet"), str(tmp_path / "new.db")
    _run("export", place, "--to", file)
    _run("init", new, "--model", str(static_model("other", 4, TEXTS.values())))
    refused = _run("add", new, file, "--vectors", code=1)
    assert refused["error"]["type"] == "SpaceMismatchError"
    assert _contents(new) == {}


def test_a_moved_collection_is_the_same_and_the_old_one_stays(place, tmp_path):
    to = str(tmp_path / "moved.db")
    moved = _run("move", place, to)
    assert (moved["to"], moved["documents"], moved["written"], moved["without_vector"]) == (to, 3, 3, 0)
    assert _contents(to) == _contents(place)
    assert moved["next_steps"] == [f"revector search {to} QUERY", f"revector doctor {to}"]


def test_a_move_into_a_collection_is_refused(place, tmp_path):
    to = str(tmp_path / "moved.db")
    _run("move", place, to)
    again = _run("move", place, to, code=1)
    assert again["error"]["type"] == "InvalidArgumentError"
    assert "is a collection already" in again["error"]["message"]


def test_a_move_beside_a_migration_is_refused(place, tmp_path):
    with Collection.open(place) as docs:
        docs.migrate(HashEncoder(dimension=4)).start()
    refused = _run("move", place, str(tmp_path / "moved.db"), code=1)
    assert refused["error"]["type"] == "MigrationError"
    assert "is filling" in refused["error"]["message"]
