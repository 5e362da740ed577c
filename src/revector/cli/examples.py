"""An example of each command, which its ``--help`` ends with."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

EXAMPLES: MappingProxyType[str, str] = MappingProxyType(
    {
        "demo": "revector demo --documents 1000",
        "import-model": "revector import-model model.onnx models/mine --pooling mean",
        "init": "revector init docs.db --model minilm",
        "add": "revector add docs.db documents.jsonl",
        "move": "revector move docs.db 'lancedb:///data/tables?ledger=docs.lancedb.db#docs'",
        "search": "revector search docs.db 'how do I bake bread' -k 5 --where tenant=a",
        "adopt": "revector adopt 'postgresql://localhost/app#docs' --table public.pages --id id --text title,body "
        "--vector embedding --model minilm --dry-run",
        "release": "revector release 'postgresql://localhost/app#docs' --dry-run",
        "assess": "revector assess docs.db --model BAAI/bge-small-en-v1.5 --judged judged/ --min-lift 0.02",
        "insure": "revector insure docs.db --model BAAI/bge-small-en-v1.5 --queries queries.jsonl",
        "rehearse": "revector rehearse docs.db",
        "start": "revector start docs.db --model BAAI/bge-small-en-v1.5 --strategy background,on-read",
        "run": "revector run docs.db --nice 15",
        "batches": "revector batches docs.db --cancel",
        "status": "revector status docs.db --json",
        "verify": "revector verify docs.db --field language",
        "cutover": "revector cutover docs.db --dry-run",
        "rollback": "revector rollback docs.db",
        "retire": "revector retire docs.db --yes",
        "rollout": "revector rollout docs.db --begin",
        "replay": "revector replay docs.db --queries queries.jsonl",
        "throttle": "revector throttle docs.db --rate 500 --search-p99 50",
        "pause": "revector pause docs.db",
        "resume": "revector resume docs.db",
        "retry": "revector retry docs.db",
        "failures": "revector failures docs.db",
        "events": "revector events docs.db --follow",
        "depends": "revector depends docs.db semantic-cache --sql 'DELETE FROM semantic_cache'",
        "watch": "revector watch docs.db --every 5",
        "serve": "revector serve docs.db --port 8000 --token-file /run/secrets/revector",
        "checklist": "revector checklist docs.db",
        "model": "revector model docs.db --set /new/place/of/the/model",
        "same-space": "revector same-space minilm openai:all-minilm",
        "backup": "revector backup docs.db /backups/2026-11-29",
        "doctor": "revector doctor docs.db",
    }
)


def example_of(command: Any) -> str | None:
    """Return the example of a command that typer has registered, if it is here."""
    name = command.name or command.callback.__name__.replace("_", "-")
    return f"Example: {EXAMPLES[name]}" if name in EXAMPLES else None
