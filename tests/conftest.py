"""Fixtures that several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from revector.demo.models import fetch_model
from revector.errors import EncoderError


def _folder_or_skip(name: str) -> Path:
    try:
        return fetch_model(name)
    except EncoderError as error:
        pytest.skip(f"needs a real model: {error}")


@pytest.fixture(scope="session")
def wordllama_folder() -> Path:
    """Folder of the demo's old model (256-d, static)."""
    return _folder_or_skip("wordllama")


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """Folder of the demo's new model (all-MiniLM-L6-v2, 384-d)."""
    return _folder_or_skip("minilm")
