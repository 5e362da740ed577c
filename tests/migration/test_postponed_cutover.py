"""A cut-over that is ready waits for somebody's word, caught up with writers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest

from revector.errors import IllegalTransitionError, InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration import postponing
from revector.migration.postponing import postponement
from worlds import NEW


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(postponing, "LOOK_EVERY_SECONDS", 0.02)


class _Word:
    """Puts a cut-over off until it is given; tells when it was asked for."""

    def __init__(self):
        self.asked, self.given = threading.Event(), threading.Event()

    def __call__(self):
        self.asked.set()
        return "" if self.given.is_set() else "until the operator says so"


@contextmanager
def _cutting_over(migration, word):
    thread = threading.Thread(target=migration.cutover, kwargs={"postpone_until": word})
    thread.start()
    try:
        assert word.asked.wait(20)
        yield
    finally:
        word.given.set()
        thread.join()


def _verified(world):
    migration = world.proving()
    migration.verify()
    return migration


def test_readers_keep_the_old_vectors_until_the_word_is_given(world):
    migration, word = _verified(world), _Word()
    with _cutting_over(migration, word):
        assert migration.phase is Phase.PROVING
    assert migration.phase is Phase.SERVING


def test_what_is_written_meanwhile_is_in_the_new_generation(world):
    migration, word = _verified(world), _Word()
    with _cutting_over(migration, word):
        world.write({"d1": "changed", "more": "text"}, encoders=())
    world.assert_exact(migration.record.target_generation, NEW)


def test_the_status_says_what_is_waited_for(world):
    migration, word = _verified(world), _Word()
    with _cutting_over(migration, word):
        for _ in range(1000):
            if (pace := migration.status().pace).startswith("waits"):
                break
        assert pace == "waits: the cut-over, until the operator says so"
    assert migration.status().workers == ()


def test_a_rollback_ends_the_wait(world):
    migration, word = _verified(world), _Word()
    asked = iter(["because", "because"])

    def put_off():
        why = next(asked)
        migration.rollback()
        return why

    with pytest.raises(IllegalTransitionError):
        migration.cutover(postpone_until=put_off)
    assert migration.phase is Phase.ROLLED_BACK
    assert not word.asked.is_set()


def test_a_file_puts_a_cutover_off_while_it_exists(tmp_path):
    flag = tmp_path / "postpone"
    put_off = postponement(flag)
    assert put_off() == ""
    flag.touch()
    assert put_off() == f"while {flag} exists"


def test_an_executable_puts_it_off_until_it_ends_with_zero(tmp_path):
    path = tmp_path / "may-i"
    path.write_text("#!/bin/sh\necho busy; exit 4\n")
    path.chmod(0o755)
    assert postponement(str(path))() == f"until {path} ends with 0; it ended with 4: busy"
    path.write_text("#!/bin/sh\nexit 0\n")
    assert postponement(str(path))() == ""


@pytest.mark.parametrize("zone", [None, timezone.utc])
def test_a_time_puts_it_off_until_it_has_come(zone):
    now = datetime.now(zone)
    later = now + timedelta(hours=1)
    assert postponement(later.isoformat())() == f"until {later:%Y-%m-%d %H:%M}"
    assert postponement((now - timedelta(hours=1)).isoformat())() == ""


@pytest.mark.parametrize("until", [0, "", b"x", ["a"]])
def test_anything_else_is_refused(until):
    with pytest.raises(InvalidArgumentError, match="postpone_until"):
        postponement(until)
