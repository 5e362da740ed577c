"""Which backend a place means, and how another package brings its own."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from revector.backends import opening
from revector.backends.opening import ENTRY_POINTS, kind_of, open_backend
from revector.backends.sqlite import SqliteBackend
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.testing import HashEncoder
from revector.testing.memory import MemoryBackend, forget


class Elsewhere:
    """A backend of another package: files in a folder that its URLs do not name."""

    folder = Path()

    @classmethod
    def open(cls, place: str, *, read_only: bool = False) -> SqliteBackend:
        return SqliteBackend.open(cls._file(place), read_only=read_only)

    @classmethod
    def is_there(cls, place: str) -> bool:
        return cls._file(place).exists()

    @classmethod
    def _file(cls, place: str) -> Path:
        return cls.folder / place.removeprefix("elsewhere://")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("elsewhere", f"{__name__}:Elsewhere", ENTRY_POINTS)
    monkeypatch.setattr(opening, "entry_points", lambda group: [point] if group == ENTRY_POINTS else [])
    monkeypatch.setattr(Elsewhere, "folder", tmp_path)


@pytest.mark.usefixtures("elsewhere")
def test_a_collection_lives_in_a_backend_of_another_package() -> None:
    with Collection.open("elsewhere://docs", HashEncoder(8)) as docs:
        docs.upsert(["a"], ["text"])
    with Collection.open("elsewhere://docs", HashEncoder(8)) as docs:
        assert [hit.id for hit in docs.search("text")] == ["a"]


@pytest.mark.usefixtures("elsewhere")
def test_a_scheme_without_a_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^nowhere: is not supported.*elsewhere, .*postgres, postgresql, .*sqlite"
    ):
        kind_of("nowhere://me:secret@host/docs")


def test_a_path_is_a_file_of_sqlite(tmp_path: Path) -> None:
    backend = open_backend(tmp_path / "docs.db")
    backend.close()
    assert backend.place == str(tmp_path / "docs.db")
    assert kind_of(tmp_path / "docs.db").is_there(tmp_path / "docs.db")
    assert not kind_of(tmp_path / "other.db").is_there(tmp_path / "other.db")


def test_our_backend_in_memory_is_found_as_another_packages_would_be(tmp_path: Path) -> None:
    assert isinstance(open_backend(f"memory://{tmp_path}"), MemoryBackend)
    forget(f"memory://{tmp_path}")


def test_the_package_names_its_backends_in_memory_as_the_tests_do() -> None:
    tests = Path(__file__).parents[1]
    named = (tests / "in_memory-0.dist-info" / "entry_points.txt").read_text().splitlines()[1:]
    packaged = (tests.parent / "pyproject.toml").read_text().splitlines()
    assert {line.replace("= ", '= "') + '"' for line in named} <= set(packaged)
