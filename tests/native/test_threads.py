"""How many threads the core uses, and what decided it."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import revector
from revector.cli import app
from revector.errors import InvalidArgumentError

REPORT = "import revector; print(revector.num_threads(), revector.num_threads_reason(), sep='|')"


def told(**variables):
    """What a fresh process says, with these variables alone."""
    others = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = {**others, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    run = subprocess.run([sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True, check=False)
    return run.stdout.strip().split("|") if run.returncode == 0 else run.stderr.splitlines()[-1]


def test_openmps_setting_is_obeyed_and_told():
    threads, reason = told(OMP_NUM_THREADS="1")
    assert threads == "1"
    assert reason.endswith("OMP_NUM_THREADS 1")


def test_our_own_setting_comes_before_openmps():
    assert told(OMP_NUM_THREADS="1", REVECTOR_NUM_THREADS="3") == ["3", "REVECTOR_NUM_THREADS"]


def test_without_settings_affinity_and_quota_decide():
    threads, reason = told()
    assert 1 <= int(threads) <= len(os.sched_getaffinity(0))
    assert reason.startswith(f"affinity {len(os.sched_getaffinity(0))}, quota ")


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "100000"])
def test_our_own_setting_is_refused_by_name_where_it_makes_no_sense(value):
    assert f"REVECTOR_NUM_THREADS is '{value}', expected an integer from 1 to 1024" in told(REVECTOR_NUM_THREADS=value)


def test_a_setting_in_the_program_comes_before_all():
    before = revector.num_threads()
    try:
        revector.set_num_threads(2)
        assert (revector.num_threads(), revector.num_threads_reason()) == (2, "set_num_threads")
    finally:
        revector.set_num_threads(before)


@pytest.mark.parametrize("n", [0, -1, 1025, 2**64 + 1, 2.0, "2", None, True])
def test_a_number_of_threads_that_makes_no_sense_is_refused(n):
    before = revector.num_threads()
    with pytest.raises(InvalidArgumentError, match=r"^n is "):
        revector.set_num_threads(n)
    assert revector.num_threads() == before


def test_doctor_says_what_decided():
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    assert revector.num_threads_reason() in " ".join(shown.split())
