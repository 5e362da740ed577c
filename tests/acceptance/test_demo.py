"""The demonstration keeps its promises (issue 2, item 2): on models made here, and on the real ones."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from revector.cli import app
from revector.formats.judgements import Corpus, write_corpus

STATES = ["started", *["re-embedding"] * 6, "filled (proving)", "cut over", "rolled back", "cut over again", "retired"]


def _demo(corpus: Corpus, folder: Path, *arguments: str) -> Result:
    write_corpus(corpus, folder / "corpus")
    place = [] if "--no-keep" in arguments else ["--workdir", str(folder / "work")]
    command = ["demo", "--corpus", str(folder / "corpus"), *place, *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_the_real_models_tell_the_whole_story(
    docstring_corpus: Corpus, tmp_path: Path, wordllama_folder: Path, minilm_folder: Path
) -> None:
    result = _demo(docstring_corpus, tmp_path, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0, report["checks"]
    assert [sample["state"] for sample in report["samples"]] == STATES
    assert abs(report["samples"][-1]["ndcg"] - report["direct_ndcg"]) <= 0.002
    assert all(sample["difference"]["high"] >= 0 for sample in report["samples"])
    assert report["traffic"]["answered"] > 0
    assert report["verification"]["details"]["index_seconds"] > 0
    assert (tmp_path / "work" / "docs.db").exists()


@pytest.fixture
def models(docstring_corpus: Corpus, static_model: Any) -> list[str]:
    texts = [*docstring_corpus.documents.values(), *docstring_corpus.queries.values()]
    old, new = static_model("old", 8, texts), static_model("new", 64, texts)
    return ["--old-model", str(old), "--new-model", str(new)]


def test_people_see_the_steps_the_table_and_what_to_try_next(
    docstring_corpus: Corpus, tmp_path: Path, models: list[str]
) -> None:
    result = _demo(docstring_corpus, tmp_path, *models)
    assert result.exit_code == 0, result.output
    for text in (
        "Ingest 300 documents",
        "Roll back",
        "index ready in",
        "new model directly",
        "revector search",
        "✓",
    ):
        assert text in result.stdout


def test_nothing_is_kept_unless_wanted(
    docstring_corpus: Corpus, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    result = _demo(docstring_corpus, tmp_path, *models, "--no-keep", "--json")
    assert result.exit_code == 0
    assert not Path(json.loads(result.stdout)["database"]).exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_collection_that_is_there_is_not_touched(docstring_corpus: Corpus, tmp_path: Path, models: list[str]) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "docs.db").write_text("precious")
    result = _demo(docstring_corpus, tmp_path, *models)
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert (tmp_path / "work" / "docs.db").read_text() == "precious"
