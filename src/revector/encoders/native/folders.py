"""Folders of models on the Python side: where they are, which prompts they ask for, what identifies them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from revector._files import sha256_of
from revector.encoders.native.folder_fields import FolderFields
from revector.encoders.native.folder_fields.files import read_config
from revector.errors import EncoderError

__all__ = ["deciding_files", "identity_of", "locate", "prefix_for", "read_config"]

# What a model needs here; hubs also keep the same weights for other frameworks.
_PATTERNS = ["*.json", "*/*.json", "model*.safetensors", "*/model*.safetensors"]
_DESCRIPTIVE = frozenset({"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"})
_SET_ASIDE = frozenset({"truncation", "padding"})
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


def deciding_files(folder: Path, modules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the core names in ``Encoder.files`` for a folder, without loading it.

    Parameters
    ----------
    folder : Path
        Of the model.
    modules : sequence of mapping
        What its ``modules.json`` lists; empty if there is none.

    Raises
    ------
    EncoderError
        An index of shards is malformed.
    """
    files = _weights_of(_place(folder, modules[0]) if modules else folder)
    dense = [_place(folder, module) for module in modules if str(module.get("type", "")).endswith("Dense")]
    for place in dense:
        files += [*_weights_of(place), place / "config.json"]
    return [str(file) for file in (*files, *([folder / "modules.json"] if dense else []))]


def _place(folder: Path, module: Mapping[str, Any]) -> Path:
    return folder / str(module.get("path", ""))


def _weights_of(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return [folder / "model.safetensors"]
    shards = read_config(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise EncoderError(f"{index}: weight_map is {shards!r}, expected the file of each tensor")
    return [index, *(folder / name for name in sorted(set(shards.values())))]


def identity_of(files: Sequence[str], fields: FolderFields, rules: str = "") -> str:
    """Return the SHA-256 over what decides the numbers: weights, tokeniser, configuration.

    What a file merely says about the model (its name, the library that wrote it) does not count, nor do truncation and
    padding of tokenizer.json, which the encoder sets aside: a model that is renamed or saved again keeps its space.

    Parameters
    ----------
    files : sequence of str
        The files with weights, and what else the core names.
    fields : FolderFields
        What the files beside the weights say. What they change of tokenizer.json counts, and what they ask for that
        is not built; a folder in which they agree has the identity of its weights, config.json and tokenizer.json.
    rules : str
        What the encoder does with tokens that earlier versions did not; empty where the vectors are what they were.

    Raises
    ------
    EncoderError
        A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(_digest_of(Path(file)))
    for name, ignored in (("config.json", _DESCRIPTIVE), ("tokenizer.json", _SET_ASIDE)):
        said = read_config(fields.transformer / name)
        kept = {key: value for key, value in said.items() if key not in ignored}
        digest.update(json.dumps(kept, sort_keys=True).encode())
    digest.update(str(fields.lower_case).encode() + rules.encode())
    if fields.deviations:
        digest.update(json.dumps(fields.deviations, sort_keys=True).encode())
    return digest.hexdigest()


def _digest_of(path: Path) -> bytes:
    """Return the digest of a file; what a JSON file looks like does not count."""
    try:
        if path.suffix == ".json":
            return json.dumps(json.loads(path.read_text(encoding="utf-8")), sort_keys=True).encode()
        return sha256_of(path).encode()
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
