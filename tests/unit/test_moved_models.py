"""Models whose folders are moved: with the database, without it, and what says where they are now."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from revector.cli import app
from revector.collection import Collection
from revector.encoders.native.encoder import Encoder
from revector.encoders.sources import SENTENCE_TRANSFORMERS, missing, places, remembered, write_source
from revector.errors import EncoderError, InvalidArgumentError, SpaceMismatchError
from revector.testing import HashEncoder

WORDS = ["salt and bread", "chain and brake"]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def _json(*arguments: str) -> Any:
    return json.loads(_run(*arguments, "--json").stdout)


def _first(database: Path) -> str:
    with Collection.open(database) as docs:
        return docs.search("bread")[0].id


class Place:
    """A folder with a model and, below or beside it, a collection that is served with the model."""

    def __init__(self, root: Path, model: Path, database: str) -> None:
        self.root, self.model, self.database = root, root / "model", root / database
        root.mkdir()
        self.database.parent.mkdir(exist_ok=True)
        shutil.copytree(model, self.model)
        with Collection.open(self.database, Encoder.from_pretrained(self.model)) as docs:
            docs.upsert(["salt", "chain"], WORDS)


@pytest.fixture
def model(static_model: Any) -> Path:
    return Path(static_model("made", 8, WORDS))


@pytest.fixture
def place(tmp_path: Path, model: Path) -> Place:
    return Place(tmp_path / "here", model, "docs.db")


@pytest.mark.parametrize("database", ["docs.db", "data/docs.db"])
def test_a_model_near_the_database_is_found_when_both_are_moved(tmp_path: Path, model: Path, database: str) -> None:
    Place(tmp_path / "here", model, database)
    (tmp_path / "here").rename(tmp_path / "there")
    assert _first(tmp_path / "there" / database) == "salt"


def test_a_database_that_is_moved_alone_finds_its_model_where_it_was(place: Place, tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    place.database.rename(tmp_path / "far" / "away" / "docs.db")
    assert _first(tmp_path / "far" / "away" / "docs.db") == "salt"


def test_another_model_at_the_same_way_is_passed_over(place: Place, tmp_path: Path, static_model: Any) -> None:
    (tmp_path / "there").mkdir()
    static_model("other", 4, WORDS).rename(tmp_path / "there" / "model")
    place.database.rename(tmp_path / "there" / "docs.db")
    assert _first(tmp_path / "there" / "docs.db") == "salt"


def test_an_absolute_path_of_an_older_file_still_counts(place: Place) -> None:
    with sqlite3.connect(place.database) as database:
        database.execute("UPDATE generations SET encoder_source = ?", [str(place.model)])
    assert _first(place.database) == "salt"


def test_the_error_of_a_lost_model_names_the_command_that_mends_it(place: Place, tmp_path: Path) -> None:
    place.model.rename(tmp_path / "elsewhere")
    error = _json("search", str(place.database), "bread")["error"]["message"]
    assert f"revector model {place.database} --set PATH" in error
    assert _json("model", str(place.database), "--set", str(tmp_path / "elsewhere"))["source"] == str(
        tmp_path / "elsewhere"
    )
    assert _json("search", str(place.database), "bread")["hits"][0]["id"] == "salt"


def test_another_model_is_not_written_down(place: Place, static_model: Any) -> None:
    other = static_model("other", 4, WORDS)
    assert _json("model", str(place.database), "--set", str(other))["error"]["type"] == "SpaceMismatchError"
    assert _first(place.database) == "salt"


def test_the_model_of_a_migration_can_be_moved_too(place: Place, static_model: Any, tmp_path: Path) -> None:
    new = static_model("new", 16, WORDS)
    database = str(place.database)
    assert _run("start", database, "--model", str(new)).exit_code == 0
    new.rename(tmp_path / "newer")
    assert _run("run", database).exit_code == 1
    assert _run("model", database, "--set", str(tmp_path / "newer")).exit_code == 0
    assert _run("run", database).exit_code == 0


@pytest.mark.parametrize("verb", [("search", "bread"), ("add", "rows.jsonl"), ("run",), ("verify",), ("rollback",)])
def test_every_verb_that_needs_a_model_takes_it_by_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, static_model: Any, verb: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"id": "a", "text": "bread"}\n')
    new, database = static_model("new", 16, WORDS), str(place.database)
    for step in (("start", "--model", str(new)), ("run",)):
        assert _run(step[0], database, *step[1:]).exit_code == 0
    place.model.rename("elsewhere"), new.rename("newer")
    options = ("--encoder", "elsewhere", "--encoder", "newer")
    assert _run(verb[0], database, *verb[1:], *options).exit_code == 0


def test_a_model_of_something_else_is_refused(place: Place, static_model: Any) -> None:
    other = str(static_model("other", 4, WORDS))
    assert _json("search", str(place.database), "bread", "--encoder", other)["error"]["type"] == "SpaceMismatchError"


def test_python_remembers_where_a_lost_model_was_found(place: Place, tmp_path: Path) -> None:
    place.model.rename(tmp_path / "elsewhere")
    with Collection.open(place.database, Encoder.from_pretrained(tmp_path / "elsewhere")):
        pass
    assert _first(place.database) == "salt"


def test_a_model_that_is_where_it_was_is_not_written_down_anew(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.model, tmp_path / "copy")
    with Collection.open(place.database, Encoder.from_pretrained(tmp_path / "copy")):
        pass
    shutil.rmtree(tmp_path / "copy")
    assert _first(place.database) == "salt"


def test_only_a_model_that_can_be_loaded_again_is_remembered(place: Place) -> None:
    with Collection.open(place.database) as docs:
        with pytest.raises(InvalidArgumentError, match="no source"):
            docs.remember(HashEncoder())
        with pytest.raises(SpaceMismatchError):
            docs.remember(Sourced())


class Sourced(HashEncoder):
    source = "somewhere"


def test_a_collection_in_memory_models_still_says_so(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", HashEncoder()):
        pass
    with Collection.open(tmp_path / "docs.db") as docs, pytest.raises(EncoderError, match="given in memory"):
        docs.search("bread")


@pytest.mark.parametrize("folder", ["/a/home/model", "/a/model", "/a/home/deep/50% off?/e5"])
@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}])
def test_a_source_with_options_keeps_them_when_it_moves(folder: str, options: dict[str, str]) -> None:
    source = write_source(SENTENCE_TRANSFORMERS, folder, options)
    written = remembered(source, Path("/a/home"))
    moved = write_source(SENTENCE_TRANSFORMERS, folder.replace("/a/", "/b/"), options)
    assert places(written, Path("/b/home")) == [moved, source]


@pytest.mark.parametrize("source", ["org/model", "openai:m?base_url=http://h/v1", "/elsewhere/model", "model"])
def test_what_is_not_near_is_written_as_it_is(source: str) -> None:
    assert remembered(source, Path("/a/home")) == source
    assert places(source, Path("/b")) == [source]
    assert missing(source) == source.startswith("/")
