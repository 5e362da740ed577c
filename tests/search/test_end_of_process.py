"""A process may end while threads work behind its searches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from revector.collection import Collection
from revector.encoders.sources import load_encoder

_SEARCH = """
import sys
from revector.collection import Collection
docs = Collection.open(sys.argv[1])
docs.search("word1 word2", 3)
if sys.argv[2] == "close":
    docs.close()
"""
_TEXTS = [f"word{i} word{i % 7} word{i % 31}" for i in range(600)]


@pytest.mark.parametrize("ending", ["close", "leave"])
def test_a_process_that_ends_while_the_new_model_is_loaded_ends_in_peace(
    tmp_path: Path, static_model: Any, ending: str
) -> None:
    old, new = (
        load_encoder(str(static_model(name, dimension, _TEXTS))) for name, dimension in (("old", 8), ("new", 64))
    )
    with Collection.open(tmp_path / "docs.db", old) as docs:
        docs.upsert(_TEXTS, _TEXTS)
        docs.migrate(new).start()
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", _SEARCH, tmp_path / "docs.db", ending], capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
