"""A terminal as a person has it: tmux, with keys to type and a screen to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_SECONDS = 60.0
PROMPT = "ready> "


class Terminal:
    """One window of a tmux server of its own.

    Parameters
    ----------
    socket : Path
        Of the server.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux; return what it prints."""
        command = ["tmux", "-u", "-f", "/dev/null", "-S", str(self._socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press a key, such as ``C-c``."""
        self.tmux("send-keys", key)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """What stands on the screen."""
        return self.tmux("capture-pane", "-p")

    @property
    def history(self) -> str:
        """What stands on the screen, and what has scrolled away above it; wrapped lines are joined."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    @property
    def child(self) -> int:
        """The process that the shell has started."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    @property
    def is_clean(self) -> bool:
        """Whether the terminal is as a shell wants it: not the other screen, and with a cursor."""
        return self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]

    def wait_for(self, holds: Callable[[str], object], *, history: bool = False) -> str:
        """Wait until something holds for the screen, and return it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = self.history if history else self.screen
            if holds(seen):
                return seen
            assert time.monotonic() < end, seen
            time.sleep(0.05)


@contextmanager
def open_terminal(folder: Path, columns: int = 100, rows: int = 30) -> Iterator[Terminal]:
    """Open a terminal with a shell in a folder; the test is skipped where there is no tmux."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed (Debian: apt install tmux)")
    socket = folder / "tmux"
    terminal = Terminal(socket)
    environment = {**os.environ, "ENV": "", "LC_ALL": "C.UTF-8"}
    for name in ("COLUMNS", "LINES", "TMUX"):
        environment.pop(name, None)
    size = ["-x", str(columns), "-y", str(rows), "-c", str(folder)]
    command = ["tmux", "-u", "-f", "/dev/null", "-S", str(socket), "new-session", "-d", *size, "sh"]
    subprocess.run(command, env=environment, check=True, timeout=30)
    try:
        terminal.wait_for(str.strip)
        terminal.type(f"PS1='{PROMPT}'; clear")
        terminal.wait_for(lambda screen: screen.startswith(PROMPT.strip()))
        yield terminal
    finally:
        terminal.tmux("kill-server")
