"""``python -m revector``: paths for build systems."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import revector
from revector.__main__ import main


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out an installed package beside an editable one."""
    (tmp_path / "installed" / "lib" / "cmake" / "revector").mkdir(parents=True)
    (tmp_path / "installed" / "include").mkdir()
    monkeypatch.setattr(revector, "__path__", [str(tmp_path / "editable"), str(tmp_path / "installed")])
    return tmp_path / "installed"


def test_paths_are_those_of_the_installed_package(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--cmakedir", "--includedir", "--libs"])
    cmake, include, libs = capsys.readouterr().out.splitlines()
    assert cmake == str(installed / "lib" / "cmake" / "revector")
    assert include == str(installed / "include")
    assert libs == f"-L{installed / 'lib'} -Wl,-rpath,{installed / 'lib'} -lrevector"


def test_an_installation_without_the_library_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revector, "__path__", [str(tmp_path)])
    with pytest.raises(SystemExit, match="no folder 'include'"):
        main(["--includedir"])


def test_paths_need_no_command_line() -> None:
    code = "import sys; import revector.__main__ as m; m.PATHS['--libs'] = lambda: 'flags'; m.main(['--libs']); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print('typer' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["flags", "False"]


def test_everything_else_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "revector", "--help"], capture_output=True, text=True, check=True)
    assert "cutover" in done.stdout
