"""The examples run as they are printed in the README, the notebook among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks import run_notebook

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.usefixtures("wordllama_folder", "minilm_folder")
def test_quickstart(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tent" in done.stdout.splitlines()[0]


@pytest.mark.usefixtures("wordllama_folder", "minilm_folder")
def test_the_notebook_runs_and_shows_itself() -> None:
    shown = run_notebook(EXAMPLES / "migration.ipynb")
    rendered = [each._repr_html_() for each in shown if hasattr(each, "_repr_html_")]
    assert len(rendered) == 5  # verdict, checklist, status twice, health
    assert all("<table>" in html and "<script" not in html for html in rendered)
    assert "INCONCLUSIVE" in rendered[0]
    assert "tent" in shown


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((EXAMPLES / "migration.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert not any(cell.get("outputs") for cell in notebook["cells"])
