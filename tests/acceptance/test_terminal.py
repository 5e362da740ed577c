"""`watch` and `demo` on a real terminal: they draw, survive a resize, and leave it clean after Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest

from revector.collection import Collection
from revector.formats.judgements import write_corpus
from revector.testing import HashEncoder
from terminal import PROMPT, open_terminal

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
REVECTOR = f"{shlex.quote(sys.executable)} -m revector"


@pytest.fixture
def docs(tmp_path):
    """Return a collection with a migration that has been started."""
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert([f"d{i}" for i in range(40)], [f"text {i}" for i in range(40)])
        docs.migrate(NEW).start()
        yield docs


def test_watch_draws_what_other_processes_do_at_any_size_and_leaves_a_clean_terminal(docs, tmp_path):
    with open_terminal(tmp_path) as terminal:
        terminal.type(f"{REVECTOR} watch docs.db --every 0.1")
        drawn = terminal.wait_for(lambda screen: "0 of 40" in screen)
        assert "━" in drawn
        assert "nobody works on it" in drawn
        assert not terminal.is_clean  # it has a screen of its own
        docs.migration.pause()
        terminal.wait_for(lambda screen: "paused" in screen)
        for columns, rows in ((50, 12), (140, 40), (20, 5)):
            terminal.resize(columns, rows)
            seen = terminal.wait_for(lambda screen, columns=columns: _fits(screen, columns))
            assert seen.count("filling:") == 1, seen
        terminal.resize(100, 30)
        docs.migration.resume()
        docs.migration.run()
        terminal.wait_for(lambda screen: "40 of 40" in screen and "proving" in screen)
        terminal.press("C-c")
        _is_clean_again(terminal)
        assert "40 of 40" in terminal.history  # the last view stays


def _fits(screen, columns):
    """Tell whether what is drawn begins at the top and fills the width, and no more."""
    lines = screen.splitlines()
    bars = [line.rstrip() for line in lines if "━" in line]
    return lines[0].startswith("docs.db") and len(bars) == 1 and len(bars[0]) <= columns


def _is_clean_again(terminal):
    terminal.wait_for(lambda screen: screen.rstrip().endswith(PROMPT.strip()))
    terminal.type("echo ended with $?, cursor and echo are there")
    terminal.wait_for(lambda screen: "ended with 130, cursor and echo are there" in screen, history=True)
    assert "interrupted" in terminal.history
    assert terminal.is_clean


def test_watch_ends_with_the_migration(docs, tmp_path):
    with open_terminal(tmp_path) as terminal:
        terminal.type(f"{REVECTOR} watch docs.db --every 0.1; echo ended with $?")
        terminal.wait_for(lambda screen: "0 of 40" in screen)
        docs.migration.rollback()
        docs.migration.retire(confirm=True)
        terminal.wait_for(lambda screen: "ended with 0" in screen, history=True)
        assert terminal.is_clean


def test_watch_that_is_told_to_end_leaves_a_clean_terminal(docs, tmp_path):
    with open_terminal(tmp_path) as terminal:
        terminal.type(f"{REVECTOR} watch docs.db --every 0.1; echo ended with $?")
        terminal.wait_for(lambda screen: "0 of 40" in screen)
        os.kill(terminal.child, signal.SIGTERM)
        terminal.wait_for(lambda screen: "ended with 143" in screen, history=True)
        assert terminal.is_clean


def _hears_interrupts():
    """Undo what a shell does to jobs in its background, which do not hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_watch_prints_lines_where_there_is_no_terminal(docs, tmp_path):
    command = [sys.executable, "-m", "revector", "watch", "docs.db", "--every", "0.1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_interrupts
    )
    try:
        assert "filling 0.0%: 0 of 40" in process.stdout.readline()
        docs.migration.pause()
        assert "pause" in process.stdout.readline()
        assert "paused" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said.strip()) == (130, "revector: interrupted")
    assert "\x1b" not in rest


def test_the_demonstration_draws_and_leaves_a_clean_terminal(docstring_corpus, static_model, tmp_path):
    write_corpus(docstring_corpus, tmp_path / "corpus")
    texts = [*docstring_corpus.documents.values(), *docstring_corpus.queries.values()]
    old, new = static_model("old", 8, texts), static_model("new", 64, texts)
    with open_terminal(tmp_path) as terminal:
        terminal.type(f"{REVECTOR} demo --corpus corpus --workdir work --old-model {old.name} --new-model {new.name}")
        terminal.wait_for(lambda screen: "2. " in screen)
        terminal.resize(60, 20)
        terminal.wait_for(lambda screen: "3. " in screen, history=True)
        terminal.press("C-c")
        _is_clean_again(terminal)
        steps = [line for line in terminal.history.splitlines() if line.startswith(("1. ", "2. ", "3. "))]
        assert [step[0] for step in steps] == ["1", "2", "3"]
