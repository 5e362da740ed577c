"""What docs/stores-files.md shows is run as it stands there."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from docs_blocks import blocks_of
from revector import Encoder, HnswIndex


def test_a_file_is_moved_as_the_page_says(static_model, tmp_path, monkeypatch):
    page = blocks_of("stores-files.md")
    words = ["a page of book about bread bicycles birds", *map(str, range(60))]
    for name, dimension in (("old-model", 64), ("new-model", 96)):
        static_model(name, dimension, words)
    monkeypatch.chdir(tmp_path)
    exec(page["file"], {})
    for step in ("adopt", "move", "release"):
        said = f'revector() {{ {sys.executable} -m revector "$@"; }}; set -eu\n' + page[step]
        done = subprocess.run(["bash", "-c", said], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
    index = HnswIndex.load("pages.bin", 96)
    rows = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    expected = Encoder.from_pretrained("new-model").encode([row["text"] for row in rows])
    assert index.m == 12
    np.testing.assert_allclose(index.get_vectors([row["label"] for row in rows]), expected, atol=1e-6)
    ids = [json.loads(line)["id"] for line in (tmp_path / "pages.bin.ids.jsonl").read_text().splitlines()]
    assert ids == [row["id"] for row in rows]
