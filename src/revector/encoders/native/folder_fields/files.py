"""Reading configuration files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from revector.errors import EncoderError

__all__ = ["as_object", "read_config"]


def read_config(path: Path) -> dict[str, Any]:
    """Return a configuration file as a dictionary, empty if there is none.

    Raises
    ------
    EncoderError
        The file is not a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}; copy or download it again") from error
    if not isinstance(found, dict):
        raise EncoderError(f"{path} holds {type(found).__name__}, expected a JSON object")
    return found


def as_object(value: Any) -> dict[str, Any]:
    """Return what a file holds if it is a JSON object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}
