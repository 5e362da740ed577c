"""Commands on one collection, as a shell gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from revector.cli import app


class Commands:
    """A collection's path, and commands on it."""

    def __init__(self, folder: Path, old: Path, new: Path) -> None:
        self.folder, self.old, self.new = folder, old, new
        self.path = str(folder / "docs.db")

    def __call__(self, verb: str, *arguments: str, text: str | None = None, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [verb, self.path, *arguments], input=text, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    def json(self, verb: str, *arguments: str, text: str | None = None, code: int = 0) -> Any:
        return json.loads(self(verb, *arguments, "--json", text=text, code=code).stdout)
