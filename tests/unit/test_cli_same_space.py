"""`revector same-space`: a verdict with figures, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from revector.cli import app

TEXTS = [f"text {n} about {' '.join(f'w{(n * m) % 97}' for m in range(2, 12))}" for n in range(150)]


@pytest.fixture
def folders(tmp_path: Path, static_model: Any) -> dict[str, str]:
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"id": t, "text": t}) + "\n" for t in TEXTS))
    models = {name: str(static_model(name, size, TEXTS)) for name, size in (("old", 32), ("new", 64))}
    return {**models, "texts": str(tmp_path / "docs.jsonl")}


def test_a_model_is_of_its_own_space(folders: dict[str, str]) -> None:
    arguments = ["same-space", folders["old"], folders["old"], "--texts", folders["texts"]]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "yes, this is one space" in result.stdout


def test_two_models_are_of_two_spaces(folders: dict[str, str]) -> None:
    arguments = ["same-space", folders["old"], folders["new"], "--texts", folders["texts"], "--json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["same"] is False
