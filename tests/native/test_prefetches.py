"""What asks the memory early must still do so when it is compiled: GCC 12 dropped such calls without a word."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "source",
    ["hnsw/search", "hnsw/build", "hnsw/snapshot/hnsw_snapshot", "similarity/search", "encoder/static"],
)
def test_prefetches_survive_the_compiler(source: str) -> None:
    compiled = ROOT / f"build/wheel/cpp/CMakeFiles/revector_core.dir/core/{source}.cpp.o"
    if not compiled.exists() or shutil.which("objdump") is None or platform.machine() != "x86_64":
        pytest.skip("no x86-64 object of a build here: run `make test` first")
    listing = subprocess.run(["objdump", "-d", str(compiled)], capture_output=True, text=True, check=True).stdout
    assert "prefetch" in listing
