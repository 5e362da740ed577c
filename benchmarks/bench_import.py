"""The time that `import revector` adds to that of numpy: the price of embedding the core in another package."""

from __future__ import annotations

import statistics
import subprocess
import sys

from common import Report

BUDGET_SECONDS = 0.030
PROGRAM = "import numpy, time; start = time.perf_counter(); import revector; print(time.perf_counter() - start)"


def import_seconds() -> float:
    """Measure in a fresh interpreter, numpy being loaded already."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Take the median of fresh interpreters; hold it to the budget unless this is a smoke run."""
    report = Report.from_arguments("import", rounds=15)
    seconds = statistics.median(import_seconds() for _ in range(max(3, report.rounds)))
    report.note("import revector, beyond numpy's own time", seconds=seconds, budget_seconds=BUDGET_SECONDS)
    assert report.smoke or seconds < BUDGET_SECONDS, f"import takes {seconds * 1e3:.1f} ms"
    report.finish()


if __name__ == "__main__":
    main()
