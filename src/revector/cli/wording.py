"""What refusals tell a Python program to call, in the words of the command line."""

from __future__ import annotations

import re
from typing import Any

_TYPED = {
    "retry_failed() and run()": "revector run --retry-failed",
    "retire(confirm=True)": "revector retire --yes",
    "resume()": "revector resume",
    "run_dependents()": "revector depends --run",
    "failures()": "revector failures",
    "retry_failed()": "revector retry",
    "accept_failed=True": "--accept-failed",
    "confirm=True": "--yes",
    "force=True": "--force",
    "Collection.migrate()": "revector start --model MODEL",
    **{f"{verb}()": f"revector {verb}" for verb in ("start", "run", "verify", "cutover", "rollback", "retire")},
}
_SAID = re.compile("|".join(rf"(?<![\w.]){re.escape(said)}" for said in _TYPED))


def as_typed(message: str) -> str:
    """Return the message of a refusal with commands and options in the place of methods and arguments."""
    return _SAID.sub(lambda found: _TYPED[found[0]], message)


def fields_as_typed(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a refusal, its reasons among them, with commands and options as well."""
    reasons = [as_typed(reason) for reason in fields.get("reasons", ())]
    return {**fields, "reasons": reasons} if reasons else fields
