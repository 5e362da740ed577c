"""Forks wait for what must not be cut in two, and children start with locks of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from children import elsewhere, in_child
from revector import _forks

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Locked:
    """Has a lock that is renewed."""

    def __init__(self) -> None:
        _forks.renew_in_child(self.renew)
        self.renew()

    def renew(self) -> None:
        self.lock = threading.Lock()


def test_a_lock_that_another_thread_holds_is_free_in_the_child():
    locked = Locked()
    held, release = threading.Event(), threading.Event()

    def hold():
        with locked.lock:
            held.set()
            release.wait(20)

    elsewhere(hold)
    held.wait(20)
    assert in_child(lambda: locked.lock.acquire(timeout=5))
    release.set()


def test_what_is_renewed_is_not_kept_alive():
    locked = Locked()
    renewed = len(_forks._renewals._methods)
    del locked
    assert len(_forks._renewals._methods) == renewed - 1


def test_nothing_is_said_when_a_program_ends_with_something_renewed_still_there():
    program = """
from revector._forks import renew_in_child

class Locked:
    def renew(self):
        pass

locked = Locked()
locked.itself = locked
renew_in_child(locked.renew)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_waits_until_other_threads_are_outside():
    inside, left = threading.Event(), []

    def work():
        with _forks.holding_off_forks():
            inside.set()
            time.sleep(0.3)
            left.append(True)

    elsewhere(work)
    inside.wait(20)
    assert in_child(lambda: left == [True])


def test_a_thread_that_is_inside_can_fork():
    with _forks.holding_off_forks():
        assert in_child(lambda: True)


def test_a_fork_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(_forks, "PATIENCE_SECONDS", 0.1)
    inside, release = threading.Event(), threading.Event()

    def work():
        with _forks.holding_off_forks():
            inside.set()
            release.wait(20)

    elsewhere(work)
    inside.wait(20)

    def enters() -> bool:
        with _forks.holding_off_forks():
            return True

    assert in_child(enters)
    release.set()


def test_nobody_enters_while_a_fork_waits_but_those_inside_go_deeper():
    inside, order = threading.Event(), []

    def work():
        with _forks.holding_off_forks():
            inside.set()
            time.sleep(0.2)
            with _forks.holding_off_forks():
                order.append("deeper")

    elsewhere(work)
    inside.wait(20)
    forking = elsewhere(lambda: order.append(("forked", in_child(lambda: True))))
    time.sleep(0.05)
    with _forks.holding_off_forks():
        order.append("entered")
    forking.join(20)
    assert order[0] == "deeper"
    assert ("forked", True) in order
