"""The examples of docs/frameworks.md: the same question before, in and after a migration."""

from __future__ import annotations

import importlib

import pytest

from docs_blocks import blocks_of

pytestmark = pytest.mark.integrations
PAGE = blocks_of("frameworks.md")
TEXTS = ["how to pitch a tent", "how to mend a bicycle"]


@pytest.mark.parametrize(
    ("framework", "package"),
    [("langchain", "langchain_core"), ("llama-index", "llama_index.core"), ("haystack", "haystack")],
)
def test_an_application_goes_on_while_its_collection_moves(framework, package, static_model, tmp_path, monkeypatch):
    pytest.importorskip(package, reason=f"needs {package} (make test-integrations)")
    importlib.import_module(package)
    static_model("old-model", 16, TEXTS)
    static_model("new-model", 24, TEXTS)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(PAGE["open"], names)
    with names["docs"]:
        exec(PAGE[framework], names)
        for statement in ["pass", *PAGE["move"].splitlines()]:
            exec(statement, names)
            exec(PAGE[f"{framework}-ask"], names)
            assert names["answer"] == ["bike"]
        assert names["migration"].phase.value.lower() == "serving"
