"""`revector replay`: queries of a file, on both generations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.encoders.native.encoder import Encoder

TEXTS = [f"text {n} about {' '.join(f'w{(n * m) % 31}' for m in range(2, 9))}" for n in range(60)]


@pytest.fixture
def place(tmp_path: Path, static_model: Any) -> str:
    old, new = (Encoder.from_pretrained(static_model(name, size, TEXTS)) for name, size in (("old", 16), ("new", 64)))
    with Collection.open(tmp_path / "docs.db", old) as collection:
        collection.upsert([str(n) for n in range(len(TEXTS))], TEXTS)
        migration = collection.migrate(new)
        migration.start()
        migration.run()
    rows = "".join(json.dumps({"id": str(n), "text": text[8:]}) + "\n" for n, text in enumerate(TEXTS[:5]))
    (tmp_path / "queries.jsonl").write_text(rows)
    return str(tmp_path / "docs.db")


def test_a_replay_says_what_differs(place: str) -> None:
    arguments = ["replay", place, "--queries", str(Path(place).parent / "queries.jsonl"), "-k", "5"]
    shown = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "of the nearest 5" in shown.stdout
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert len(found["queries"]) == 5
    assert (found["old"]["vectors"], found["new"]["vectors"]) == (60, 60)


def test_without_queries_it_says_where_they_come_from(place: str) -> None:
    result = CliRunner().invoke(app, ["replay", place])
    assert result.exit_code == 1
    assert "capture some" in result.output
