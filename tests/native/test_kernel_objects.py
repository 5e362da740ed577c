"""No kernel object may hold a weak symbol: the linker could pick its AVX-512 copy for the whole library."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_kernel_objects_hold_no_weak_symbols():
    objects = sorted((ROOT / "build" / "wheel").glob("cpp/CMakeFiles/revector_kernels_*.dir/**/*.o"))
    if not objects or shutil.which("nm") is None:
        pytest.skip("no kernel objects of a build here: run `make test` first")
    listing = subprocess.run(["nm", "-C", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    assert [line for line in listing.splitlines() if " W " in line or " V " in line] == []
