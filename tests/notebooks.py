"""Running a notebook without Jupyter: its code cells in their order, and what each of them shows."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any


def run_notebook(path: Path) -> list[Any]:
    """Run the code cells of a notebook in one namespace; return the value of each one's last expression."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {}
    return [
        _run("".join(cell["source"]), f"{path.name}[{place}]", namespace)
        for place, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
    ]


def _run(source: str, name: str, namespace: dict[str, Any]) -> Any:
    tree = ast.parse(source, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), namespace)
