"""Modules of the ``eval`` extra, imported when they are used."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str) -> ModuleType:
    """Import a module of the ``eval`` extra.

    Raises
    ------
    ImportError
        It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"evaluation needs {module}; install it with: pip install 'revector[eval]'") from error
