"""Peak memory of `HnswIndex.build`, measured in a process of its own.

The process holds the vectors, resets the kernel's mark of its highest resident size (VmHWM), builds, and reads the
mark: what lies above the size before the build is what the build took at its peak, the finished index included. What
is resident afterwards is the index; its file holds the same without the table of ids. Works on Linux only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hnsw_sets import Rows
from revector import HnswIndex

__all__ = ["peak_of_build"]


def peak_of_build(rows: Rows) -> dict[str, float]:
    """Return bytes at the peak, of the finished index and of its file, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        np.save(path, rows)
        done = subprocess.run([sys.executable, __file__, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _measure(path: Path) -> dict[str, float]:
    rows, ids = np.load(path), np.arange(len(np.load(path, mmap_mode="r")))
    HnswIndex.build(rows[:1_000], ids[:1_000])  # threads and whatever else the first build makes
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    index = HnswIndex.build(rows, ids)
    peak, finished = _resident("VmHWM") - before, _resident("VmRSS") - before
    file = path.with_suffix(".hnsw")
    index.save(file)
    size = file.stat().st_size
    return {
        "peak_bytes": peak,
        "index_bytes": finished,
        "file_bytes": size,
        "peak_of_index": peak / finished,
        "peak_of_file": peak / size,
    }


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]))))
