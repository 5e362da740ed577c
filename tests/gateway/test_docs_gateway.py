"""What docs/gateway.md shows is done here, as it is written there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from docs_blocks import blocks_of
from revector import Encoder
from revector.collection import Collection

PAGE = blocks_of("gateway.md")
WORDS = ["how", "to", "bake", "bread", "mend", "a", "bicycle", "fixing", "bike", "walnut", "cake"]
SHOWN = "http://127.0.0.1:8000"


@pytest.fixture
def served(static_model, tmp_path, monkeypatch):
    """Do what the page does first; return where the gateway is."""
    monkeypatch.chdir(tmp_path)
    with Collection.open("docs.db", Encoder.from_pretrained(static_model("model", 16, WORDS))) as docs:
        docs.upsert(["a", "b"], ["how to bake bread", "mend a bicycle fixing bike"], [{"tenant": "a"}] * 2)
    (tmp_path / "token").write_text("tok-of-the-page\n")
    program, *words = shlex.split(PAGE["serve"].replace("8000", "0"))
    assert program == "revector"
    with subprocess.Popen([sys.executable, "-m", program, *words], stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().partition(" ")[0]
        process.terminate()
    assert process.returncode == 0


def run(block, served):
    """Run a command of the page; return what it prints."""
    command = PAGE[block].replace(SHOWN, served)
    assert command != PAGE[block]
    return json.loads(subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_do_what_it_says(served):
    embedded = run("embed", served)
    assert len(embedded["data"][0]["embedding"]) == 16
    assert run("search", served)["hits"][0]["id"] == "b"
    assert run("documents", served) == {"upserted": 1, "deleted": 1}
    assert [hit["id"] for hit in run("search", served)["hits"]] != ["b"]


def test_the_python_of_the_page_does_what_it_says(served):
    known = {}
    for block in ("openai", "search-by-vector", "feedback"):
        exec(PAGE[block].replace(SHOWN, served), known)
    assert known["hits"][0]["id"] == "a"
    assert known["heard"].status_code == 204
    known["client"].close()
