"""Packages that only some users need: imported when they are used, and named with their extra when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from revector.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module of an extra.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra of revector that brings it.
    purpose : str
        What needs it, for the message.

    Raises
    ------
    MissingExtraError
        It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module, extra, purpose) from error
