"""Programs in C, C++ and Cython build against the installed package and run."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")


def run(*command, cwd=None):
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def flag(name):
    """What `python -m revector --<name>` prints: one line and nothing else."""
    out = run(sys.executable, "-m", "revector", f"--{name}")
    assert len(out.splitlines()) == 1
    return out


def test_a_cpp_program_finds_the_cmake_package(tmp_path):
    if shutil.which("cmake", path=PATH) is None:
        pytest.skip("needs cmake")
    run(
        "cmake",
        "-S",
        HERE / "cpp",
        "-B",
        tmp_path,
        f"-Drevector_DIR={flag('cmakedir')}",
        f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja', path=PATH) or shutil.which('make')}",
        "-G",
        "Ninja" if shutil.which("ninja", path=PATH) else "Unix Makefiles",
    )
    run("cmake", "--build", tmp_path)
    assert run(tmp_path / "consumer").startswith("revector 0.1.0 ")


def test_a_c_program_compiles_with_every_warning(tmp_path):
    program = tmp_path / "consumer"
    run(
        "cc",
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        f"-I{flag('includedir')}",
        HERE / "c" / "main.c",
        *flag("libs").split(),
        "-o",
        program,
    )
    assert run(program) == "revector 0.1.0"


def test_a_cython_module_cimports_the_package(tmp_path):
    module = tmp_path / f"consumer{sysconfig.get_config_var('EXT_SUFFIX')}"
    run(sys.executable, "-m", "cython", "-3", HERE / "cython" / "consumer.pyx", "-o", tmp_path / "consumer.c")
    run(
        "cc",
        "-shared",
        "-fPIC",
        f"-I{sysconfig.get_path('include')}",
        f"-I{flag('includedir')}",
        tmp_path / "consumer.c",
        *flag("libs").split(),
        "-o",
        module,
    )
    code = "import numpy, consumer; x = numpy.full((2, 4), 3, 'f4'); consumer.normalize(x); print(x[0, 0])"
    assert run(sys.executable, "-c", code, cwd=tmp_path) == str(np.float32(0.5))


def test_the_umbrella_header_declares_what_the_library_exports():
    header = (Path(flag("includedir")) / "revector" / "revector.h").read_text()
    library = next(Path(flag("cmakedir")).parents[1].glob("librevector.so*"))
    listing = run("nm", "-D", "--defined-only", library)
    exported = {line.split()[-1] for line in listing.splitlines() if line.split()[-1].startswith("revector_")}
    assert exported
    assert {name for name in exported if f"{name}(" not in header} == set()


def test_the_cython_declarations_cover_the_header():
    package = Path(flag("includedir")).parent
    header = (package / "include" / "revector" / "revector.h").read_text()
    declared = (HERE.parents[1] / "src" / "revector" / "__init__.pxd").read_text()
    functions = {
        line.split("(")[0].split()[-1].lstrip("*") for line in header.splitlines() if line.startswith("REVECTOR_C_API")
    }
    assert functions
    assert {name for name in functions if f"{name}(" not in declared} == set()
