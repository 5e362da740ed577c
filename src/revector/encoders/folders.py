"""Folders of models on the Python side: where they are, which prompts they ask for, what identifies them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from revector.errors import EncoderError

__all__ = ["digest_of", "locate", "prefix_for", "read_config"]

# What a model needs here; hubs also keep the same weights for other frameworks.
_PATTERNS = ["*.json", "*/config.json", "model.safetensors", "*/model.safetensors", "*/tokenizer.json"]
_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


def locate(path_or_id: str | os.PathLike[str]) -> tuple[Path, str]:
    """Find the folder of a model.

    Parameters
    ----------
    path_or_id : str or path
        A folder, or an id of the Hugging Face hub (``"BAAI/bge-small-en-v1.5"``).

    Returns
    -------
    folder : Path
    source : str
        What leads here again from any working directory: the absolute path, or the id.

    Raises
    ------
    EncoderError
        Neither a folder nor an id that can be fetched.
    """
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder, str(folder.resolve())
    name = os.fspath(path_or_id)
    if not isinstance(path_or_id, str) or name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise EncoderError(f"{name} is not a folder; give the folder of a model or an id of the Hugging Face hub")
    return _fetch(name), name


def _fetch(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise EncoderError(
            f"{hub_id!r} is not a folder here, and fetching it from the Hugging Face hub needs huggingface_hub: "
            "pip install huggingface_hub, or give the path of a folder"
        ) from error
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_PATTERNS))
    except (OSError, ValueError) as error:  # the hub's own errors are kinds of these
        raise EncoderError(f"{hub_id!r} is not a folder here and could not be fetched from the hub: {error}") from error


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
        raise EncoderError(f"{path} can not be read: {error}; copy or download it again") from error
    if not isinstance(found, dict):
        raise EncoderError(f"{path} holds {type(found).__name__}, expected a JSON object")
    return found


def prefix_for(folder: Path, kind: str) -> str:
    """Return what the model wants before every text of a kind, as ``encode_query`` of sentence-transformers finds it.

    Raises
    ------
    EncoderError
        ``config_sentence_transformers.json`` is malformed.
    """
    path = folder / "config_sentence_transformers.json"
    prompts = read_config(path).get("prompts") or {}
    if not isinstance(prompts, dict):
        raise EncoderError(f"{path}: prompts is {prompts!r}, expected an object")
    prompt = next((prompts[name] for name in _NAMES[kind] if name in prompts), None) or ""
    if not isinstance(prompt, str):
        raise EncoderError(f"{path}: the prompt for a {kind} is {prompt!r}, expected a string")
    return prompt


def digest_of(files: Iterable[Path], remarks: Sequence[str] = ()) -> str:
    """Return the SHA-256 over files and over remarks on how they are used; files that do not exist are left out.

    Raises
    ------
    EncoderError
        A file can not be read.
    """
    digest = hashlib.sha256()
    for path in files:
        if path.exists():
            digest.update(f"{path.name}={_sha256(path)}\n".encode())
    for remark in remarks:
        digest.update(f"{remark}\n".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise EncoderError(f"{path} can not be read: {error}") from error
    return digest.hexdigest()
