"""TOML as Python 3.11 and later read it; Python 3.10 needs a package for it."""

from __future__ import annotations

import sys
from typing import Any

from revector._optional import require
from revector.errors import InvalidArgumentError

__all__ = ["parse_toml"]


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse a TOML document.

    Parameters
    ----------
    text : str
    where : str
        Its place, for the message. The message repeats nothing of the text: it may hold a password.

    Raises
    ------
    InvalidArgumentError
        It is not TOML.
    MissingExtraError
        On Python 3.10, the extra ``toml`` is not installed.
    """
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        toml = require("tomli", extra="toml", purpose="reading TOML on Python 3.10")
    try:
        found: dict[str, Any] = toml.loads(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        place = str(error).rpartition("(at ")[2].removesuffix(")") if "(at " in str(error) else "somewhere"
        raise InvalidArgumentError(f"{where} is not TOML: see {place}") from None
    return found
