"""The arithmetic of docs/distributed.md, beside a simulation that knows of queues and of chance."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulated_cluster.py"


def test_a_simulated_cluster_comes_close_to_the_arithmetic():
    run = subprocess.run([sys.executable, SCRIPT, "--smoke"], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert {row["saturated"] for row in rows} == {"encoders", "claims"}
    for row in rows:
        bound = min(row["encoders, docs/s"], row["store, docs/s"])
        assert 0.95 * bound < row["simulated, docs/s"] < 1.05 * bound, row
